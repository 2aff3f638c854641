"""Executions and artifacts of dry-runs, as Kubeflow Pipelines records them: a JSON object a line.

What a later task gets is read back from here, as it comes back from the server's ML Metadata: the name of an artifact
is its id, its type is empty, truth values are numbers, a list or struct is wrapped, and a null is refused.

A line takes the place of an earlier one with the same id. What a process that was killed wrote of its last line does
not count. A database `metadata.sqlite` that an earlier petseg left is not read: it ran other code, whose results no
cache may hand on.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from pydantic import BaseModel, ConfigDict, ValidationError

from trainer_module.errors import PetsegError

_ADDED_BY_SERVER: Final = ("display_name", "store_session_info")


class ExecutionState(StrEnum):
    """Where an execution stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    CACHED = "cached"
    FAILED = "failed"


class Artifact(BaseModel):
    """An output of an execution."""

    model_config = ConfigDict(extra="forbid")

    id: int = 0
    """Counted from 1; 0 until it is recorded."""

    name: str
    """Of the output."""

    uri: str
    type: str
    metadata: dict[str, Any]

    @classmethod
    def of(cls, name: str, artifact: pipeline_spec_pb2.RuntimeArtifact) -> "Artifact":
        """Returns an output as it is recorded.

        Raises:
          PetsegError: Its metadata holds a null, on which the launcher would fail.
        """
        schema = yaml.safe_load(artifact.type.instance_schema or "{}")
        metadata = json_format.MessageToDict(artifact.metadata)
        for key, value in metadata.items():
            if value is None:
                raise PetsegError(f"output {name!r}: its metadata {key!r} is null, on which the launcher fails")
            metadata[key] = _as_recorded(value)
        metadata = dict(zip(_ADDED_BY_SERVER, (name, "{}"), strict=True)) | metadata
        return cls(
            name=name, uri=artifact.uri, type=str(schema.get("title") or artifact.type.schema_title), metadata=metadata
        )

    @property
    def runtime(self) -> pipeline_spec_pb2.RuntimeArtifact:
        """The artifact as the server hands it on: without a type."""
        found = pipeline_spec_pb2.RuntimeArtifact(name=str(self.id), uri=self.uri)
        found.type.instance_schema = ""
        json_format.ParseDict(self.metadata, found.metadata)
        return found


class Execution(BaseModel):
    """One execution of a task."""

    model_config = ConfigDict(extra="forbid")

    id: int
    pipeline: str
    run_id: str
    task: str
    state: ExecutionState = ExecutionState.RUNNING
    cache_key: str | None
    """What a later execution may find it by; None when it may not be re-used."""

    inputs: dict[str, Any]
    """The values of its parameters."""

    input_artifacts: dict[str, list[int]]
    """Ids by input."""

    outputs: list[Artifact] = []
    """Of a task that was started again there are several logs by one name, the latest last."""

    parameters: dict[str, Any] = {}
    """Its output parameters."""

    @property
    def artifacts(self) -> dict[str, pipeline_spec_pb2.RuntimeArtifact]:
        """The outputs by name, as the server hands them on."""
        return {artifact.name: artifact.runtime for artifact in self.outputs}


