"""A run on the server, followed until it ends or the user has seen enough, and stopped."""

import os
import time
from pathlib import Path
from typing import Any, Final, TextIO

from pipeline.kubeflow.client import KubeflowClient
from pipeline.kubeflow.runs import RemoteRun
from pipeline.kubeflow.tasks import CANCELING, run_state
from pipeline.kubeflow.transport import KubeflowApiError
from pipeline.runs.display import RunDisplay, open_display
from pipeline.runs.progress import ProgressFollower
from pipeline.runs.record import NodeState, RunState
from pipeline.terminal.streams import lasting

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
            try:
                _poll(remote, display)
            except KeyboardInterrupt:  # what is shown stays on the screen
                return False
            for node in remote.outcome.read(is_last=True):
                display.node_changed(node)
            if remote.record.state is RunState.FAILED:
                failure = remote.explain_failure()
                remote.record.error = failure.message
                display.explain(failure.log_lines)
            return True
    except KeyboardInterrupt:
        return False


def how_to_go_on(run_id: str) -> str:
    """Returns how to follow or stop a run that goes on without us."""
    return (
        f"the run goes on: petseg kubeflow status {run_id} --follow shows it, petseg kubeflow cancel {run_id} stops it"
    )


def cancel_run(client: KubeflowClient, run_id: str) -> str:
    """Asks the server to stop a run, unless it has ended.

    Returns:
      What has become of it, for the user.

    Raises:
      KubeflowApiError: There is no such run, or the server does not stop it.
    """
    settled = _settled(client.run(run_id))
    if settled is not None:
        return settled
    try:
        client.terminate(run_id)
    except KubeflowApiError:
        settled = _settled(client.run(run_id))
        if settled is None:
            raise
        return settled
    return f"run {run_id}: the server stops it; petseg kubeflow status {run_id} shows when it has"


def _poll(remote: RemoteRun, display: RunDisplay) -> None:
    """Brings record and display up to date until the run has ended."""
    for node in remote.record.nodes:
        if node.state is not NodeState.PENDING:
            display.node_changed(node)
    away_since: float | None = None
    is_cancelled = False
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
        told = remote.outcome.read(is_last=False)
        for node in [*changed, *(node for node in told if node not in changed)]:
            display.node_changed(node)
        if remote.is_being_cancelled and not is_cancelled:
            is_cancelled = True
            display.notice("the run is being cancelled")


def _settled(run: Any) -> str | None:
    """Returns why there is nothing to cancel; None when there is."""
    if run.state == CANCELING:
        return f"run {run.run_id}: it is being cancelled already"
    state = run_state(run)
    return None if state is RunState.RUNNING else f"run {run.run_id}: it has ended already ({state})"
