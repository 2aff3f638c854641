"""Follows a run on the server until it ends or the user has seen enough; the run itself goes on either way."""

import os
import time
from pathlib import Path
from typing import Final, TextIO

from pipeline.kubeflow.api_errors import KubeflowApiError
from pipeline.kubeflow.remote_run import RemoteRun
from pipeline.output_streams import lasting
from pipeline.run_display import RunDisplay, open_display
from pipeline.run_record import NodeState, RunState
from pipeline.training_progress import ProgressFollower

POLL_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 600.0
"""How long the server may be away before following ends."""


def follow(remote: RemoteRun, stream: TextIO) -> bool:
    """Shows a run until it ends, whether or not somebody reads on.

    Returns:
      Whether it has ended; False when the user interrupted.

    Raises:
      KubeflowApiError: The server was away for too long, or refuses to go on.
    """
    display = open_display(lasting(stream), remote.record, ProgressFollower(Path(os.devnull)))
    try:
        with display.live():
            return _follow(remote, display)
    except KeyboardInterrupt:
        return False


def _follow(remote: RemoteRun, display: RunDisplay) -> bool:
    """Follows the run while the display is live; it stays on the screen when the user interrupts."""
    try:
        _poll(remote, display)
    except KeyboardInterrupt:
        return False
    if remote.record.state is RunState.FAILED:
        failure = remote.explain_failure()
        remote.record.error = failure.message
        display.explain(failure.log_lines)
    return True


def _poll(remote: RemoteRun, display: RunDisplay) -> None:
    """Brings record and display up to date until the run has ended."""
    for node in remote.record.nodes:
        if node.state is not NodeState.PENDING:
            display.node_changed(node)
    away_since: float | None = None
    while not remote.has_ended:
        time.sleep(POLL_SECONDS)
        try:
            changed = remote.refresh()
        except KubeflowApiError as error:
            now = time.monotonic()
            if not error.is_temporary or (away_since is not None and now - away_since > PATIENCE_SECONDS):
                raise KubeflowApiError(f"{error}; {how_to_go_on(remote.record.run_id)}", error.status) from error
            if away_since is None:
                away_since = now
                display.notice(f"{error}; trying again")
            continue
        if away_since is not None:
            away_since = None
            display.notice("")
        for node in changed:
            display.node_changed(node)


def how_to_go_on(run_id: str) -> str:
    """Returns how to follow or stop a run that goes on without us."""
    return (
        f"the run goes on: petseg kubeflow status {run_id} --follow shows it, petseg kubeflow cancel {run_id} stops it"
    )
