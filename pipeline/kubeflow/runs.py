"""A run on the server: as a record, followed until it ends or the user has seen enough, and stopped.

The record is what `petseg run` keeps of a run here, as far as the server tells it. Metrics, blessing and pushed model
are in the artifacts of the run, which its API does not give out; they stay unknown. The run itself goes on whether or
not it is followed.
"""

import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from pipeline.kubeflow.client import KubeflowClient
from pipeline.kubeflow.tasks import TaskStatus, failed_driver, run_state, task_statuses, time_or_none
from pipeline.kubeflow.transport import KubeflowApiError
from pipeline.runs.display import RunDisplay, open_display
from pipeline.runs.progress import ProgressFollower
from pipeline.runs.record import NodeRecord, NodeState, RunRecord, RunState
from pipeline.suggestions import nearest
from pipeline.terminal.streams import lasting
from trainer_module.errors import PetsegError

POLL_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 600.0
"""How long the server may be away before following ends."""

_CANCELING: Final = "CANCELING"
_TAIL_LINES: Final = 15
_FAILURE_LINE: Final = re.compile(r"^petseg \d\d:\d\d:\d\d \S+: failed: (.*)$", re.MULTILINE)


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
        self._statuses: dict[str, TaskStatus] = {}
        self.record = brief_record(run)
        self.record.pipeline = package.name
        self.record.nodes = [NodeRecord(id=task_id) for task_id in package.task_ids]
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
          The components whose state has changed.

        Raises:
          KubeflowApiError: The run cannot be read.
        """
        return self._take(self._client.run(self.record.run_id))

    def status(self, component: str) -> TaskStatus:
        """Returns where a component stands.

        Raises:
          PetsegError: The run has no such component.
        """
        if component not in self._statuses:
            suggestion = nearest(component, self._statuses)
            raise PetsegError(
                f"the run {self.record.run_id} has no component {component!r}; did you mean {suggestion!r}?"
            )
        return self._statuses[component]

    def explain_failure(self) -> Failure:
        """Returns why the run failed, from what the server says and from the log of the pod that failed."""
        failed = next((node.id for node in self.record.nodes if node.state is NodeState.FAILED), None)
        if failed is None:
            message = (self._run.error.message if self._run.error else None) or "it failed outside of its components"
            return self._from_log("the run", message, failed_driver(self._run))
        status = self._statuses[failed]
        message = status.error or f"its pod failed; read the log: petseg kubeflow logs {self.record.run_id} {failed}"
        return self._from_log(failed, message, status.pods[-1] if status.pods else None)

    def _take(self, run: Any) -> list[NodeRecord]:
        self._run = run
        _update(self.record, run)
        self._statuses = task_statuses(run, [node.id for node in self.record.nodes])
        now = datetime.now(UTC)
        changed = [node for node in self.record.nodes if self._update_node(node, now)]
        if self.record.state is RunState.FAILED and self.record.error is None:
            self.record.error = "the run failed"
        return changed

    def _update_node(self, node: NodeRecord, now: datetime) -> bool:
        """Brings one component up to date; returns whether its state has changed."""
        status = self._statuses[node.id]
        state = status.state
        if self.has_ended and state is NodeState.PENDING:
            state = NodeState.SKIPPED
        if self.has_ended and state is NodeState.RUNNING:
            state = NodeState(self.record.state.value)
        attempts = len(status.pods)
        is_new = state is not node.state
        node.seconds = status.seconds(now)
        node.summary = f"attempt {attempts}" if attempts > 1 else ""
        node.state = state
        return is_new

    def _from_log(self, component: str, message: str, pod: str | None) -> Failure:
        """Returns the failure with what the pod's log adds to it."""
        log = ""
        if pod is not None:
            try:
                log = self._client.log(self.record.run_id, pod)
            except KubeflowApiError:
                command = f"kubectl logs -n {self._client.access.namespace} {pod} -c main"
                return Failure(f"{component} failed: {message}; the server cannot read its log: {command}", [])
        own = _FAILURE_LINE.findall(log)
        if own:
            return Failure(f"{component} failed: {own[-1]}", [])
        lines = [line.rstrip() for line in log.splitlines() if line.strip()]
        return Failure(f"{component} failed: {message}", lines[-_TAIL_LINES:])


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


def _update(record: RunRecord, run: Any) -> None:
    record.state = run_state(run)
    ended = time_or_none(run.finished_at) if record.state is not RunState.RUNNING else None
    record.seconds = max(0.0, ((ended or datetime.now(UTC)) - record.started).total_seconds())
    if record.state is RunState.FAILED and run.error is not None and run.error.message:
        record.error = run.error.message
    if record.state is RunState.INTERRUPTED:
        record.error = "the run was cancelled"


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


def _settled(run: Any) -> str | None:
    """Returns why there is nothing to cancel; None when there is."""
    if run.state == _CANCELING:
        return f"run {run.run_id}: it is being cancelled already"
    state = run_state(run)
    return None if state is RunState.RUNNING else f"run {run.run_id}: it has ended already ({state})"
