"""The task details that a Kubeflow Pipelines server makes of a workflow, in the shapes that were recorded.

`recorded_kubeflow/run_*.json` are what real servers answered: of releases to 2.16.1 (and of 2.17 without its own
settings of Argo) `executor` alone has tries below it; 2.17 as it is installed tries every node again.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from kfp_server_api import models

WORKFLOW = "petseg-pets-x7k2p"
NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""How the server writes a time that is not known."""


States = dict[str, Any]
"""Component to its state, or a DAG of components to the states of these; to none where it is skipped."""


def node_id(name: str) -> str:
    """Returns Argo's id of the node with that name: the workflow's, and a hash of 32 bits (FNV-1a) of the node's."""
    value = 2166136261
    for byte in name.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return f"{WORKFLOW}-{value}"


def executor_node(component: str, attempt: int = 0, *dags: str) -> str:
    """Returns the id of the node of a component's pod, as 2.17 names it, given the DAGs that lead to it."""
    return node_id(f"{_root(dags)}.{component}(0).executor({attempt})")


def driver_node(component: str, *dags: str) -> str:
    """Returns the id of the node of the pod of a component's driver, as 2.17 names it."""
    return node_id(f"{_root(dags)}.{component}-driver(0)")


def _root(dags: tuple[str, ...]) -> str:
    return ".".join((f"{WORKFLOW}(0)", "root(0)", *(f"{dag}(0)" for dag in dags)))


def root_driver_node() -> str:
    return node_id(f"{WORKFLOW}(0).root-driver(0)")


def task_details(
    states: States,
    *,
    attempts: dict[str, list[str]] | None = None,
    since: datetime | None = None,
    root_driver: str = "SUCCEEDED",
    is_installed_2_17: bool = True,
) -> list[Any]:
    """Returns the nodes of a workflow.

    Args:
      states: Component to `PENDING`, `WAITING` (its pod has no place), `RUNNING`, `SUCCEEDED`, `CACHED`, `FAILED`,
        `SKIPPED`, or `DRIVER_FAILED`; the first started at `since`, each further one a minute later, and took 30
        seconds. A DAG to the states of its components.
      attempts: Component to the states of its attempts, where there are several.
      since: When the first component started.
      root_driver: State of the driver that starts the pipeline.
      is_installed_2_17: Whether every node has tries below it, not `executor` alone.
    """
    return _Workflow(since or datetime(2026, 1, 1, tzinfo=UTC), is_installed_2_17).details(
        states, attempts or {}, root_driver
    )


def play(api: Any, *scenes: tuple[str, States], **options: Any) -> None:
    """Lets the runs of a server go from scene to scene, one each time that they are read; the last one stays.

    Args:
      api: The server, a `FakeKubeflowApi`.
      scenes: State of the run, and those of its components.
      options: Of `task_details`.
    """
    left = list(scenes)

    def move(run: Any) -> None:
        state, states = left.pop(0) if len(left) > 1 else left[0]
        run.state = state
        run.run_details = models.V2beta1RunDetails(task_details=task_details(states, **options))
        if state in ("SUCCEEDED", "FAILED", "CANCELED"):
            run.finished_at = run.created_at + timedelta(seconds=90)

    api.on_run_read = move


class _Workflow:
    def __init__(self, since: datetime, is_retried: bool) -> None:
        self._since = since
        self._is_retried = is_retried
        self._details: list[Any] = []

    def details(self, states: States, attempts: dict[str, list[str]], root_driver: str) -> list[Any]:
        going_on = "FAILED" if root_driver == "FAILED" else "RUNNING"
        top = self._node(WORKFLOW, WORKFLOW, going_on, self._since)
        driver = self._node(f"{top}.root-driver", "root-driver", root_driver, self._since)
        self._children(top, [f"{top}.root-driver"])
        if root_driver != "FAILED":
            root = self._node(f"{top}.root", "root", "RUNNING", self._since)
            self._children(driver, [f"{top}.root"])
            self._dag(root, states, attempts, self._since)
        return self._details

    def _dag(self, dag: str, states: States, attempts: dict[str, list[str]], since: datetime) -> None:
        for position, (component, state) in enumerate(states.items()):
            started = since + timedelta(minutes=position)
            if isinstance(state, dict):
                self._inner_dag(dag, component, state, attempts, started)
            else:
                self._component(dag, component, state, started, attempts.get(component))

    def _inner_dag(
        self, outer: str, name: str, states: States, attempts: dict[str, list[str]], started: datetime
    ) -> None:
        driver = self._node(f"{outer}.{name}-driver", f"{name}-driver", "SUCCEEDED", started)
        self._children(outer, [f"{outer}.{name}-driver"])
        self._children(driver, [f"{outer}.{name}"])
        if not states:
            self._add(name, "SKIPPED", started, timedelta())
            return
        self._dag(self._node(f"{outer}.{name}", name, "RUNNING", started), states, attempts, started)

    def _component(self, root: str, component: str, state: str, started: datetime, attempts: list[str] | None) -> None:
        driver_state = {"PENDING": "RUNNING", "DRIVER_FAILED": "FAILED"}.get(state, "SUCCEEDED")
        driver = self._node(f"{root}.{component}-driver", f"{component}-driver", driver_state, started)
        self._children(root, [f"{root}.{component}-driver"])
        if state in ("PENDING", "DRIVER_FAILED"):
            return
        self._children(driver, [f"{root}.{component}"])
        shown = {"CACHED": "SUCCEEDED", "WAITING": "RUNNING"}.get(state, state)
        took = timedelta() if state == "CACHED" else timedelta(seconds=30)
        inner = self._node(f"{root}.{component}", component, shown, started, took)
        executor = f"{inner}.executor"
        self._children(inner, [executor])
        if state == "CACHED":
            self._add("executor", "SKIPPED", started, took)
            return
        tries = attempts or [{"WAITING": "PENDING"}.get(state, state)]
        self._add("executor", shown, started, took, [f"{executor}({number})" for number in range(len(tries))])
        for number, tried in enumerate(tries):
            self._add(f"executor({number})", tried, started, took)
        # The launcher's entry for the cache.
        self._details.append(
            models.V2beta1PipelineTaskDetail(run_id="run", task_id=str(uuid.uuid4()), execution_id="7")
        )

    def _node(
        self, name: str, shown: str, state: str, started: datetime, took: timedelta = timedelta(seconds=30)
    ) -> str:
        """Adds a node, and its first try where it has one; returns the name of the innermost."""
        if not self._is_retried:
            self._add(shown, state, started, took)
            return name
        self._add(shown, state, started, took, [f"{name}(0)"])
        self._add(f"{shown}(0)", state, started, took)
        return f"{name}(0)"

    def _children(self, name: str, children: list[str]) -> None:
        """Adds children to the node of that name."""
        shown = name.rpartition(".")[2]
        [detail] = [detail for detail in self._details if detail.display_name == shown]
        detail.child_tasks += [models.PipelineTaskDetailChildTask(pod_name=node_id(child)) for child in children]

    def _add(
        self, shown: str, state: str, started: datetime, took: timedelta, children: list[str] | None = None
    ) -> None:
        has_ended = state not in ("PENDING", "RUNNING")
        self._details.append(
            models.V2beta1PipelineTaskDetail(
                run_id="run",
                task_id=str(uuid.uuid4()),
                display_name=shown,
                state=state,
                create_time=self._since,
                start_time=started,
                end_time=started + took if has_ended else NEVER,
                state_history=[],
                child_tasks=[models.PipelineTaskDetailChildTask(pod_name=node_id(child)) for child in children or ()],
            )
        )
