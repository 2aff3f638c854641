"""One execution of a task: inputs are downloaded, its process runs, its output is checked, and files are uploaded.

What the process writes goes into the output `executor-logs`, one for each attempt, that the driver has added: as in
https://github.com/kubeflow/pipelines/blob/2.16.1/backend/src/v2/component/launcher_v2.go, it is a file, made before the
process starts; it gets the attempt's number, it is uploaded and recorded even when the task fails, unless the launcher
is lost with the pod, and what the component says of it does not count. Only its content comes later than there: when
the process has ended.
"""

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any, BinaryIO, Final

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.config.kubeflow import POD_SCRATCH
from pipeline.kubeflow.artifacts import EXECUTOR_LOGS
from pipeline.kubeflow.dry_run.artifacts import Mounts, ObjectStore
from pipeline.kubeflow.dry_run.metadata import Artifact, Execution, Metadata
from pipeline.kubeflow.dry_run.pod import (
    DeadlineExceededError,
    PodFailedError,
    PodLostError,
    PodProcess,
    check_arguments,
    pod_environment,
)
from pipeline.kubeflow.dry_run.specification import Task
from pipeline.kubeflow.pod_output import local_path
from trainer_module.errors import PetsegError

_EXECUTOR_INPUT: Final = "{{$}}"
_LOGGER: Final = logging.getLogger(__name__)
_PLACEHOLDER: Final = re.compile(r"\{\{\$(?:\.(?:inputs|outputs)\.[^}]*)?\}\}")

Artifacts = dict[str, pipeline_spec_pb2.RuntimeArtifact]


class Launcher:
    """Executes the tasks of one run, each in a directory of its own."""

    def __init__(self, store: ObjectStore, metadata: Metadata, volumes: Path, process: PodProcess) -> None:
        """Constructs the launcher.

        Args:
          store: Where artifacts are.
          metadata: Where executions and artifacts are recorded.
          volumes: Directory with one directory a claim.
          process: What runs the commands.
        """
        self._store = store
        self._metadata = metadata
        self._volumes = volumes
        self._process = process

    def launch(
        self,
        task: Task,
        execution: Execution,
        executor_input: pipeline_spec_pb2.ExecutorInput,
        pod: Path,
        attempt: int,
    ) -> None:
        """Runs a task once, and records how it ended and what it left.

        Args:
          task: The task.
          execution: Its execution.
          executor_input: From the driver.
          pod: Its directory, which is made anew; it stands for the root of the pod's files.
          attempt: How many pods the task had before.

        Raises:
          PetsegError: The task cannot be started, took too long, or its output is not what the launcher takes.
          PodLostError: It was ended from outside.
          PodFailedError: The task failed.
        """
        shutil.rmtree(pod, ignore_errors=True)
        home, scratch = pod / "home", pod / "scratch"
        for directory in (home, scratch):
            directory.mkdir(parents=True)
        mounts = self._mounts(task, scratch)
        executor_input = _of_attempt(executor_input, attempt)
        message = _in_pod(executor_input, pod, mounts)
        self._download(message, pod)
        _make_parents(message, pod)
        command = _command(task, message, mounts, pod)
        check_arguments(command)
        deadline = task.kubernetes.active_deadline_seconds or None
        try:
            with _executor_log(message, pod) as log:
                self._process.run(command, pod_environment(task, home, pod, mounts, attempt), home, deadline, log)
            output = _read_output(task, Path(message.outputs.output_file))
        except (DeadlineExceededError, PodLostError):
            raise
        except (PodFailedError, PetsegError):
            self._publish_failure(execution, executor_input, pod)
            raise
        parameters = _output_parameters(task, message, output)
        artifacts = self._upload(task, executor_input, output, pod)
        recorded = [Artifact.of(name, artifact) for name, artifact in artifacts.items()]
        self._metadata.complete(execution, recorded, parameters)

    def _mounts(self, task: Task, scratch: Path) -> Mounts:
        directories = {path: self._volumes / claim for path, claim in task.volumes.items()}
        for directory in directories.values():
            directory.mkdir(parents=True, exist_ok=True)
        return Mounts({POD_SCRATCH: scratch, **directories})

    def _download(self, message: pipeline_spec_pb2.ExecutorInput, pod: Path) -> None:
        for name, channel in message.inputs.artifacts.items():
            uri = channel.artifacts[0].uri
            if not self._store.download(uri, _pod_path(uri, pod)):
                _LOGGER.warning(f"input {name!r}: nothing is at {uri}")

    def _publish_failure(
        self, execution: Execution, executor_input: pipeline_spec_pb2.ExecutorInput, pod: Path
    ) -> None:
        [logs] = executor_input.outputs.artifacts[EXECUTOR_LOGS].artifacts
        self._store.upload(_pod_path(logs.uri, pod), logs.uri)
        self._metadata.fail(execution, [Artifact.of(EXECUTOR_LOGS, logs)])

    def _upload(
        self,
        task: Task,
        executor_input: pipeline_spec_pb2.ExecutorInput,
        output: pipeline_spec_pb2.ExecutorOutput,
        pod: Path,
    ) -> Artifacts:
        """Uploads the files of every output, and adds to it what the output file says of it."""
        artifacts = {}
        for name, channel in executor_input.outputs.artifacts.items():
            artifact = pipeline_spec_pb2.RuntimeArtifact()
            artifact.CopyFrom(channel.artifacts[0])
            for said in output.artifacts[name].artifacts[:1] if name != EXECUTOR_LOGS else ():
                artifact.uri = said.uri or artifact.uri
                artifact.metadata.MergeFrom(said.metadata)
            if not self._store.upload(_pod_path(artifact.uri, pod), artifact.uri):
                _LOGGER.warning(f"task {task.id!r} wrote nothing to its output {name!r}")
            artifacts[name] = artifact
        return artifacts


