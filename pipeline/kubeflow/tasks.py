"""What a run's task details say of each component.

The server reports the nodes of the workflow that it made of the pipeline: for a component `X` the node `X-driver`,
which resolves inputs and looks into the cache, then `X`, whose child `executor` is the pod that works, or is skipped
when the result is known. With a retry policy `executor` has one child an attempt: `executor(0)`, `executor(1)`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pipeline.runs.record import NodeState, RunState

_NODE_STATES: Final = {
    "PENDING": NodeState.PENDING,
    "RUNNING": NodeState.RUNNING,
    "CANCELING": NodeState.RUNNING,
    "PAUSED": NodeState.PENDING,
    "SUCCEEDED": NodeState.COMPLETE,
    "CACHED": NodeState.CACHED,
    "SKIPPED": NodeState.SKIPPED,
    "FAILED": NodeState.FAILED,
    "CANCELED": NodeState.INTERRUPTED,
}
_RUN_STATES: Final = {
    "SUCCEEDED": RunState.COMPLETE,
    "SKIPPED": RunState.COMPLETE,
    "FAILED": RunState.FAILED,
    "CANCELED": RunState.INTERRUPTED,
}
_EXECUTOR: Final = "executor"
_DRIVER_SUFFIX: Final = "-driver"
_NO_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""The server writes a time that is not known yet as one long ago."""


@dataclass(frozen=True)
class TaskStatus:
    """Where a component stands."""

    state: NodeState = NodeState.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    pods: tuple[str, ...] = ()
    """Names of its pods, one for each attempt; empty while it has none, and when the server does not tell."""

    error: str | None = None

    def seconds(self, now: datetime) -> float | None:
        """Returns how long it has been running, or ran; None when it did not start."""
        if self.started is None or self.state in (NodeState.PENDING, NodeState.SKIPPED):
            return None
        return max(0.0, ((self.ended or now) - self.started).total_seconds())


def run_state(run: Any) -> RunState:
    """Returns where a run stands; one that is being cancelled is still running."""
    return _RUN_STATES.get(run.state, RunState.RUNNING)


def time_or_none(time: datetime | None) -> datetime | None:
    """Returns the time with its zone, unless the server means that it is not known."""
    if time is None:
        return None
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return aware if aware > _NO_TIME else None


def task_statuses(run: Any, task_ids: Sequence[str]) -> dict[str, TaskStatus]:
    """Returns where the components of a run stand.

    Args:
      run: A `V2beta1Run` with the details of its tasks.
      task_ids: The components.
    """
    details = list(run.run_details.task_details or ()) if run.run_details is not None else []
    named = {detail.display_name: detail for detail in details}
    nodes = {key: detail for detail in details for key in _keys(detail)}
    return {task_id: _status(task_id, named, nodes) for task_id in task_ids}


def failed_driver(run: Any) -> str | None:
    """Returns the pod of a driver that failed: a run that fails before its first component has nothing else to show."""
    details = list(run.run_details.task_details or ()) if run.run_details is not None else []
    failed = [detail for detail in details if _is_driver(detail) and detail.state == "FAILED"]
    return str(failed[0].pod_name) if failed and failed[0].pod_name else None


def _status(task_id: str, named: dict[str, Any], nodes: dict[str, Any]) -> TaskStatus:
    detail, driver = named.get(task_id), named.get(task_id + _DRIVER_SUFFIX)
    if detail is None or _NODE_STATES.get(detail.state, NodeState.PENDING) is NodeState.PENDING:
        if driver is None or driver.state != "FAILED":
            return TaskStatus()
        return _of(driver, NodeState.FAILED, [driver])
    attempts = list(_attempts(detail, nodes)) or [detail]
    state = _NODE_STATES[detail.state]
    if state is NodeState.COMPLETE and all(attempt.state == "SKIPPED" for attempt in attempts):
        state = NodeState.CACHED
    return _of(detail, state, attempts if attempts != [detail] else [])


def _of(detail: Any, state: NodeState, attempts: Sequence[Any]) -> TaskStatus:
    errors = [error for attempt in (detail, *reversed(attempts)) if (error := _error(attempt))]
    return TaskStatus(
        state=state,
        started=time_or_none(detail.start_time),
        ended=time_or_none(detail.end_time),
        pods=tuple(attempt.pod_name for attempt in attempts if attempt.pod_name and attempt.state != "SKIPPED"),
        error=errors[0] if errors else None,
    )


def _attempts(detail: Any, nodes: dict[str, Any]) -> Iterator[Any]:
    """Yields the nodes of a component's pods, the latest attempt last."""
    executors = [node for node in _children(detail, nodes) if node.display_name == _EXECUTOR]
    for executor in executors:
        attempts = [node for node in _children(executor, nodes) if node.display_name.startswith(f"{_EXECUTOR}(")]
        yield from sorted(attempts, key=_attempt_number) or [executor]


def _attempt_number(detail: Any) -> int:
    number = detail.display_name.partition("(")[2].rstrip(")")
    return int(number) if number.isdecimal() else 0


def _children(detail: Any, nodes: dict[str, Any]) -> list[Any]:
    keys = [child.task_id or _hash(child.pod_name) for child in detail.child_tasks or ()]
    return [nodes[key] for key in keys if key in nodes]


def _keys(detail: Any) -> list[str]:
    """Returns what a parent may call this node by: its id, or the hash that ends the name of its pod."""
    return [key for key in (detail.task_id, _hash(detail.pod_name)) if key]


def _hash(pod_name: str | None) -> str:
    """Returns the end of a pod's name, which the workflow's name for the same node shares."""
    return pod_name.rpartition("-")[2] if pod_name else ""


def _is_driver(detail: Any) -> bool:
    return bool((detail.display_name or "").endswith(_DRIVER_SUFFIX))


def _error(detail: Any) -> str | None:
    """Returns what the server says went wrong with a node."""
    statuses = [detail.error, *(status.error for status in reversed(detail.state_history or ()))]
    return next((str(status.message) for status in statuses if status is not None and status.message), None)
