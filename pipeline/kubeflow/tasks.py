"""What a run's task details say of each component.

The server reports the nodes of the workflow that it made of the pipeline: for a component `X` the node `X-driver`,
which resolves inputs and looks into the cache, then `X`, whose child `executor` is the pod that works, or is skipped
when the result is known. What is tried again has one child a try: `executor(0)`, `executor(1)`; since 2.17 that is so
at every level, from the workflow down.

A node's detail has the ids of its children, but not its own, and all components have an `executor`. Argo derives the
id from the node's name, which begins with the names of the nodes above it: so the ids that a component's nodes would
have are looked up among those that the server lists
(https://github.com/argoproj/argo-workflows/blob/v4.0.5/workflow/util/pod_name.go).

A task that is a DAG of components has such nodes, too, without a pod of its own but its driver's. Where its condition
does not hold it is skipped, and of its components there are no nodes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, takewhile
from typing import Any, Final

from pipeline.runs.record import NodeState, RunState

DRIVER_SUFFIX: Final = "-driver"
ROOT_DRIVER: Final = "root-driver"
"""Name of the driver that starts the whole pipeline, before any component."""

CANCELING: Final = "CANCELING"
"""State of a run that is being cancelled."""

_NODE_STATES: Final = {
    "PENDING": NodeState.PENDING,
    "RUNNING": NodeState.RUNNING,
    CANCELING: NodeState.RUNNING,
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
_FAILED: Final = "FAILED"
_EXECUTOR: Final = "executor"
_NO_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""The server writes a time that is not known yet as one long ago."""

_FNV_OFFSET: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193


@dataclass(frozen=True)
class TaskStatus:
    """Where a component stands."""

    state: NodeState = NodeState.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    pods: tuple[str, ...] = ()
    """Node ids of its pods, one for each attempt; empty while it has none, and when its result is from the cache."""

    error: str | None = None

    def seconds(self, now: datetime) -> float | None:
        """Returns how long it has been running, or ran; None when it did not start, or its result was known."""
        if self.started is None or self.state in (NodeState.PENDING, NodeState.SKIPPED, NodeState.CACHED):
            return None
        return max(0.0, ((self.ended or now) - self.started).total_seconds())


