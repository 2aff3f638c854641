"""A run on the server, as a record.

The record is what `petseg run` keeps of a run here, as far as the server tells it. What a component found (metrics,
whether the model was blessed and pushed) is read elsewhere (`pipeline.kubeflow.outcome`). The run itself goes on
whether or not it is followed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from pipeline.kubeflow.client import KubeflowClient
from pipeline.kubeflow.cluster import ClusterError, RunPods
from pipeline.kubeflow.outcome import RunOutcome
from pipeline.kubeflow.pod_logs import ComponentPod, NoLogError, PodLogs
from pipeline.kubeflow.tasks import CANCELING, DRIVER_SUFFIX, ROOT_DRIVER, RunTasks, TaskStatus, run_state, time_or_none
from pipeline.runs.record import NodeRecord, NodeState, RunRecord, RunState
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError, PetsegError

_TAIL_LINES: Final = 15
_LAST_WORDS: Final = (
    re.compile(r"^petseg \d\d:\d\d:\d\d \S+: failed: (.*)$", re.MULTILINE),
    re.compile(r"^F\d{4} [\d:.]+ +\d+ \S+\] (.*)$", re.MULTILINE),
)
"""What a component of ours says when it fails; then what drivers and launchers of Kubeflow Pipelines say."""


@dataclass(frozen=True)
class Failure:
    """Why a run failed."""

    message: str
    log_lines: list[str]
    """Last lines of the failed pod's log, when the message does not say it all."""


def brief_record(run: Any) -> RunRecord:
    """Returns the record of a run without its components, as lists show it."""
    config = run.runtime_config
    record = RunRecord(
        run_id=run.run_id,
        pipeline=run.display_name or "",
        preset=None,
        started=time_or_none(run.created_at) or datetime.now(UTC),
        settings={
            "pipeline_root": config.pipeline_root if config else None,
            "parameters": dict(config.parameters or {}) if config else {},
        },
        log=f"petseg kubeflow logs {run.run_id} COMPONENT",
    )
    _update(record, run)
    return record


