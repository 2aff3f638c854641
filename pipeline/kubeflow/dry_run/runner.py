"""Runs a compiled package from its first task to its last, one process a task.

Everything is under one root, laid out as `petseg run` does it, so that `petseg runs` lists dry-runs:

    executions.jsonl                executions and artifacts of the dry-runs
    object_store/<scheme>/<bucket>/ artifacts, by their URI
    volumes/<claim>/                the volumes of the pods
    runs/<run id>/package.yaml      the package
                  run.json          the record
                  run.log           everything the pods wrote
                  pods/<task>/      the files of a pod; gone when it is done, unless they are to be kept or it failed
    .lock                           held by the dry-run that is going on

A run that is complete forgets the older ones of its pipeline, but for some: their artifacts go, except those that a
later run took from the cache; their records and logs stay.
"""

import itertools
import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.config.kubeflow import DEFAULT_PIPELINE_ROOT
from pipeline.kubeflow.arguments import runtime_values
from pipeline.kubeflow.artifacts import StoredArtifact
from pipeline.kubeflow.dry_run.artifacts import ObjectStore, check_directory
from pipeline.kubeflow.dry_run.driver import Scope, cache_key, executor_input, inner_scope
from pipeline.kubeflow.dry_run.launcher import Launcher
from pipeline.kubeflow.dry_run.metadata import Execution, Metadata
from pipeline.kubeflow.dry_run.pod import PodFailedError, PodLostError, PodProcess, missing_secrets, sleep_before_retry
from pipeline.kubeflow.dry_run.specification import (
    AnyTask,
    DagTask,
    DryRunRequest,
    Task,
    container_tasks,
    new_record,
    parse_tasks,
)
from pipeline.kubeflow.package import Package, check_compiled_by_this_code
from pipeline.runs.record import NodeRecord, NodeState, RunRecord, RunState, run_environment
from pipeline.runs.session import RecordedRun, record_run
from pipeline.runs.store import RunFiles, RunStore
from trainer_module.errors import PetsegError

_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedPackage:
    """A package that can be run here, and how."""

    package: Package
    tasks: tuple[AnyTask, ...]
    """Of the outermost DAG, in the order in which they run."""

    values: dict[str, Any]
    """Of all runtime parameters."""

    request: DryRunRequest


class PackageRun(RecordedRun):
    """One run of a package."""

    def __init__(self, checked: CheckedPackage, store: RunStore, run_id: str, files: RunFiles) -> None:
        """Constructs the run.

        Args:
          checked: What to run.
          store: Where the run is recorded.
          run_id: Its id there.
          files: Its own files there.
        """
        record = new_record(checked.package, checked.values, run_id, files.log)
        super().__init__(store, files, record, show_on_stderr=checked.request.show_on_stderr)
        self._package = checked.package
        self._dag = checked.tasks
        self._tasks = list(container_tasks(checked.tasks))
        self._values = checked.values
        self._request = checked.request

    def _write_report(self, *, with_pictures: bool) -> Path:
        from pipeline.report.page import write_report

        return write_report(self._record, self._files.directory, with_pictures=with_pictures).page


def record_package_run(kind: type[PackageRun], package: Package, request: DryRunRequest) -> RunRecord:
    """Checks that a package can be run here, runs it, and returns the record, also of a run that failed.

    Raises:
      ConfigError: The package, a parameter or the root cannot be used; no run was recorded.
      PetsegError: The root cannot be written to, is full, or is used by another run.
    """
    store = RunStore(request.root)
    check_compiled_by_this_code(package.pipeline_spec)
    checked = CheckedPackage(package, parse_tasks(package), runtime_values(package, request.parameters), request)
    return record_run(store, lambda run_id, files: kind(checked, store, run_id, files))


def dry_run(package: Package, request: DryRunRequest) -> RunRecord:
    """Executes a package on this machine.

    Returns:
      The record of the run, also of one that failed or was interrupted.

    Raises:
      ConfigError: The package, a parameter or the root cannot be used; no run was recorded.
      PetsegError: The root cannot be written to, is full, or is used by another run.
    """
    check_directory(RunStore(request.root).root)
    return record_package_run(_DryRun, package, request)


