"""ML Metadata for contract tests: its own store, in memory, with runs as Kubeflow Pipelines writes them.

store = MetadataOfRuns(InMemory())
store.add_task("the-run", "Evaluator", {"blessing": ("minio://b/blessing", {"blessed": 1.0})})

What a run leaves follows the drivers and launchers of release 2.17.0 (backend/src/v2/metadata/client.go). How an answer
is sent by gRPC-Web was recorded of a real proxy (`recorded_kubeflow/metadata_conversation.json`), which
`test_recorded_metadata.py` plays.
"""

import json
import re
import struct
from collections.abc import Callable, Mapping
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from fake_http_api import Answer
from ml_metadata.errors import StatusError
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2, metadata_store_service_pb2

SERVICE = metadata_store_service_pb2.DESCRIPTOR.services_by_name["MetadataStoreService"]
WEB = "application/grpc-web+proto"

Call = Callable[[str, Any], Any]
"""Sends a message to a method; returns the answer."""

Properties = Mapping[str, str | float]
_STATES = metadata_store_pb2.Execution
_FILTER = re.compile(
    r"name IN \((?P<name>.*)\)"
    r"|custom_properties\.parent_dag_id\.int_value IN \((?P<parent>.*)\)"
    r" AND custom_properties\.task_name\.string_value IN \((?P<task>.*)\)"
)
"""The filters that petseg sends."""

_DECODING = 13
_UNKNOWN_METHOD = 12
_HEAD = struct.Struct(">BI")


class InMemory:
    """The store of the ml-metadata package, which Google's server is a thin shell of."""

    def __init__(self) -> None:
        config = metadata_store_pb2.ConnectionConfig()
        config.fake_database.SetInParent()
        self._store = metadata_store.MetadataStore(config)

    def __call__(self, method: str, request: Any) -> Any:
        if method == "GetExecutions" and request.options.filter_query:
            return self._filtered(request)
        answer = getattr(metadata_store_service_pb2, f"{method}Response")()
        self._store._call(method, request, answer)
        return answer

    def _filtered(self, request: Any) -> Any:
        """Returns the executions that a filter lets pass, which the package has no more, but the server still has."""
        query = _FILTER.fullmatch(request.options.filter_query)
        if query is None:
            raise StatusError("Invalid `filter_query`: Syntax error: in words of its own", 3)
        words = {name: json.loads(f"[{values}]") for name, values in query.groupdict().items() if values}
        request.options.ClearField("filter_query")
        answer = self("GetExecutions", request)
        kept = [one for one in answer.executions if all(_value(one, name) in words[name] for name in words)]
        answer.ClearField("executions")
        answer.executions.extend(kept)
        return answer

    def over_the_web(self, method: str, body: bytes) -> Answer:
        """Answers a request of gRPC-Web."""
        message_type = getattr(metadata_store_service_pb2, f"{method}Request", None)
        if message_type is None:
            return _failed(_UNKNOWN_METHOD, "Method not found!")
        try:
            request = message_type.FromString(body[_HEAD.size :])
        except Exception:  # noqa: BLE001 (each implementation of protobuf has its own)
            return _failed(_DECODING, "Exception deserializing request!")
        try:
            message = self(method, request).SerializeToString()
        except StatusError as error:
            return _failed(error.error_code, error.message)
        trailers = b"grpc-status: 0\r\n"
        return Answer(
            _HEAD.pack(0, len(message)) + message + _HEAD.pack(0x80, len(trailers)) + trailers, content_type=WEB
        )

    @contextmanager
    def served(self) -> Any:
        """Serves the store by plain gRPC while the block runs; yields the address."""

        def handler(method: Any) -> Any:
            request_type = getattr(metadata_store_service_pb2, method.input_type.name)

            def call(request: Any, context: grpc.ServicerContext) -> Any:
                try:
                    return self(method.name, request)
                except StatusError as error:
                    codes = {code.value[0]: code for code in grpc.StatusCode}
                    context.abort(codes[error.error_code], error.message)

            return grpc.unary_unary_rpc_method_handler(
                call, request_type.FromString, lambda answer: answer.SerializeToString()
            )

        server = grpc.server(futures.ThreadPoolExecutor(1))
        handlers = {method.name: handler(method) for method in SERVICE.methods}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None)


