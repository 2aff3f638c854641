"""How a followed run ends, for the commands that follow one."""

from typing import Final

import click

from pipeline.kubeflow.following import how_to_go_on
from pipeline.run_record import RunRecord, RunState

INTERRUPTED: Final = 130
_EXIT_CODES: Final = {RunState.COMPLETE: 0, RunState.FAILED: 1, RunState.INTERRUPTED: INTERRUPTED}


def explain_end(record: RunRecord, *, was_followed_to_its_end: bool) -> int:
    """Says on standard error how a followed run ended, if not well; returns the exit code."""
    if not was_followed_to_its_end:
        click.secho(how_to_go_on(record.run_id), fg="yellow", err=True)
        return INTERRUPTED
    if record.error is not None:
        click.secho(f"error: {record.error}", fg="red", err=True)
    return _EXIT_CODES[record.state]
