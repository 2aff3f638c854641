"""Stops a run on the server; doing it twice is no error."""

from typing import Any, Final

from pipeline.kubeflow.api_errors import KubeflowApiError
from pipeline.kubeflow.client import KubeflowClient
from pipeline.kubeflow.task_details import run_state
from pipeline.run_record import RunState

_CANCELING: Final = "CANCELING"


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


def _settled(run: Any) -> str | None:
    """Returns why there is nothing to cancel; None when there is."""
    if run.state == _CANCELING:
        return f"run {run.run_id}: it is being cancelled already"
    state = run_state(run)
    return None if state is RunState.RUNNING else f"run {run.run_id}: it has ended already ({state})"