class MetadataOfRuns:
    """Writes what drivers and launchers do."""

    FAILED, RUNNING = _STATES.FAILED, _STATES.RUNNING

    def __init__(self, call: Call, pipeline: str = "petseg-pets") -> None:
        """Constructs the writer.

        Args:
          call: Of the store.
          pipeline: Name of the pipeline that all runs are of.
        """
        self._call = call
        self._pipeline = pipeline
        self._contexts: dict[str, list[Any]] = {}
        self._roots: dict[str, int] = {}
        self._types: dict[tuple[str, str], int] = {}

    def add_run(self, run_id: str) -> None:
        """Adds a run, as the driver does that starts the pipeline."""
        contexts = [self._context("system.Pipeline", self._pipeline), self._context("system.PipelineRun", run_id)]
        self._contexts[run_id] = contexts
        root = metadata_store_pb2.Execution(name=f"run/{run_id}", last_known_state=_STATES.RUNNING)
        self._roots[run_id] = self._put(run_id, root, "system.DAGExecution", [])

    def add_dag(self, run_id: str, task: str, *, is_skipped: bool = False) -> None:
        """Adds a task that is a DAG; the tasks of the run that are added from then on are in it."""
        execution = self._execution(run_id, task, _STATES.CANCELED if is_skipped else _STATES.RUNNING)
        self._roots[run_id] = self._put(run_id, execution, "system.DAGExecution", [])

    def add_task(
        self,
        run_id: str,
        task: str,
        outputs: Mapping[str, tuple[str, Properties]] | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        state: int = _STATES.COMPLETE,
        artifact_type: str = "tfx.Artifact",
    ) -> list[int]:
        """Adds a task and what it left; returns the ids of its artifacts.

        Args:
          run_id: Of the run, which is added where it is new.
          task: Name of the task.
          outputs: Name to URI and properties of the artifacts.
          parameters: The output parameters.
          state: Of the execution.
          artifact_type: Of all artifacts.
        """
        ids = [self._artifact(artifact_type, name, *output) for name, output in (outputs or {}).items()]
        self._task(run_id, task, dict(zip(outputs or {}, ids, strict=True)), parameters or {}, state)
        return ids

    def add_cached(self, run_id: str, task: str, artifacts: Mapping[str, int]) -> None:
        """Adds a task that was taken from the cache, with the artifacts of the one that it repeats."""
        self._task(run_id, task, artifacts, {}, _STATES.CACHED)

    def _task(
        self, run_id: str, task: str, artifacts: Mapping[str, int], parameters: Mapping[str, str], state: int
    ) -> None:
        execution = self._execution(run_id, task, state)
        if parameters:
            execution.custom_properties["outputs"].struct_value.update(parameters)
        events = []
        for name, artifact_id in artifacts.items():
            event = metadata_store_pb2.Event(type=metadata_store_pb2.Event.OUTPUT, artifact_id=artifact_id)
            event.path.steps.add(key=name)
            events.append(event)
        self._put(run_id, execution, "system.ContainerExecution", events)

    def _execution(self, run_id: str, task: str, state: int) -> Any:
        if run_id not in self._roots:
            self.add_run(run_id)
        execution = metadata_store_pb2.Execution(last_known_state=state)
        execution.custom_properties["task_name"].string_value = task
        execution.custom_properties["display_name"].string_value = task
        execution.custom_properties["parent_dag_id"].int_value = self._roots[run_id]
        return execution

    def _put(self, run_id: str, execution: Any, type_name: str, events: list[Any]) -> int:
        execution.type_id = self._type("Execution", type_name)
        pairs = [{"event": event} for event in events]
        request = metadata_store_service_pb2.PutExecutionRequest(
            execution=execution, contexts=self._contexts[run_id], artifact_event_pairs=pairs
        )
        return int(self._call("PutExecution", request).execution_id)

    def _artifact(self, type_name: str, name: str, uri: str, properties: Properties) -> int:
        artifact = metadata_store_pb2.Artifact(
            type_id=self._type("Artifact", type_name), uri=uri, state=metadata_store_pb2.Artifact.LIVE
        )
        for key, value in {"display_name": name, "store_session_info": "{}", **properties}.items():
            if isinstance(value, str):
                artifact.custom_properties[key].string_value = value
            else:
                artifact.custom_properties[key].double_value = value
        request = metadata_store_service_pb2.PutArtifactsRequest(artifacts=[artifact])
        return int(self._call("PutArtifacts", request).artifact_ids[0])

    def _context(self, type_name: str, name: str) -> Any:
        request = metadata_store_service_pb2.GetContextByTypeAndNameRequest(type_name=type_name, context_name=name)
        found = self._call("GetContextByTypeAndName", request).context
        if found.id:
            return found
        context = metadata_store_pb2.Context(type_id=self._type("Context", type_name), name=name)
        put = metadata_store_service_pb2.PutContextsRequest(contexts=[context])
        context.id = self._call("PutContexts", put).context_ids[0]
        return context

    def _type(self, kind: str, name: str) -> int:
        if (kind, name) not in self._types:
            request = getattr(metadata_store_service_pb2, f"Put{kind}TypeRequest")()
            getattr(request, f"{kind.lower()}_type").name = name
            self._types[kind, name] = self._call(f"Put{kind}Type", request).type_id
        return self._types[kind, name]


def _value(execution: Any, name: str) -> Any:
    none = metadata_store_pb2.Value()
    parent, task = (execution.custom_properties.get(key, none) for key in ("parent_dag_id", "task_name"))
    return {"name": execution.name, "parent": parent.int_value, "task": task.string_value}[name]


def _failed(code: int, message: str) -> Answer:
    return Answer(b"", content_type=WEB, headers={"Grpc-Status": str(code), "Grpc-Message": message})