class RemoteRun:
    """One run on the server."""

    def __init__(self, client: KubeflowClient, run: Any) -> None:
        """Constructs the run.

        Args:
          client: Of the server.
          run: A `V2beta1Run`.

        Raises:
          PetsegError: It is not of an uploaded package, or the package cannot be read.
        """
        reference = run.pipeline_version_reference
        if reference is None:
            raise PetsegError(
                f"the run {run.run_id} is not of an uploaded package; `petseg kubeflow submit` starts one"
            )
        package = client.package(reference.pipeline_id, reference.pipeline_version_id)
        self._client = client
        self._run = run
        self._dags = package.tasks
        self._tasks = RunTasks(run, self._dags)
        self._statuses: dict[str, TaskStatus] = {}
        self.logs = PodLogs(client, lambda: self._pods, run, package.name)
        self.record = brief_record(run)
        self.record.pipeline = package.name
        self.record.nodes = [NodeRecord(id=task_id) for task_id in self._dags]
        self.outcome = RunOutcome(self.record, client.artifacts, self._latest_log)
        self._take(run)

    @classmethod
    def load(cls, client: KubeflowClient, run_id: str) -> "RemoteRun":
        """Reads a run.

        Raises:
          PetsegError: There is no such run, or it is not of an uploaded package.
        """
        return cls(client, client.run(run_id))

    @property
    def has_ended(self) -> bool:
        return self.record.state is not RunState.RUNNING

    def refresh(self) -> list[NodeRecord]:
        """Brings the record up to date.

        Returns:
          The components whose state or summary has changed.

        Raises:
          KubeflowApiError: The run cannot be read.
        """
        return self._take(self._client.run(self.record.run_id))

    def attempts(self, component: str) -> list[ComponentPod]:
        """Returns the pods of a component, or of a driver, such as `Trainer-driver` and `root-driver`, in order.

        Raises:
          PetsegError: The run has no such component.
        """
        prepared = component.removesuffix(DRIVER_SUFFIX)
        node_ids = self._tasks.driver_pods(prepared)
        if component in self._statuses:
            node_ids = self._statuses[component].pods
        elif component == ROOT_DRIVER:
            node_ids = self._tasks.root_driver_pods
        elif prepared not in self._statuses and not (prepared != component and self._tasks.is_dag(prepared)):
            suggestion = nearest(component, self._statuses)
            raise PetsegError(
                f"the run {self.record.run_id} has no component {component!r}; did you mean {suggestion!r}?"
            )
        return [ComponentPod(component, number, node_id) for number, node_id in enumerate(node_ids)]

    def state(self, component: str) -> NodeState:
        """Returns where a component or a driver stands."""
        if component in self._statuses:
            return self.record.node(component).state
        return self._tasks.driver_state(component)

    def explain_failure(self) -> Failure:
        """Returns why the run failed, from what the server says and from the log of the pod that failed."""
        failed = next((node.id for node in self.record.nodes if node.state is NodeState.FAILED), None)
        driver = self._tasks.failed_driver
        if driver == ROOT_DRIVER:
            what = f"{ROOT_DRIVER}, the driver that starts the pipeline,"
            pod = ROOT_DRIVER
            message = f"no component has run; all of its log: {self._log_command(pod)}"
        elif driver is not None and driver == (failed or driver):
            what = f"{driver}-driver, which prepares {driver},"
            pod = driver + DRIVER_SUFFIX
            message = f"all of its log: {self._log_command(pod)}"
        elif failed is None:
            what, pod = "the run", ROOT_DRIVER
            message = (self._run.error.message if self._run.error else None) or (
                f"it failed outside of its components; see the workflow: kubectl describe workflow -n "
                f"{self._client.access.namespace} {self._tasks.workflow}"
            )
        else:
            what, pod = failed, failed
            message = self._statuses[failed].error or f"its pod failed; all of its log: {self._log_command(pod)}"
        return self._from_log(what, message, self.attempts(pod))

    def read_all(self) -> None:
        """Brings what the components have found, and why the run failed if it did, into the record."""
        self.outcome.read(is_last=True)
        if self.record.state is RunState.FAILED:
            self.record.error = self.explain_failure().message

    @property
    def is_being_cancelled(self) -> bool:
        return bool(self._run.state == CANCELING)

    @cached_property
    def _pods(self) -> RunPods | None:
        """The pods of the namespace; None where this machine has no way to the cluster."""
        try:
            return RunPods(self._client.config)
        except ConfigError:
            return None

    def _latest_log(self, component: str) -> str | None:
        """Returns the log of the latest pod of a component that is done; None where it had none."""
        attempts = self.attempts(component)
        return self.logs.read(attempts[-1], is_running=False).text if attempts else None

    def _take(self, run: Any) -> list[NodeRecord]:
        self._run = run
        self._tasks = RunTasks(run, self._dags)
        _update(self.record, run)
        self._statuses = {node.id: self._tasks.status(node.id) for node in self.record.nodes}
        waiting = self._waiting()
        now = datetime.now(UTC)
        changed = [node for node in self.record.nodes if self._update_node(node, now, waiting)]
        if self.record.state is RunState.FAILED and self.record.error is None:
            self.record.error = "the run failed"
        return changed

    def _update_node(self, node: NodeRecord, now: datetime, waiting: Mapping[str, str]) -> bool:
        """Brings one component up to date; returns whether its state, or what it waits for, has changed."""
        status = self._statuses[node.id]
        state = status.state
        if self.has_ended and state is NodeState.PENDING:
            # A server does not tell the tasks of a workflow beyond 1 MiB; a run is complete when all of them are.
            state = NodeState.COMPLETE if self.record.state is RunState.COMPLETE else NodeState.SKIPPED
        if self.has_ended and state is NodeState.RUNNING:
            state = NodeState(self.record.state.value)
        if self.record.state is RunState.INTERRUPTED and state is NodeState.FAILED:
            state = NodeState.INTERRUPTED  # so the server calls what it has stopped
        before = (node.state, node.summary)
        if state is not node.state or state is NodeState.RUNNING:
            attempt = f"attempt {len(status.pods)}" if len(status.pods) > 1 else ""
            node.summary = ", ".join(filter(None, [attempt, waiting.get(node.id)]))
        if state in (NodeState.COMPLETE, NodeState.CACHED) and state is not node.state:
            self.outcome.expect(node.id)
        node.seconds = status.seconds(now)
        node.state = state
        return (node.state, node.summary) != before

    def _waiting(self) -> dict[str, str]:
        """Returns why pods wait, by component; nothing where nobody says."""
        if self.has_ended or not self._tasks.has_waiting_pods or self._pods is None:
            return {}
        try:
            pods = self._pods.of_run(self.record.run_id)
            latest = {
                task_id: pods.get(node_id)
                for task_id in self._statuses
                for node_id in (*self._tasks.driver_pods(task_id), *self._statuses[task_id].pods)
            }
            reasons = {task_id: self._pods.why_waiting(pod) for task_id, pod in latest.items() if pod is not None}
        except ClusterError:
            return {}
        return {task_id: f"its pod waits: {reason}" for task_id, reason in reasons.items() if reason}

    def _from_log(self, component: str, message: str, attempts: list[ComponentPod]) -> Failure:
        """Returns the failure with what the log of its latest pod adds to it."""
        try:
            log = self.logs.read(attempts[-1], is_running=False).text if attempts else ""
        except NoLogError as error:
            return Failure(f"{component} failed: {message}; {error}", [])
        for pattern in _LAST_WORDS:
            if said := pattern.findall(log):
                return Failure(f"{component} failed: {said[-1]}", [])
        lines = [line.rstrip() for line in log.splitlines() if line.strip()]
        return Failure(f"{component} failed: {message}", lines[-_TAIL_LINES:])

    def _log_command(self, component: str) -> str:
        return f"petseg kubeflow logs {self.record.run_id} {component}"


def _update(record: RunRecord, run: Any) -> None:
    record.state = run_state(run)
    ended = time_or_none(run.finished_at) if record.state is not RunState.RUNNING else None
    record.seconds = max(0.0, ((ended or datetime.now(UTC)) - record.started).total_seconds())
    if record.state is RunState.FAILED and run.error is not None and run.error.message:
        record.error = run.error.message
    if record.state is RunState.INTERRUPTED:
        record.error = "the run was cancelled"