def _of_attempt(executor_input: pipeline_spec_pb2.ExecutorInput, attempt: int) -> pipeline_spec_pb2.ExecutorInput:
    """Returns the message with a log of this attempt's own."""
    message = pipeline_spec_pb2.ExecutorInput()
    message.CopyFrom(executor_input)
    message.outputs.artifacts[EXECUTOR_LOGS].artifacts[0].uri += f"-{attempt}"
    return message


def _in_pod(
    executor_input: pipeline_spec_pb2.ExecutorInput, pod: Path, mounts: Mounts
) -> pipeline_spec_pb2.ExecutorInput:
    """Returns the message with paths of this machine where a component opens them."""
    message = pipeline_spec_pb2.ExecutorInput()
    message.CopyFrom(executor_input)
    for value in message.inputs.parameter_values.values():
        json_format.ParseDict(mounts.local(json_format.MessageToDict(value)), value)
    for parameter in message.outputs.parameters.values():
        parameter.output_file = str(_pod_path(parameter.output_file, pod))
    message.outputs.output_file = str(_pod_path(message.outputs.output_file, pod))
    return message


def _pod_path(uri: str, pod: Path) -> Path:
    """Returns where an artifact is for a process whose root is the pod's directory."""
    return Path(f"{pod}{local_path(uri)}")


def _make_parents(message: pipeline_spec_pb2.ExecutorInput, pod: Path) -> None:
    """Makes the parent of every output, and no more: the launcher leaves the rest to the component."""
    outputs = message.outputs
    paths = [_pod_path(channel.artifacts[0].uri, pod) for channel in outputs.artifacts.values()]
    paths += [Path(parameter.output_file) for parameter in outputs.parameters.values()]
    for path in [*paths, Path(outputs.output_file)]:
        path.parent.mkdir(parents=True, exist_ok=True)


def _executor_log(message: pipeline_spec_pb2.ExecutorInput, pod: Path) -> BinaryIO:
    """Makes the file for what the process writes."""
    return _pod_path(message.outputs.artifacts[EXECUTOR_LOGS].artifacts[0].uri, pod).open("wb")


def _command(task: Task, message: pipeline_spec_pb2.ExecutorInput, mounts: Mounts, pod: Path) -> list[str]:
    """Returns the container's command and arguments with every placeholder filled in."""
    values = _placeholders(message, pod)

    def fill(match: re.Match[str]) -> str:
        if match[0] not in values:
            raise PetsegError(
                f"task {task.id!r}: nothing fills the placeholder {match[0]}; there are {', '.join(sorted(values))}"
            )
        return values[match[0]]

    words = [*task.container.command, *task.container.args]
    return [_PLACEHOLDER.sub(fill, mounts.local(word)) for word in words]


def _placeholders(message: pipeline_spec_pb2.ExecutorInput, pod: Path) -> dict[str, str]:
    values = {_EXECUTOR_INPUT: json_format.MessageToJson(message, indent=None)}
    for side, channels in (("inputs", message.inputs.artifacts), ("outputs", message.outputs.artifacts)):
        for name, channel in channels.items():
            uri = channel.artifacts[0].uri
            values[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
            values[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = str(_pod_path(uri, pod))
    for name, value in message.inputs.parameter_values.items():
        text = value.string_value if value.HasField("string_value") else json_format.MessageToJson(value, indent=None)
        values[f"{{{{$.inputs.parameters['{name}']}}}}"] = text
    for name, parameter in message.outputs.parameters.items():
        values[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = parameter.output_file
    return values


def _read_output(task: Task, file: Path) -> pipeline_spec_pb2.ExecutorOutput:
    """Reads what the component says of its outputs; an absent file says nothing."""
    output = pipeline_spec_pb2.ExecutorOutput()
    if not file.exists():
        return output
    try:
        json_format.Parse(file.read_text(encoding="utf-8"), output)
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise PetsegError(f"task {task.id!r}: the launcher cannot parse its output file: {error}") from error
    return output


def _output_parameters(
    task: Task, message: pipeline_spec_pb2.ExecutorInput, output: pipeline_spec_pb2.ExecutorOutput
) -> dict[str, Any]:
    """Returns each output parameter: from the output file, else from the file of its own."""
    values: dict[str, Any] = {name: json_format.MessageToDict(value) for name, value in output.parameter_values.items()}
    for name, parameter in message.outputs.parameters.items():
        if name in values:
            continue
        parameter_type = task.component.output_definitions.parameters[name].parameter_type
        try:
            text = Path(parameter.output_file).read_text(encoding="utf-8")
            values[name] = text if parameter_type == pipeline_spec_pb2.ParameterType.STRING else json.loads(text)
        except (OSError, ValueError) as error:
            raise PetsegError(
                f"task {task.id!r} left no output parameter {name!r}, neither in its output file nor in one of its own"
            ) from error
    return values
