"""The DAGs of a package: the root's, and those that are tasks of another one, with the conditions that they run under.

A specification keeps the inner ones as components that have a DAG in the place of an executor; the server runs such a
task, or leaves out all of it, by the condition of its `triggerPolicy`, an expression on the task's inputs.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainer_module.errors import ConfigError

RETRAINING: Final = "Retraining"
"""The task of a package for schedules that is a DAG of all that a run does once it was decided to train."""

_CONDITION: Final = re.compile(r"inputs\.parameter_values\['([^']+)'\] == (true|false)")


@dataclass(frozen=True)
class Condition:
    """What the server is to find before it runs a task: an input with a truth value.

    It is written as the SDK compiles `dsl.If(output == True)`.

    Example:
      >>> Condition.parse("inputs.parameter_values['trains'] == true")
      Condition(parameter='trains', value=True)
    """

    parameter: str
    value: bool = True

    @classmethod
    def parse(cls, text: str) -> "Condition | None":
        """Returns the condition; None where the text says something else."""
        found = _CONDITION.fullmatch(text)
        return cls(found[1], found[2] == "true") if found else None

    def __str__(self) -> str:
        return f"inputs.parameter_values['{self.parameter}'] == {'true' if self.value else 'false'}"


@dataclass(frozen=True)
class Dag:
    """One DAG of a specification."""

    path: tuple[str, ...]
    """The tasks that lead to it, from the root's on; empty for the root's."""

    where: str
    """The place of its tasks in the document."""

    inputs: Mapping[str, Any]
    """What it takes, by kind (`parameters`, `artifacts`) and name; the root's parameters are those of a run."""

    tasks: Mapping[str, Any]

    @property
    def ordered(self) -> list[str]:
        """Its tasks in an order in which they can run: after all they depend on, else by name.

        Raises:
          ConfigError: There is none.
        """
        ordered: list[str] = []
        while len(ordered) < len(self.tasks):
            ready = [
                task_id
                for task_id in sorted(self.tasks)
                if task_id not in ordered and set(self.tasks[task_id].get("dependentTasks", [])) <= set(ordered)
            ]
            if not ready:
                raise ConfigError(
                    f"the tasks {sorted(set(self.tasks) - set(ordered))} wait for each other or for no task"
                )
            ordered += ready
        return ordered


def root_dag(specification: Mapping[str, Any]) -> Dag:
    """Returns the outermost DAG."""
    root = specification.get("root", {})
    return Dag((), "root.dag.tasks", root.get("inputDefinitions", {}), root.get("dag", {}).get("tasks", {}))


def inner_dag(specification: Mapping[str, Any], outer: Dag, task_id: str) -> Dag | None:
    """Returns the DAG that a task of another one is; None for one that runs a container.

    Raises:
      ConfigError: It would contain itself.
    """
    name = outer.tasks[task_id].get("componentRef", {}).get("name", "")
    component = specification.get("components", {}).get(name, {})
    if "dag" not in component:
        return None
    if task_id in outer.path:
        raise ConfigError(f"the task {task_id!r} of the package contains itself")
    tasks = component["dag"].get("tasks", {})
    return Dag((*outer.path, task_id), f"components.{name}.dag.tasks", component.get("inputDefinitions", {}), tasks)


def all_dags(specification: Mapping[str, Any]) -> Iterator[Dag]:
    """Yields the root's DAG, then those in it, each before those in itself.

    Raises:
      ConfigError: One contains itself.
    """
    waiting = [root_dag(specification)]
    while waiting:
        dag = waiting.pop(0)
        yield dag
        inner = (inner_dag(specification, dag, task_id) for task_id in sorted(dag.tasks))
        waiting += [each for each in inner if each is not None]


def container_tasks(specification: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Returns the path of the DAG of every task that runs a container, in an order in which they can run.

    Raises:
      ConfigError: There is no such order.
    """
    return dict(_container_tasks(specification, root_dag(specification)))


def _container_tasks(specification: Mapping[str, Any], dag: Dag) -> Iterator[tuple[str, tuple[str, ...]]]:
    for task_id in dag.ordered:
        inner = inner_dag(specification, dag, task_id)
        if inner is None:
            yield task_id, dag.path
        else:
            yield from _container_tasks(specification, inner)


def find_task(specification: Mapping[str, Any], task_id: str) -> Mapping[str, Any]:
    """Returns a task by its name, whichever DAG it is in; nothing where there is none."""
    found: Mapping[str, Any] = next((d.tasks[task_id] for d in all_dags(specification) if task_id in d.tasks), {})
    return found
