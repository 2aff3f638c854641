"""Runs the images of a package in containers of this machine, under Kubeflow's own `kfp.local`.

It shows what processes cannot: that the images start, and hold what the components need. It leaves out what `kfp.local`
leaves out: object store, cache, ML Metadata, retries, deadlines, and limits of resources.

A container runs as whoever asked for the dry-run, so that what it leaves is theirs, and its command takes the place of
the image's entrypoint, as in a cluster. By a label with the dry-run's root those are found and ended that go on: when
the run is interrupted, or when an earlier one was killed.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Final, TextIO

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.artifacts import StoredArtifact
from pipeline.kubeflow.dry_run.artifacts import Mounts
from pipeline.kubeflow.dry_run.pod import end_of_pod, missing_secrets, secret_variables, written_since
from pipeline.kubeflow.dry_run.runner import CheckedPackage, PackageRun, record_package_run
from pipeline.kubeflow.dry_run.specification import DryRunRequest, Task
from pipeline.kubeflow.package import Package
from pipeline.runs.record import NodeRecord, NodeState, RunRecord
from pipeline.runs.store import RunFiles, RunStore
from trainer_module.errors import ConfigError, PetsegError

ROOT_LABEL: Final = "petseg.dry_run_root"
"""The label of every container; its value is the root of the dry-run, which one dry-run at a time holds."""

_OUTPUT_FILE: Final = "executor_output.json"
_INDENT: Final = " " * 4
_NO_ENTRYPOINT: Final = ("",)
"""What tells an engine to start the command without the image's entrypoint; it takes an empty list for nothing said."""

_GRACE_SECONDS: Final = 30
"""What Kubernetes leaves a pod between SIGTERM and SIGKILL."""


def docker_run(package: Package, request: DryRunRequest) -> RunRecord:
    """Executes a package in Docker containers.

    Returns:
      The record of the run, also of one that failed or was interrupted.

    Raises:
      ConfigError: The package, a parameter or the root cannot be used, no Docker engine answers,
        or it can get no image of the package; no run was recorded.
      PetsegError: The root cannot be written to, is full, or is used by another run.
    """
    with _engine():
        return record_package_run(_DockerRun, package, request)


@contextmanager
def _engine() -> Iterator[Any]:
    """Yields the client of a Docker engine that answers.

    Raises:
      ConfigError: None does.
    """
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        raise ConfigError(
            f"no Docker engine answers ({error}); start it, set DOCKER_HOST, see that this user may use it, or leave "
            "out --docker to run every component as a process"
        ) from error
    try:
        yield client
    finally:
        client.close()


