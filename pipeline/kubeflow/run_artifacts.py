"""The artifacts of runs, as ML Metadata keeps them.

A run is a context of the type `system.PipelineRun`, whose name is the id of the run; its executions are the tasks, each
with events that lead to its artifacts, and with the execution of the DAG that it is a task of. The outputs of a task
that was taken from the cache are those of the execution that it repeats, so nothing tells the two apart here.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any, Final

from pipeline.kubeflow.artifacts import EXECUTOR_LOGS, StoredArtifact, StoredOutputs
from pipeline.kubeflow.dags import RETRAINING
from pipeline.kubeflow.metadata_service import MetadataService

_RUN_TYPE: Final = "system.PipelineRun"
_ROOT_NAME: Final = "run/"
"""Begins the name of the execution that the tasks of a run are children of; then comes the id of the run."""

_TASK: Final = "task_name"
_PARENT: Final = "parent_dag_id"
_PARAMETERS: Final = "outputs"
_PAGE_SIZE: Final = 100


class RunArtifacts:
    """What ML Metadata has of the tasks of runs that are done."""

    def __init__(self, service: MetadataService) -> None:
        self._service = service

    def of_run(self, run_id: str) -> dict[str, StoredOutputs]:
        """Returns the outputs of a run's tasks, by task; empty where nothing of it is known.

        Raises:
          MetadataError: ML Metadata cannot be asked.
        """
        from ml_metadata.proto import metadata_store_service_pb2 as messages

        request = messages.GetContextByTypeAndNameRequest(type_name=_RUN_TYPE, context_name=run_id)
        context = self._service.call("GetContextByTypeAndName", request).context
        if not context.id:
            return {}
        executions = self._listed("GetExecutionsByContext", context_id=context.id)
        return {task: outputs for _, task, outputs in self._outputs(executions)}

    def of_runs(self, run_ids: Collection[str], tasks: Collection[str]) -> dict[str, dict[str, StoredOutputs]]:
        """Returns the outputs of some tasks of several runs, by run and task, in four requests.

        It takes one more where some are runs of a schedule, whose tasks are in a DAG of their own.

        Raises:
          MetadataError: ML Metadata cannot be asked.
        """
        names = [f"{_ROOT_NAME}{run_id}" for run_id in run_ids]
        roots = self._listed("GetExecutions", f"name IN ({_quoted(names)})") if names else []
        runs = {root.id: root.name.removeprefix(_ROOT_NAME) for root in roots}
        if not runs:
            return {}
        executions = self._children(runs, [*tasks, RETRAINING])
        inner = {one.id: runs[_parent(one)] for one in executions if _task(one) == RETRAINING}
        if inner:
            executions += self._children(inner, tasks)
        runs |= inner
        found: dict[str, dict[str, StoredOutputs]] = defaultdict(dict)
        for parent, task, outputs in self._outputs(one for one in executions if one.id not in inner):
            found[runs[parent]][task] = outputs
        return found

    def _children(self, parents: Collection[int], tasks: Collection[str]) -> list[Any]:
        """Returns the executions of some tasks of DAGs, given those of the DAGs."""
        in_dags = f"custom_properties.{_PARENT}.int_value IN ({', '.join(map(str, parents))})"
        are_tasks = f"custom_properties.{_TASK}.string_value IN ({_quoted(tasks)})"
        return self._listed("GetExecutions", f"{in_dags} AND {are_tasks}")

    def _listed(self, method: str, query: str | None = None, **fields: Any) -> list[Any]:
        """Returns all executions that a method lists, page by page."""
        from ml_metadata.proto import metadata_store_service_pb2 as messages

        request = getattr(messages, f"{method}Request")(**fields)
        request.options.max_result_size = _PAGE_SIZE
        if query is not None:
            request.options.filter_query = query
        executions: list[Any] = []
        while True:
            answer = self._service.call(method, request)
            executions += answer.executions
            if not answer.next_page_token:
                return executions
            request.options.next_page_token = answer.next_page_token

    def _outputs(self, executions: Iterable[Any]) -> list[tuple[int, str, StoredOutputs]]:
        """Returns what tasks that are done have left: of which execution each is a child, its name, its outputs.

        Of several executions of a task the latest counts.
        """
        from ml_metadata.proto import metadata_store_pb2

        states = metadata_store_pb2.Execution
        done = [one for one in executions if one.last_known_state in (states.COMPLETE, states.CACHED)]
        latest = {(_parent(one), _task(one)): one for one in sorted(done, key=lambda one: one.id)}
        artifacts = self._artifacts([one.id for one in latest.values()])
        return [(parent, task, _parameters(one) | artifacts[one.id]) for (parent, task), one in latest.items()]

    def _artifacts(self, execution_ids: Collection[int]) -> dict[int, dict[str, list[StoredArtifact]]]:
        """Returns the output artifacts of executions, by execution and name, without the logs that the server adds."""
        from ml_metadata.proto import metadata_store_pb2
        from ml_metadata.proto import metadata_store_service_pb2 as messages

        found: dict[int, dict[str, list[StoredArtifact]]] = {execution_id: {} for execution_id in execution_ids}
        if not execution_ids:
            return found
        request = messages.GetEventsByExecutionIDsRequest(execution_ids=execution_ids)
        events = [
            event
            for event in self._service.call("GetEventsByExecutionIDs", request).events
            if event.type == metadata_store_pb2.Event.OUTPUT and event.path.steps
        ]
        ids = {event.artifact_id for event in events}
        request = messages.GetArtifactsByIDRequest(artifact_ids=ids)
        artifacts = {one.id: _stored(one) for one in self._service.call("GetArtifactsByID", request).artifacts}
        for event in events:
            name = event.path.steps[0].key
            if event.artifact_id in artifacts and not name.startswith(EXECUTOR_LOGS):
                found[event.execution_id].setdefault(name, []).append(artifacts[event.artifact_id])
        return found


def _quoted(texts: Iterable[str]) -> str:
    """Returns texts as the items of a list in a filter of ML Metadata, which quotes as JSON does."""
    return ", ".join(map(json.dumps, texts))


def _task(execution: Any) -> str:
    return str(execution.custom_properties[_TASK].string_value)


def _parent(execution: Any) -> int:
    return int(execution.custom_properties[_PARENT].int_value)


def _parameters(execution: Any) -> dict[str, list[StoredArtifact]]:
    """Returns the output parameters of an execution."""
    fields = execution.custom_properties[_PARAMETERS].struct_value.fields
    return {
        name: [StoredArtifact.of_parameter(getattr(value, kind))]
        for name, value in fields.items()
        if (kind := value.WhichOneof("kind")) in ("string_value", "number_value", "bool_value")
    }


def _stored(artifact: Any) -> StoredArtifact:
    """Returns an artifact with its texts and numbers."""
    properties = {
        key: getattr(value, kind)
        for key, value in artifact.custom_properties.items()
        if (kind := value.WhichOneof("value")) in ("string_value", "double_value", "int_value")
    }
    return StoredArtifact(artifact.uri, properties)
