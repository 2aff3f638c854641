"""Artifacts and executions of dry-runs, in a store of ML Metadata, as Kubeflow Pipelines records them.

The metadata of an artifact become custom properties: truth values become numbers, a list or struct is wrapped, and a
null is refused. What a later task gets is read back from here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.runs.metadata import MAX_RETRIES, metadata_failure
from trainer_module.errors import PetsegError

_PIPELINE: Final = "system.Pipeline"
_RUN: Final = "system.PipelineRun"
_EXECUTION: Final = "system.ContainerExecution"
_TASK: Final = "task_name"
_CACHE_KEY: Final = "cache_fingerprint"
_OUTPUT_PARAMETERS: Final = "outputs"
_ADDED_BY_SERVER: Final = ("display_name", "store_session_info")


class Metadata:
    """The store, as seen by one run of one pipeline."""

    def __init__(self, file: Path, pipeline_name: str, run_id: str) -> None:
        """Opens the store, which is made when absent.

        Raises:
          PetsegError: The file is locked, damaged, or no database of ML Metadata.
        """
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(file)
        config.retry_options.max_num_retries = MAX_RETRIES
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        try:
            self._store = metadata_store.MetadataStore(config)
            self._execution_type = self._store.put_execution_type(mlmd.ExecutionType(name=_EXECUTION))
            self._pipeline = self._context(_PIPELINE, pipeline_name)
            self._run = self._context(_RUN, run_id)
            if not self._store.get_parent_contexts_by_context(self._run):
                self._store.put_parent_contexts([mlmd.ParentContext(child_id=self._run, parent_id=self._pipeline)])
        except Exception as error:
            raise metadata_failure(error, file) from error

    def start(
        self, task_id: str, executor_input: pipeline_spec_pb2.ExecutorInput, cache_key: str | None
    ) -> mlmd.Execution:
        """Records that a task starts, and returns its execution.

        Args:
          task_id: The task.
          executor_input: What it was given.
          cache_key: What a later execution may find it by; None when it may not be re-used.
        """
        execution = mlmd.Execution(type_id=self._execution_type, last_known_state=mlmd.Execution.RUNNING)
        execution.custom_properties[_TASK].string_value = task_id
        if cache_key:
            execution.custom_properties[_CACHE_KEY].string_value = cache_key
        for name, value in executor_input.inputs.parameter_values.items():
            execution.custom_properties[f"inputs.{name}"].string_value = json_format.MessageToJson(value)
        events = [
            _event(mlmd.Event.INPUT, name, int(artifact.name))
            for name, channel in executor_input.inputs.artifacts.items()
            for artifact in channel.artifacts
        ]
        return self._put(execution, [], events)

    def complete(
        self, execution: mlmd.Execution, outputs: Mapping[str, mlmd.Artifact], parameters: Mapping[str, Any]
    ) -> None:
        """Records what a task left."""
        execution.last_known_state = mlmd.Execution.COMPLETE
        _set_parameters(execution, parameters)
        pairs = [(artifact, _event(mlmd.Event.OUTPUT, name)) for name, artifact in outputs.items()]
        self._put(execution, pairs, [])

    def fail(self, execution: mlmd.Execution, outputs: Mapping[str, mlmd.Artifact] | None = None) -> None:
        """Records that a task did not finish, and what it left nevertheless."""
        execution.last_known_state = mlmd.Execution.FAILED
        pairs = [(artifact, _event(mlmd.Event.OUTPUT, name)) for name, artifact in (outputs or {}).items()]
        self._put(execution, pairs, [])

    def fail_abandoned(self) -> None:
        """Records as failed what no process runs any more; the caller holds the store's directory."""
        for execution in self._store.get_executions():
            if execution.last_known_state == mlmd.Execution.RUNNING:
                execution.last_known_state = mlmd.Execution.FAILED
                self._store.put_executions([execution])

    def reuse(self, execution: mlmd.Execution, earlier: mlmd.Execution) -> None:
        """Records that a task has the outputs of an earlier execution."""
        execution.last_known_state = mlmd.Execution.CACHED
        _set_parameters(execution, self.output_parameters(earlier))
        outputs = [
            _event(mlmd.Event.OUTPUT, name, int(artifact.name))
            for name, artifact in self.output_artifacts(earlier.id).items()
        ]
        self._put(execution, [], outputs)

    def cached(self, cache_key: str) -> mlmd.Execution | None:
        """Returns the newest complete execution of this pipeline that has the key."""
        same = [
            execution
            for execution in self._store.get_executions_by_context(self._pipeline)
            if execution.last_known_state == mlmd.Execution.COMPLETE
            and _CACHE_KEY in execution.custom_properties
            and execution.custom_properties[_CACHE_KEY].string_value == cache_key
        ]
        return max(same, key=lambda execution: execution.id, default=None)

    def output_parameters(self, execution: mlmd.Execution) -> dict[str, Any]:
        """Returns the output parameters of an execution, by name."""
        struct = execution.custom_properties[_OUTPUT_PARAMETERS].struct_value
        return dict(json_format.MessageToDict(struct))

    def output_artifacts(self, execution_id: int) -> dict[str, pipeline_spec_pb2.RuntimeArtifact]:
        """Returns the outputs of an execution by name, as the server hands them on: without a type.

        Of a task that was started again there are several logs by one name; the last is returned.
        """
        events = self._store.get_events_by_execution_ids([execution_id])
        names = {event.artifact_id: event.path.steps[0].key for event in events if event.type == mlmd.Event.OUTPUT}
        artifacts = sorted(self._store.get_artifacts_by_id(list(names)), key=lambda artifact: artifact.id)
        return {names[artifact.id]: _to_runtime(artifact) for artifact in artifacts}

    def artifact(self, name: str, artifact: pipeline_spec_pb2.RuntimeArtifact) -> mlmd.Artifact:
        """Returns an output as it is recorded.

        Raises:
          PetsegError: Its metadata holds what ML Metadata cannot, as the launcher would find.
        """
        type_name = str(
            yaml.safe_load(artifact.type.instance_schema or "{}").get("title") or artifact.type.schema_title
        )
        recorded = mlmd.Artifact(
            type_id=self._store.put_artifact_type(mlmd.ArtifactType(name=type_name)),
            uri=artifact.uri,
            state=mlmd.Artifact.LIVE,
        )
        for key, value in artifact.metadata.fields.items():
            if value.WhichOneof("kind") in (None, "null_value"):
                raise PetsegError(f"output {name!r}: its metadata {key!r} is null, on which the launcher fails")
            recorded.custom_properties[key].CopyFrom(_to_recorded(value))
        for key, text in zip(_ADDED_BY_SERVER, (name, "{}"), strict=True):
            if key not in recorded.custom_properties:
                recorded.custom_properties[key].string_value = text
        return recorded

    def _put(self, execution: mlmd.Execution, pairs: list[Any], events: list[mlmd.Event]) -> mlmd.Execution:
        contexts = self._store.get_contexts_by_id([self._pipeline, self._run])
        execution_id, _, _ = self._store.put_execution(execution, pairs, contexts)
        for event in events:
            event.execution_id = execution_id
        self._store.put_events(events)
        [stored] = self._store.get_executions_by_id([execution_id])
        return stored

    def _context(self, type_name: str, name: str) -> int:
        found = self._store.get_context_by_type_and_name(type_name, name)
        if found is not None:
            return int(found.id)
        type_id = self._store.put_context_type(mlmd.ContextType(name=type_name))
        return int(self._store.put_contexts([mlmd.Context(type_id=type_id, name=name)])[0])