class _DockerRun(PackageRun):
    """One run under `kfp.local`; it hears of the components by what that prints, and by the files they leave."""

    def __init__(self, checked: CheckedPackage, store: RunStore, run_id: str, files: RunFiles) -> None:
        super().__init__(checked, store, run_id, files)
        self._outputs_root = files.directory / "local_outputs"
        self._running: Task | None = None
        self._start = 0
        """Where in the log the running task begins."""

    def _run(self) -> None:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        with _engine() as client:
            self._get_images(client)
            runner_arguments = self._runner_arguments(client)
        self._stop_containers()
        self._package.save(self._files.directory / "package.yaml")
        self._record.nodes = [NodeRecord(id=task.id) for task in self._tasks]
        for variable in missing_secrets(self._tasks):
            self._display.notice(f"{variable} is not set: in a cluster it comes from a secret, here it is left out")
        self._display.notice("running the containers; the log has what they write")
        try:
            self._run_under_kfp(runner_arguments)
        except (DockerException, RequestException) as error:
            raise PetsegError(f"the Docker engine refused a container, or went away: {_words(error)}") from error
        except (RuntimeError, ValueError) as error:
            self._end_task(has_failed=isinstance(error, RuntimeError))
            raise PetsegError(f"kfp.local did not run the package: {error}") from error
        self._end_task()
        for node in [node for node in self._record.nodes if node.state is NodeState.PENDING]:
            self.node_finished(node.id, NodeState.SKIPPED, {})  # its condition does not hold

    def _run_under_kfp(self, runner_arguments: dict[str, Any]) -> None:
        """Runs the package.

        Raises:
          RuntimeError: A container failed.
          ValueError: There is no output of a task that it takes to have succeeded.
          DockerException: The engine refused something.
          RequestException: The engine went away.
          Exception: What a task that had ended left cannot be reported.
        """
        from kfp import components, local

        self._outputs_root.mkdir()
        runner = local.DockerRunner(**runner_arguments)
        local.init(runner=runner, pipeline_root=str(self._outputs_root), raise_on_error=True)
        pipeline = components.load_component_from_file(str(self._files.directory / "package.yaml"))
        with self._files.log.open("a", encoding="utf-8") as log, redirect_stdout(_KfpOutput(log, self._announced())):
            try:
                pipeline(**self._values)
            except _CannotGoOn as end:
                raise end.reason from None

    def _announced(self) -> dict[str, Callable[[], None]]:
        """Returns what is to be done when `kfp.local` prints a text."""
        from kfp.local.logging_utils import format_task_name

        def start(task: Task) -> Callable[[], None]:
            return lambda: self._start_task(task)

        return {f"Executing task {format_task_name(_resource_name(task))}": start(task) for task in self._tasks}

    def _start_task(self, task: Task) -> None:
        try:
            self._end_task()
            self.node_started(task.id)
        except Exception as error:
            raise _CannotGoOn(error) from error
        self._running, self._start = task, self._files.log.stat().st_size

    def _end_task(self, *, has_failed: bool = False) -> None:
        """Reports what the running task left.

        An engine removes a container as soon as it has ended, and `kfp.local` takes one that is gone for a success. So
        a task has failed as well when it left no output file.

        Raises:
          PetsegError, PodFailedError: The task has failed; what it wrote says why.
        """
        task, self._running = self._running, None
        if task is None:
            return
        file = next(self._outputs_root.glob(f"*/{_resource_name(task)}/{_OUTPUT_FILE}"), None)
        if has_failed or file is None:
            raise end_of_pod(None, _of_containers(written_since(self._files.log, self._start)))
        self.node_finished(task.id, NodeState.COMPLETE, _outputs(file, Mounts(self._volumes())))

    def _tidy(self) -> None:
        self._stop_containers()

    def _abort(self) -> None:
        with suppress(PetsegError):
            self._stop_containers(grace_seconds=0)
        super()._abort()

    def _stop_containers(self, grace_seconds: int = _GRACE_SECONDS) -> None:
        """Ends what goes on of the root's containers, and waits until the engine has removed them."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            with _engine() as client:
                for container in client.containers.list(filters={"label": f"{ROOT_LABEL}={self._store.root}"}):
                    with suppress(DockerException):  # it has ended by itself
                        container.stop(timeout=grace_seconds)
                        container.wait(condition="removed", timeout=_GRACE_SECONDS)
        except (DockerException, RequestException) as error:
            raise PetsegError(f"the Docker engine does not end the containers that go on: {_words(error)}") from error

    def _get_images(self, client: Any) -> None:
        """Has the engine pull those images of the package that it has not.

        Raises:
          ConfigError: It cannot.
        """
        from docker.errors import DockerException, ImageNotFound

        for image in sorted({task.container.image for task in self._tasks}):
            try:
                try:
                    client.images.get(image)
                except ImageNotFound:
                    self._display.notice(f"the Docker engine has no image {image}: pulling it")
                    client.images.pull(image)
            except DockerException as error:
                raise ConfigError(
                    f"the Docker engine has no image {image!r}, which the package names, and cannot pull it "
                    f"({_words(error)}); build it by make image TAG={image}, or compile the package with "
                    "kubeflow.image set to one that the engine has"
                ) from error

    def _runner_arguments(self, client: Any) -> dict[str, Any]:
        """Returns what every container is started with, as arguments of the engine's client; makes the volumes."""
        from docker.types import Mount

        for directory in self._volumes().values():
            directory.mkdir(parents=True, exist_ok=True)
        # For an engine that runs as this user, what is root in a container is this user outside.
        is_rootless = any("rootless" in option for option in client.info().get("SecurityOptions") or ())
        return {
            "entrypoint": list(_NO_ENTRYPOINT),
            "environment": self._environment(),
            "labels": {ROOT_LABEL: str(self._store.root)},
            "mounts": [Mount(path, str(directory), type="bind") for path, directory in self._volumes().items()],
            "user": "0:0" if is_rootless else f"{os.getuid()}:{os.getgid()}",
        }

    def _environment(self) -> dict[str, str]:
        """Returns the variables of every container: `kfp.local` has none for a single one."""
        environment = {variable.name: variable.value for task in self._tasks for variable in task.container.env}
        names = {name for task in self._tasks for name in secret_variables(task)}
        return environment | {name: os.environ[name] for name in sorted(names) if name in os.environ}

    def _volumes(self) -> dict[str, Path]:
        """Returns the directory of each volume by its path, all for every container: `kfp.local` has none for one."""
        claims = {path: claim for task in self._tasks for path, claim in task.volumes.items()}
        return {path: self._store.root / "volumes" / claim for path, claim in sorted(claims.items())}


class _CannotGoOn(BaseException):
    """Ends `kfp.local`, which tells of tasks by Python's logging; that keeps mere exceptions to itself."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _KfpOutput(io.TextIOBase):
    """The log, as standard output of `kfp.local`; says when that announces something."""

    def __init__(self, log: TextIO, announced: Mapping[str, Callable[[], None]]) -> None:
        super().__init__()
        self._log = log
        self._announced = announced

    def write(self, text: str) -> int:
        self._log.write(text)
        self._log.flush()
        for announcement, act in self._announced.items():
            if announcement in text:
                act()
        return len(text)


def _words(error: Exception) -> str:
    """Returns what the engine answered, if it did, without the request that it answered to."""
    return str(getattr(error, "explanation", None) or error)


def _resource_name(task: Task) -> str:
    from kfp.local.executor_input_utils import get_local_task_resource_name

    return str(get_local_task_resource_name(task.spec.component_ref.name))


def _of_containers(written: str) -> str:
    """Returns what containers wrote of what `kfp.local` prints: it indents their lines."""
    lines = written.splitlines(keepends=True)
    return "".join(line.removeprefix(_INDENT) for line in lines if line.startswith(_INDENT))


def _outputs(file: Path, mounts: Mounts) -> dict[str, list[StoredArtifact]]:
    """Returns what a component's output file tells of: its artifacts, and its parameters as if they were some."""
    output = json_format.Parse(file.read_text(encoding="utf-8"), pipeline_spec_pb2.ExecutorOutput())
    found = {
        name: [StoredArtifact(Path(artifact.uri), mounts.local(json_format.MessageToDict(artifact.metadata)))]
        for name, channel in output.artifacts.items()
        for artifact in channel.artifacts
    }
    parameters = {name: json_format.MessageToDict(value) for name, value in output.parameter_values.items()}
    return found | {name: [StoredArtifact.of_parameter(value)] for name, value in parameters.items()}
