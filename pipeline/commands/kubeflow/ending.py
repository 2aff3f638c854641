"""How a followed run ends, for the commands that follow one."""

from typing import Final

from pipeline.kubeflow.following import how_to_go_on
from pipeline.output_streams import notify
from pipeline.process_exit import INTERRUPTED
from pipeline.run_record import RunRecord, RunState

_EXIT_CODES: Final = {RunState.COMPLETE: 0, RunState.FAILED: 1, RunState.INTERRUPTED: INTERRUPTED}


def explain_end(record: RunRecord, *, was_followed_to_its_end: bool) -> int:
    """Says on standard error how a followed run ended, if not well; returns the exit code."""
    if not was_followed_to_its_end:
        notify(how_to_go_on(record.run_id), "yellow")
        return INTERRUPTED
    if record.error is not None:
        notify(f"error: {record.error}", "red")
    return _EXIT_CODES[record.state]
