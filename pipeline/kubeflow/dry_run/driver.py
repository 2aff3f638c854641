"""What a task gets: its `ExecutorInput`, put together as the driver of Kubeflow Pipelines does, and its cache key.

Input artifacts come as the server knows them (`Metadata`). To the outputs that the component declares, the driver adds
the artifact `executor-logs` for what the component writes to its standard output: `provisionOutputs` of
https://github.com/kubeflow/pipelines/blob/2.16.1/backend/src/v2/driver/driver.go, for servers whose `PUBLISH_LOGS` is
not switched off.

The cache key is what makes two executions of a task the same to the server, which then takes the outputs of the earlier
one. It covers: the ids of the input artifacts; the values of the input parameters; type and metadata of the output
artifacts, and the type of the output parameters; image, command and arguments of the container; the claims of its
volumes. It covers neither its environment variables, nor what is on the volumes or under a URI (`GenerateCacheKey` of
https://github.com/kubeflow/pipelines/blob/2.16.1/backend/src/v2/cacheutils/cache.go). It is taken before any path is
replaced by one of this machine, so that it is the same wherever the dry-run is.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.artifacts import EXECUTOR_LOGS
from pipeline.kubeflow.dry_run.metadata import Execution
from pipeline.kubeflow.dry_run.specification import AnyTask, DagTask, Task
from pipeline.kubeflow.pod_output import local_path
from trainer_module.errors import ConfigError, PetsegError

OUTPUT_FILE: Final = "output_metadata.json"

_LOGS_TYPE: Final = pipeline_spec_pb2.ArtifactTypeSchema(schema_title="system.Artifact")
_OUTPUT_PARAMETERS: Final = "/tmp/kfp/outputs"
_Type = pipeline_spec_pb2.ParameterType
_KIND_OF_VALUE: Final = {
    "null_value": "null",
    "number_value": "a number",
    "string_value": "a text",
    "bool_value": "a truth value",
    "list_value": "a list",
    "struct_value": "a struct",
}
_KINDS_BY_TYPE: Final = {
    _Type.NUMBER_DOUBLE: "number_value",
    _Type.NUMBER_INTEGER: "number_value",
    _Type.BOOLEAN: "bool_value",
    _Type.LIST: "list_value",
    _Type.STRUCT: "struct_value",
}


@dataclass(frozen=True)
class Scope:
    """What the tasks of one DAG take their inputs from."""

    parameters: Mapping[str, Any]
    """The inputs of the DAG: of the outermost, the run's parameters."""

    artifacts: Mapping[str, pipeline_spec_pb2.RuntimeArtifact] = field(default_factory=dict)
    """Likewise."""

    upstream: dict[str, Execution] = field(default_factory=dict)
    """The executions of its tasks that are done."""


def inner_scope(task: DagTask, outer: Scope) -> Scope:
    """Returns what the tasks of a DAG take their inputs from, as the driver of the DAG resolves it.

    Args:
      task: The DAG.
      outer: Of the DAG that it is a task of.

    Raises:
      ConfigError: A parameter has no value, or one of another type than the DAG takes.
      PetsegError: An input artifact is not there.
    """
    parameters = {name: json_format.MessageToDict(value) for name, value in _parameters(task, outer).items()}
    artifacts = {name: _input_artifact(task, name, spec, outer) for name, spec in task.spec.inputs.artifacts.items()}
    return Scope(parameters, artifacts)


def executor_input(task: AnyTask, scope: Scope, task_root: str) -> pipeline_spec_pb2.ExecutorInput:
    """Returns what the launcher of a task is given.

    Args:
      task: The task.
      scope: What it can take its inputs from.
      task_root: URI under which the outputs of this one task of this run go.

    Raises:
      ConfigError: A parameter has no value, or one of another type than the component takes.
      PetsegError: An input artifact is not there.
    """
    message = pipeline_spec_pb2.ExecutorInput()
    for name, value in _parameters(task, scope).items():
        message.inputs.parameter_values[name].CopyFrom(value)
    for name, spec in task.spec.inputs.artifacts.items():
        message.inputs.artifacts[name].artifacts.append(_input_artifact(task, name, spec, scope))
    execution_root = f"{task_root}/{uuid.uuid4()}"
    definitions = dict(task.component.output_definitions.artifacts)
    definitions[EXECUTOR_LOGS] = pipeline_spec_pb2.ComponentOutputsSpec.ArtifactSpec(artifact_type=_LOGS_TYPE)
    for name, definition in definitions.items():
        artifact = message.outputs.artifacts[name].artifacts.add()
        artifact.name = name
        artifact.uri = f"{execution_root}/{name}"
        artifact.type.CopyFrom(definition.artifact_type)
        if definition.HasField("metadata"):
            artifact.metadata.CopyFrom(definition.metadata)
    for name in task.component.output_definitions.parameters:
        message.outputs.parameters[name].output_file = f"{_OUTPUT_PARAMETERS}/{name}"
    message.outputs.output_file = local_path(f"{execution_root}/{OUTPUT_FILE}")
    return message