def _event(event_type: int, name: str, artifact_id: int | None = None) -> mlmd.Event:
    event = mlmd.Event(type=event_type, artifact_id=artifact_id)
    event.path.steps.add(key=name)
    event.path.steps.add(index=0)
    return event


def _set_parameters(execution: mlmd.Execution, parameters: Mapping[str, Any]) -> None:
    struct = execution.custom_properties[_OUTPUT_PARAMETERS].struct_value
    struct.SetInParent()  # ML Metadata aborts the process over a value that is not set
    struct.update(dict(parameters))


def _to_recorded(value: struct_pb2.Value) -> mlmd.Value:
    recorded = mlmd.Value()
    match value.WhichOneof("kind"):
        case "string_value":
            recorded.string_value = value.string_value
        case "number_value":
            recorded.double_value = value.number_value
        case "bool_value":
            recorded.int_value = int(value.bool_value)
        case "list_value":
            recorded.struct_value.fields["list"].CopyFrom(value)
        case _:
            recorded.struct_value.fields["struct"].CopyFrom(value)
    return recorded


def _to_runtime(artifact: mlmd.Artifact) -> pipeline_spec_pb2.RuntimeArtifact:
    runtime = pipeline_spec_pb2.RuntimeArtifact(name=str(artifact.id), uri=artifact.uri)
    runtime.type.instance_schema = ""
    for key, value in artifact.custom_properties.items():
        match value.WhichOneof("value"):
            case "string_value":
                runtime.metadata.fields[key].string_value = value.string_value
            case "struct_value":
                runtime.metadata.fields[key].struct_value.CopyFrom(value.struct_value)
            case "int_value":
                runtime.metadata.fields[key].number_value = value.int_value
            case _:
                runtime.metadata.fields[key].number_value = value.double_value
    return runtime