class _DryRun(PackageRun):
    """One run of a package; it stands for the server, and for the driver of each task."""

    def __init__(self, checked: CheckedPackage, store: RunStore, run_id: str, files: RunFiles) -> None:
        super().__init__(checked, store, run_id, files)
        self._objects = ObjectStore(store.root / "object_store")
        self._process = PodProcess(files.log)
        self._metadata = Metadata(store.root / "executions.jsonl", checked.package.name, run_id)
        self._execution: Execution | None = None

    def _run(self) -> None:
        self._package.save(self._files.directory / "package.yaml")
        self._record.nodes = [NodeRecord(id=task.id) for task in self._tasks]
        for variable in missing_secrets(self._tasks):
            self._warn(f"{variable} is not set: in a cluster it comes from a secret, here the components go without it")
        launcher = Launcher(self._objects, self._metadata, self._store.root / "volumes", self._process)
        self._run_dag(self._dag, Scope(self._values), launcher)
        self._forget_old_runs()
        self._record.environment = run_environment()

    def _tidy(self) -> None:
        if self._execution is not None:
            self._metadata.fail(self._execution)
        if self._interruption.requested:
            shutil.rmtree(self._pods, ignore_errors=True)

    def _warn(self, text: str) -> None:
        """Shows a line, and keeps it in the log, where the live table does not wipe it out."""
        self._display.notice(text)
        _LOGGER.warning(text)

    def _abort(self) -> None:
        self._process.kill()
        super()._abort()

    @property
    def _pods(self) -> Path:
        return self._files.directory / "pods"

    def _run_dag(self, tasks: Iterable[AnyTask], scope: Scope, launcher: Launcher) -> None:
        """Runs the tasks of a DAG; one whose condition does not hold is left out, and so is who waits for it."""
        left_out: set[str] = set()
        for task in tasks:
            if left_out & {*task.spec.dependent_tasks}:
                left_out.add(task.id)
                self._leave_out(task, "it waits for what is left out")
            elif isinstance(task, Task):
                self._run_task(task, scope, launcher)
            elif isinstance(task, DagTask):
                inner = inner_scope(task, scope)
                if task.condition is None or inner.parameters[task.condition.parameter] is task.condition.value:
                    self._run_dag(task.tasks, inner, launcher)
                else:
                    left_out.add(task.id)
                    self._leave_out(task, f"its condition does not hold: {task.condition}")

    def _leave_out(self, task: AnyTask, reason: str) -> None:
        self._warn(f"{task.id} is left out: {reason}")
        for each in container_tasks([task]):
            self.node_finished(each.id, NodeState.SKIPPED, {})

    def _run_task(self, task: Task, scope: Scope, launcher: Launcher) -> None:
        self.node_started(task.id)
        root = f"{self._artifacts_root}/{self._record.run_id}/{task.id}"
        message = executor_input(task, scope, root)
        key = cache_key(task, message) if self._request.use_cache and task.spec.caching_options.enable_cache else None
        self._execution = execution = self._metadata.start(task.id, message, key)
        earlier = self._metadata.cached(key) if key else None
        if earlier is not None:
            self._metadata.reuse(execution, earlier)
        else:
            self._launch_with_retries(task, launcher, execution, message)
        self._execution = None
        scope.upstream[task.id] = execution
        self.node_finished(task.id, NodeState.CACHED if earlier else NodeState.COMPLETE, self._outputs(task, execution))

    def _launch_with_retries(self, task: Task, launcher: Launcher, execution: Execution, message: Any) -> None:
        """Starts the pod of a task again as often as its retry policy says, when it was lost.

        As Kubeflow Pipelines 2.17 is installed, a pod that ends with an error, or after its deadline, stays failed;
        2.14 to 2.16 have it the other way round.
        """
        pod = self._pods / task.id
        for attempt in itertools.count():
            try:
                launcher.launch(task, execution, message, pod, attempt)
            except (PodFailedError, PetsegError) as error:
                self._interruption.check()
                if not isinstance(error, PodLostError) or attempt >= task.spec.retry_policy.max_retry_count:
                    self._warn(f"{task.id}: the files of its pod are in {pod}")
                    raise
                self._log(error)
                sleep_before_retry(task, attempt + 1, self._warn)
            else:
                break
        if not self._request.keep_pods:
            shutil.rmtree(pod)

    def _outputs(self, task: Task, execution: Execution) -> dict[str, list[StoredArtifact]]:
        """Returns what a component left, for the record: its artifacts, and its parameters as if they were some."""
        artifacts, declared = execution.artifacts, task.component.output_definitions.artifacts
        outputs = {name: [self._stored(artifacts[name])] for name in declared if name in artifacts}
        parameters = execution.parameters
        return outputs | {name: [StoredArtifact.of_parameter(value)] for name, value in parameters.items()}

    def _stored(self, artifact: pipeline_spec_pb2.RuntimeArtifact) -> StoredArtifact:
        return StoredArtifact(self._objects.path(artifact.uri), json_format.MessageToDict(artifact.metadata))

    def _forget_old_runs(self) -> None:
        """Removes the artifacts of runs before the newest complete ones; a run where that fails is as good.

        Runs that left tasks out do not count: they would soon be all that is kept.
        """
        kept = {self._record.run_id}
        complete = int(_ran_all(self._record))
        try:
            for run_id in self._store.run_ids():
                if complete == self._request.keep_runs:
                    break
                record = self._store.record(run_id)
                if record.pipeline == self._package.name and run_id not in kept:
                    kept.add(run_id)
                    complete += record.state is RunState.COMPLETE and _ran_all(record)
            removed = self._objects.remove_others(self._artifacts_root, kept, self._metadata.forget_others(kept))
        except (OSError, PetsegError) as error:
            self._warn(f"the artifacts of older runs are not removed: {error}")
            return
        if removed:
            self._warn(f"removed the artifacts of {removed} older runs (--keep-runs {self._request.keep_runs})")

    @property
    def _artifacts_root(self) -> str:
        """The URI that the artifacts of the pipeline go under: that which the package was compiled for."""
        root = str(self._package.pipeline_spec.get("defaultPipelineRoot") or "") or DEFAULT_PIPELINE_ROOT
        return f"{root.rstrip('/')}/{self._package.name}"


def _ran_all(record: RunRecord) -> bool:
    return all(node.state is not NodeState.SKIPPED for node in record.nodes)