def cache_key(task: Task, executor_input: pipeline_spec_pb2.ExecutorInput) -> str:
    """Returns the fingerprint of an execution: 64 hexadecimal digits."""
    inputs, outputs = executor_input.inputs, executor_input.outputs
    key: dict[str, Any] = {
        "inputArtifactNames": {
            name: [artifact.name for artifact in channel.artifacts] for name, channel in inputs.artifacts.items()
        },
        "inputParameterValues": {
            name: json_format.MessageToDict(value) for name, value in inputs.parameter_values.items()
        },
        "outputArtifactsSpec": {
            name: [_without_uri(artifact) for artifact in channel.artifacts]
            for name, channel in outputs.artifacts.items()
        },
        "outputParametersSpec": {
            name: definition.parameter_type for name, definition in task.component.output_definitions.parameters.items()
        },
        "image": task.container.image,
        "cmdArgs": [*task.container.command, *task.container.args],
        "pvcNames": sorted(set(task.volumes.values())),
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _without_uri(artifact: pipeline_spec_pb2.RuntimeArtifact) -> dict[str, Any]:
    return {name: value for name, value in json_format.MessageToDict(artifact).items() if name != "uri"}


def _parameters(task: AnyTask, scope: Scope) -> dict[str, struct_pb2.Value]:
    """Returns the values of a task's input parameters, each of the type that its component takes."""
    values = {name: _resolved(task, name, spec, scope) for name, spec in task.spec.inputs.parameters.items()}
    definitions = task.component.input_definitions.parameters
    for name in values:
        if name not in definitions:
            raise ConfigError(f"task {task.id!r} passes {name!r}, which is no parameter of its component")
    for name, definition in definitions.items():
        if name not in values and not definition.is_optional:
            if not definition.HasField("default_value"):
                raise ConfigError(f"task {task.id!r} has neither value nor default for the parameter {name!r}")
            values[name] = definition.default_value
    return {name: _of_type(task, name, value, definitions[name].parameter_type) for name, value in values.items()}


def _resolved(
    task: AnyTask, name: str, spec: pipeline_spec_pb2.TaskInputsSpec.InputParameterSpec, scope: Scope
) -> struct_pb2.Value:
    match spec.WhichOneof("kind"):
        case "runtime_value" if spec.runtime_value.WhichOneof("value") == "constant":
            return spec.runtime_value.constant
        case "component_input_parameter":
            return _value(_known(task, name, scope.parameters, spec.component_input_parameter))
        case "task_output_parameter":
            source = spec.task_output_parameter
            producer = _known(task, name, scope.upstream, source.producer_task)
            return _value(_known(task, name, producer.parameters, source.output_parameter_key))
        case kind:
            raise ConfigError(f"task {task.id!r}, parameter {name!r}: the dry-run cannot resolve a {kind or 'nothing'}")


def _known(task: AnyTask, name: str, source: Mapping[str, Any], key: str) -> Any:
    if key not in source:
        raise ConfigError(
            f"task {task.id!r}, parameter {name!r}: there is no {key!r} to take it from; there is "
            f"{', '.join(sorted(source)) or 'nothing'}"
        )
    return source[key]


def _of_type(task: AnyTask, name: str, value: struct_pb2.Value, parameter_type: int) -> struct_pb2.Value:
    """Checks a value against a type; a text may be made of any value, which is then its JSON."""
    kind = value.WhichOneof("kind")
    if parameter_type == _Type.STRING:
        return value if kind == "string_value" else _value(_as_text(value))
    if kind != _KINDS_BY_TYPE.get(parameter_type):
        raise ConfigError(
            f"task {task.id!r}: the parameter {name!r} is a {_Type.ParameterTypeEnum.Name(parameter_type)}, and gets "
            f"{_KIND_OF_VALUE[kind] if kind else 'nothing'}"
        )
    return value


def _as_text(value: struct_pb2.Value) -> str:
    if value.WhichOneof("kind") == "number_value":
        return f"{value.number_value:.17g}"
    return json.dumps(json_format.MessageToDict(value))


def _input_artifact(
    task: AnyTask, name: str, spec: pipeline_spec_pb2.TaskInputsSpec.InputArtifactSpec, scope: Scope
) -> pipeline_spec_pb2.RuntimeArtifact:
    match spec.WhichOneof("kind"):
        case "component_input_artifact":
            artifact: pipeline_spec_pb2.RuntimeArtifact = _known(
                task, name, scope.artifacts, spec.component_input_artifact
            )
            return artifact
        case "task_output_artifact":
            source = spec.task_output_artifact
            producer = scope.upstream.get(source.producer_task)
            found = producer.artifacts.get(source.output_artifact_key) if producer else None
        case _:
            raise ConfigError(f"task {task.id!r}, input {name!r}: expected an output of another task, or of the DAG")
    if found is None:
        raise PetsegError(
            f"task {task.id!r}, input {name!r}: {source.producer_task!r} left no {source.output_artifact_key!r}"
        )
    return found


def _value(plain: Any) -> struct_pb2.Value:
    return json_format.ParseDict(plain, struct_pb2.Value())
