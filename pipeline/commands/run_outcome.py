"""How a command ends that has executed a run: its record as JSON, what went wrong, and the exit code."""

import sys
from typing import Final, NoReturn

import click

from pipeline.json_text import json_text
from pipeline.output_streams import notify, unread_is_no_failure
from pipeline.process_exit import INTERRUPTED
from pipeline.run_record import NodeState, RunRecord, RunState

NOT_BLESSED: Final = 3
_EXIT_CODES: Final = {RunState.COMPLETE: 0, RunState.FAILED: 1, RunState.INTERRUPTED: INTERRUPTED}


def end_with(ctx: click.Context, record: RunRecord, *, as_json: bool) -> NoReturn:
    """Ends the command with the exit code of a run, after its record on standard output where that is wanted."""
    if as_json:
        with unread_is_no_failure(sys.stdout):
            click.echo(json_text(record))
    _explain_end(record)
    ctx.exit(NOT_BLESSED if record.refused and record.state is RunState.COMPLETE else _EXIT_CODES[record.state])


def _explain_end(record: RunRecord) -> None:
    """Says on standard error what went wrong, and where, and when the gate was overruled."""
    if record.force_blessed is not None:
        notify(f"notice: the model did not pass the gate and is blessed by force: {record.force_blessed}", "yellow")
    if record.state is RunState.FAILED:
        failed = next((node.id for node in record.nodes if node.state is NodeState.FAILED), "the run")
        notify(f"error: {failed} failed: {record.error}", "red")
    if record.state is RunState.INTERRUPTED:
        notify(f"{record.error}; run again to go on after the last component that finished", "yellow")