class Metadata:
    """The record of all dry-runs of a root, as seen by one run of one pipeline, which holds the root."""

    def __init__(self, file: Path, pipeline_name: str, run_id: str) -> None:
        """Reads the record; what no process runs any more has failed.

        Raises:
          PetsegError: The file cannot be read, or is damaged.
        """
        self._file = file
        self._pipeline = pipeline_name
        self._run_id = run_id
        self._executions = _read(file)
        for execution in self._executions.values():
            if execution.state is ExecutionState.RUNNING:
                execution.state = ExecutionState.FAILED
        self._last_artifact = max(
            (artifact.id for execution in self._executions.values() for artifact in execution.outputs), default=0
        )
        self._rewrite()

    def start(self, task_id: str, executor_input: pipeline_spec_pb2.ExecutorInput, cache_key: str | None) -> Execution:
        """Records that a task starts with an input, and returns its execution."""
        inputs = executor_input.inputs
        execution = Execution(
            id=max(self._executions, default=0) + 1,
            pipeline=self._pipeline,
            run_id=self._run_id,
            task=task_id,
            cache_key=cache_key,
            inputs={name: json_format.MessageToDict(value) for name, value in inputs.parameter_values.items()},
            input_artifacts={
                name: [int(artifact.name) for artifact in channel.artifacts]
                for name, channel in inputs.artifacts.items()
            },
        )
        self._executions[execution.id] = execution
        self._append(execution)
        return execution

    def complete(self, execution: Execution, outputs: Iterable[Artifact], parameters: Mapping[str, Any]) -> None:
        """Records what a task left."""
        execution.parameters = dict(parameters)
        self._end(execution, ExecutionState.COMPLETE, outputs)

    def fail(self, execution: Execution, outputs: Iterable[Artifact] = ()) -> None:
        """Records that a task did not finish, and what it left nevertheless."""
        self._end(execution, ExecutionState.FAILED, outputs)

    def reuse(self, execution: Execution, earlier: Execution) -> None:
        """Records that a task has the outputs of an earlier execution."""
        execution.parameters = earlier.parameters
        latest = {artifact.name: artifact for artifact in earlier.outputs}
        self._end(execution, ExecutionState.CACHED, latest.values())

    def cached(self, cache_key: str) -> Execution | None:
        """Returns the newest execution of this pipeline that has the key, and outputs."""
        same = [
            execution
            for execution in self._executions.values()
            if execution.pipeline == self._pipeline
            and execution.state in (ExecutionState.COMPLETE, ExecutionState.CACHED)
            and execution.cache_key == cache_key
        ]
        return max(same, key=lambda execution: execution.id, default=None)

    def forget_others(self, run_ids: Collection[str]) -> set[str]:
        """Forgets the other runs of this pipeline, so that the cache does not find them.

        Returns:
          The URIs of all artifacts that are still known, those that the runs took from the cache included.
        """
        self._executions = {
            number: execution
            for number, execution in self._executions.items()
            if execution.pipeline != self._pipeline or execution.run_id in run_ids
        }
        self._rewrite()
        return {artifact.uri for execution in self._executions.values() for artifact in execution.outputs}

    def _end(self, execution: Execution, state: ExecutionState, outputs: Iterable[Artifact]) -> None:
        for artifact in outputs:
            if not artifact.id:
                self._last_artifact += 1
                artifact.id = self._last_artifact
            execution.outputs.append(artifact)
        execution.state = state
        self._append(execution)

    def _append(self, execution: Execution) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(execution.model_dump_json() + "\n")

    def _rewrite(self) -> None:
        """Writes one line an execution, in one step."""
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        lines = (execution.model_dump_json() + "\n" for execution in self._executions.values())
        temporary.write_text("".join(lines), encoding="utf-8")
        temporary.replace(self._file)


def _read(file: Path) -> dict[int, Execution]:
    """Returns the executions by id, the oldest first; none where there is no file."""
    try:
        *lines, _unfinished = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PetsegError(f"cannot read {str(file)!r}: {error.strerror}") from error
    executions = {}
    for number, line in enumerate(lines, start=1):
        try:
            execution = Execution.model_validate_json(line)
        except ValidationError as error:
            why = f"line {number}: {error.errors()[0]['msg']}"
            raise PetsegError(
                f"{str(file)!r} is no record of dry-runs, or a damaged one ({why}); "
                "remove it to start with an empty cache, or choose another root with --pipeline-root DIR"
            ) from error
        executions[execution.id] = execution
    return executions


def _as_recorded(value: Any) -> Any:
    """Returns what comes back of a value: ML Metadata has no truth values, and wraps lists and structs."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return {"list": value}
    return {"struct": value} if isinstance(value, dict) else value