class RunTasks:
    """The task details of one run."""

    def __init__(self, run: Any, dags: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Constructs the tasks.

        Args:
          run: A `V2beta1Run` with the details of its tasks.
          dags: By component, the tasks that are DAGs and lead to it, from the outermost on (`Package.tasks`); one that
            is not in there is in the pipeline's own DAG.
        """
        self._paths = dict(dags or {})
        for path in (dags or {}).values():
            self._paths |= {name: path[:depth] for depth, name in enumerate(path)}
        details = (run.run_details.task_details or ()) if run.run_details is not None else ()
        self._details = [detail for detail in details if detail.display_name and detail.state]
        """Without the launcher's entries for the cache, which have neither name nor state."""

        self._named = {detail.display_name: detail for detail in self._details}
        self._ids = {child.pod_name for detail in self._details for child in detail.child_tasks or () if child.pod_name}

    def status(self, task_id: str) -> TaskStatus:
        """Returns where a component stands."""
        detail, driver = self._named.get(task_id), self._named.get(task_id + DRIVER_SUFFIX)
        if detail is None or _NODE_STATES.get(detail.state, NodeState.PENDING) is NodeState.PENDING:
            if self._is_left_out(task_id):
                return TaskStatus(NodeState.SKIPPED)
            if driver is None or driver.state != _FAILED:
                return TaskStatus()
            return _status(driver, NodeState.FAILED, self.driver_pods(task_id))
        state = _NODE_STATES[detail.state]
        if state is NodeState.COMPLETE and detail.start_time == detail.end_time:  # no pod ends in the second it starts
            return _status(detail, NodeState.CACHED, ())
        return _status(detail, state, self._pods(*self._path(task_id), task_id, _EXECUTOR))

    def driver_pods(self, task_id: str) -> tuple[str, ...]:
        """Returns the node ids of the pods of a component's driver, one for each attempt."""
        return self._pods(*self._path(task_id), task_id + DRIVER_SUFFIX)

    def driver_state(self, name: str) -> NodeState:
        """Returns where a driver stands, such as `Trainer-driver`."""
        detail = self._named.get(name)
        return NodeState.PENDING if detail is None else _NODE_STATES.get(detail.state, NodeState.PENDING)

    @property
    def root_driver_pods(self) -> tuple[str, ...]:
        """Node ids of the pods of the driver that starts the pipeline, one for each attempt."""
        names = (f"{workflow}.{ROOT_DRIVER}" for workflow in self._tries(self.workflow))
        return self._known(name for each in names for name in self._tries(each))

    def is_dag(self, name: str) -> bool:
        """Whether a task is a DAG of components; it has a driver, and no pod but that."""
        return any(name in path for path in self._paths.values())

    @property
    def workflow(self) -> str:
        """The workflow's name; empty while the server lists no node."""
        return next((node_id.rpartition("-")[0] for node_id in self._ids), "")

    @property
    def failed_driver(self) -> str | None:
        """The component, or the DAG, whose driver failed, or `root-driver`; None when no driver did."""
        failed = [detail.display_name for detail in self._details if detail.state == _FAILED]
        if ROOT_DRIVER in failed:
            return ROOT_DRIVER
        return next((name.removesuffix(DRIVER_SUFFIX) for name in failed if name.endswith(DRIVER_SUFFIX)), None)

    @property
    def has_waiting_pods(self) -> bool:
        """Whether a pod has not been placed or not been started yet."""
        names = [detail.display_name.partition("(")[0] for detail in self._details if detail.state == "PENDING"]
        return any(name == _EXECUTOR or name.endswith(DRIVER_SUFFIX) for name in names)

    def _is_left_out(self, task_id: str) -> bool:
        """Whether a DAG that leads to a component was skipped."""
        above = (self._named.get(name) for name in self._path(task_id))
        return any(detail is not None and _NODE_STATES.get(detail.state) is NodeState.SKIPPED for detail in above)

    def _path(self, task_id: str) -> tuple[str, ...]:
        """Returns the DAGs that lead to a task, without that of the pipeline."""
        return self._paths.get(task_id, ())

    def _pods(self, *path: str) -> tuple[str, ...]:
        """Returns the ids of the tries of a node that is below the pipeline's own; `path` has the names from there."""
        names = self._tries(self.workflow)
        for name in ("root", *path):
            names = [each for above in names for each in self._tries(f"{above}.{name}")]
        return self._known(names)

    def _tries(self, name: str) -> list[str]:
        """Returns the names of a node's tries, the earliest first: its own name where nothing is tried again."""
        numbered = takewhile(lambda each: self._id(each) in self._ids, (f"{name}({number})" for number in count()))
        return list(numbered) or [name]

    def _known(self, names: Iterator[str] | list[str]) -> tuple[str, ...]:
        return tuple(node_id for name in names if (node_id := self._id(name)) in self._ids)

    def _id(self, name: str) -> str:
        return f"{self.workflow}-{_fnv_1a(name)}"


def run_state(run: Any) -> RunState:
    """Returns where a run stands; one that is being cancelled is still running.

    What a cancelled run has ended with depends on the release: 2.17 writes `FAILED`, after `CANCELING`.
    """
    state = _RUN_STATES.get(run.state, RunState.RUNNING)
    was_cancelled = any(status.state == CANCELING for status in run.state_history or ())
    return RunState.INTERRUPTED if state is RunState.FAILED and was_cancelled else state


def time_or_none(time: datetime | None) -> datetime | None:
    """Returns the time with its zone, unless the server means that it is not known."""
    if time is None:
        return None
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return aware if aware > _NO_TIME else None


def _status(detail: Any, state: NodeState, pods: Sequence[str]) -> TaskStatus:
    return TaskStatus(
        state=state,
        started=time_or_none(detail.start_time),
        ended=time_or_none(detail.end_time),
        pods=tuple(pods),
        error=_error(detail),
    )


def _error(detail: Any) -> str | None:
    """Returns what the server says went wrong with a node."""
    statuses = [detail.error, *(status.error for status in reversed(detail.state_history or ()))]
    return next((str(status.message) for status in statuses if status is not None and status.message), None)


def _fnv_1a(text: str) -> int:
    """Returns the hash of 32 bits that Argo's ids end with (http://www.isthe.com/chongo/tech/comp/fnv/)."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = (value ^ byte) * _FNV_PRIME % 2**32
    return value
