"""Runs the images of a package in containers of this machine, under Kubeflow's own `kfp.local`.

It shows what processes cannot: that the images start, and hold what the components need. It leaves out what `kfp.local`
leaves out: object store, cache, ML Metadata, retries, deadlines, and limits of resources.
"""

import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.dry_run.pod import end_of_pod, missing_secrets, secret_variables, written_since
from pipeline.kubeflow.dry_run.runner import PackageRun, record_package_run
from pipeline.kubeflow.dry_run.specification import DryRunRequest
from pipeline.kubeflow.findings import StoredArtifact
from pipeline.kubeflow.package import Package
from pipeline.runs.record import NodeRecord, NodeState, RunRecord
from trainer_module.errors import ConfigError

_OUTPUT_FILE: Final = "executor_output.json"
_INDENT: Final = " " * 4


def docker_run(package: Package, request: DryRunRequest) -> RunRecord:
    """Executes a package in Docker containers.

    Returns:
      The record of the run, also of one that failed or was interrupted.

    Raises:
      ConfigError: The package, a parameter or the root cannot be used, or no Docker engine
        answers; no run was recorded.
      PetsegError: The root cannot be written to, is full, or is used by another run.
    """
    check_engine()
    return record_package_run(_DockerRun, package, request)


def check_engine() -> None:
    """Checks that a Docker engine answers.

    Raises:
      ConfigError: None does.
    """
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env()
        try:
            client.ping()
        finally:
            client.close()
    except DockerException as error:
        raise ConfigError(
            f"no Docker engine answers ({error}); start it, set DOCKER_HOST, or leave out --docker to run every "
            "component as a process"
        ) from error


class _DockerRun(PackageRun):
    """One run under `kfp.local`; it hears of the components by the files they leave."""

    def _run(self) -> None:
        from kfp import components, local

        file = self._files.directory / "package.yaml"
        self._package.save(file)
        self._record.nodes = [NodeRecord(id=task.id) for task in self._tasks]
        for variable in missing_secrets(self._tasks):
            self._display.notice(f"{variable} is not set: in a cluster it comes from a secret, here it is left out")
        root = self._files.directory / "local_outputs"
        root.mkdir()
        runner = local.DockerRunner(environment=self._environment(), mounts=self._mounts())
        local.init(runner=runner, pipeline_root=str(root), raise_on_error=True)
        self._display.notice("running the containers; the log has what they write")
        pipeline = components.load_component_from_file(str(file))
        start = self._files.log.stat().st_size
        try:
            with self._files.log.open("a", encoding="utf-8") as log, redirect_stdout(log):
                pipeline(**self._values)
        except RuntimeError as error:
            self._report(root)
            raise end_of_pod(None, _of_containers(written_since(self._files.log, start))) from error
        self._report(root)

    def _tidy(self) -> None:
        """Does nothing: Docker removes the containers that ended."""

    def _report(self, root: Path) -> None:
        """Records which components are done, and what they left; the first that left nothing has failed."""
        from kfp.local.executor_input_utils import get_local_task_resource_name

        for task in self._tasks:
            directory = get_local_task_resource_name(task.spec.component_ref.name)
            file = next(root.glob(f"*/{directory}/{_OUTPUT_FILE}"), None)
            if file is None:
                self.node_started(task.id)
                return
            self.node_finished(task.id, NodeState.COMPLETE, _outputs(file))
            self._record.node(task.id).seconds = None

    def _environment(self) -> dict[str, str]:
        """Returns the variables of every container: `kfp.local` has none for a single one."""
        environment = {variable.name: variable.value for task in self._tasks for variable in task.container.env}
        names = {name for task in self._tasks for name in secret_variables(task)}
        return environment | {name: os.environ[name] for name in sorted(names) if name in os.environ}

    def _mounts(self) -> list[Any]:
        """Returns the volumes, which every container has: `kfp.local` has none for a single one."""
        from docker.types import Mount

        claims = {path: claim for task in self._tasks for path, claim in task.volumes.items()}
        mounts = []
        for path, claim in sorted(claims.items()):
            directory = self._store.root / "volumes" / claim
            directory.mkdir(parents=True, exist_ok=True)
            mounts.append(Mount(target=path, source=str(directory), type="bind"))
        return mounts


def _of_containers(written: str) -> str:
    """Returns what containers wrote of what `kfp.local` prints: it indents their lines."""
    lines = written.splitlines(keepends=True)
    return "".join(line.removeprefix(_INDENT) for line in lines if line.startswith(_INDENT))


def _outputs(file: Path) -> dict[str, list[StoredArtifact]]:
    """Returns what a component's output file tells of: its artifacts, and its parameters as if they were some."""
    output = json_format.Parse(file.read_text(encoding="utf-8"), pipeline_spec_pb2.ExecutorOutput())
    found = {
        name: [StoredArtifact(Path(artifact.uri), json_format.MessageToDict(artifact.metadata))]
        for name, channel in output.artifacts.items()
        for artifact in channel.artifacts
    }
    parameters = {name: json_format.MessageToDict(value) for name, value in output.parameter_values.items()}
    return found | {name: [StoredArtifact.of_parameter(value)] for name, value in parameters.items()}
