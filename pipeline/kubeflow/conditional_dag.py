"""Puts a pipeline under a condition: what one task decides, all others wait for, and are left out by.

The server fails a task whose input comes from one that was left out. So the condition is on a single task, which is a
DAG of all the others: either all of them run, or none. It is what the SDK compiles `dsl.If` to.
"""

from collections.abc import Iterator
from typing import Any, Final

from pipeline.kubeflow.dags import Condition

_OUTPUTS: Final = {
    "parameters": ("taskOutputParameter", "outputParameterKey", "componentInputParameter"),
    "artifacts": ("taskOutputArtifact", "outputArtifactKey", "componentInputArtifact"),
}
"""By kind of input: how a task names the output of another one, and an input of the DAG that it is in."""

_RUNTIME_PARAMETER: Final = "componentInputParameter"
_TYPES: Final = {"parameters": "parameterType", "artifacts": "artifactType"}


def put_under_condition(specification: dict[str, Any], decider: str, output: str, name: str) -> None:
    """Moves all tasks but one into a DAG that is run where that one decides so.

    What they take from outside becomes an input of the DAG: runtime parameters by their own names, and outputs of the
    task that decides.

    Args:
      specification: A `PipelineSpec` of one DAG; is changed.
      decider: The task that decides; it waits for no other one.
      output: Its parameter that says whether the others are run; is added to its component.
      name: Of the DAG, as task and as component.
    """
    tasks = specification["root"]["dag"]["tasks"]
    deciding = specification["components"][tasks[decider]["componentRef"]["name"]]
    outputs = deciding.setdefault("outputDefinitions", {})
    outputs.setdefault("parameters", {})[output] = {"parameterType": "BOOLEAN"}
    condition = Condition(_input_name(decider, output))
    inner = {task_id: task for task_id, task in tasks.items() if task_id != decider}
    given = {"parameters": {condition.parameter: _output_of("parameters", decider, output)}, "artifacts": {}}
    runtime = specification["root"].get("inputDefinitions", {}).get("parameters", {})
    definitions: dict[str, dict[str, Any]] = {
        "parameters": {condition.parameter: {"parameterType": "BOOLEAN"}},
        "artifacts": {},
    }
    for kind, source in _sources(inner):
        task_output, key, component_input = _OUTPUTS[kind]
        if _RUNTIME_PARAMETER in source:
            parameter = source[_RUNTIME_PARAMETER]
            given[kind][parameter] = dict(source)
            definitions[kind][parameter] = {"parameterType": runtime[parameter]["parameterType"]}
        elif source.get(task_output, {}).get("producerTask") == decider:
            taken = source.pop(task_output)[key]
            source[component_input] = _input_name(decider, taken)
            given[kind][source[component_input]] = _output_of(kind, decider, taken)
            definition = outputs[kind][taken][_TYPES[kind]]
            definitions[kind][source[component_input]] = {_TYPES[kind]: definition}
    for task in inner.values():
        _forget_dependency(task, decider)
    specification["components"][name] = {"dag": {"tasks": inner}, "inputDefinitions": _without_empty(definitions)}
    specification["root"]["dag"]["tasks"] = {
        decider: tasks[decider],
        name: {
            "componentRef": {"name": name},
            "dependentTasks": [decider],
            "inputs": _without_empty(given),
            "taskInfo": {"name": name},
            "triggerPolicy": {"condition": str(condition)},
        },
    }


def _sources(tasks: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields where each input of the tasks comes from, with its kind."""
    for task in tasks.values():
        for kind in _OUTPUTS:
            for source in task.get("inputs", {}).get(kind, {}).values():
                yield kind, source


def _input_name(task_id: str, output: str) -> str:
    """Returns the DAG's input for the output of a task outside; `kfp.local` finds the output by this name alone."""
    return f"{task_id}--{output}"


def _output_of(kind: str, task_id: str, output: str) -> dict[str, Any]:
    task_output, key, _ = _OUTPUTS[kind]
    return {task_output: {"producerTask": task_id, key: output}}


def _forget_dependency(task: dict[str, Any], decider: str) -> None:
    """Takes a task that is outside from those that a task waits for."""
    left = [task_id for task_id in task.pop("dependentTasks", []) if task_id != decider]
    if left:
        task["dependentTasks"] = left


def _without_empty(by_kind: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {kind: items for kind, items in by_kind.items() if items}
