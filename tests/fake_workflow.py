"""The task details that a Kubeflow Pipelines server makes of a workflow, with its drivers, executors and attempts."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kfp_server_api import models

WORKFLOW = "petseg-pets-x7k2p"
NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""How the server writes a time that is not known."""


def pod(number: int, template: str = "system-container-impl") -> str:
    """Returns the name of a pod; `executor_pod` and `driver_pod` number those of a component."""
    return f"{WORKFLOW}-{template}-{number}"


def executor_pod(position: int, attempt: int = 0) -> str:
    """Returns the pod of the component at that position of the pipeline."""
    return pod(1000 * position + 300 + attempt)


def driver_pod(position: int) -> str:
    return pod(1000 * position + 100, "system-container-driver")


def task_details(
    states: dict[str, str], *, attempts: dict[str, list[str]] | None = None, since: datetime | None = None
) -> list[Any]:
    """Returns the nodes of a workflow.

    Args:
      states: Component to `PENDING`, `RUNNING`, `SUCCEEDED`, `CACHED`, `FAILED`, `SKIPPED`, or `DRIVER_FAILED`; the
        first started at `since`, each further one a minute later, and took 30 seconds.
      attempts: Component to the states of its attempts, when it has a retry policy.
      since: When the first component started.
    """
    first = since or datetime(2026, 1, 1, tzinfo=UTC)
    nodes = [_node(WORKFLOW, "RUNNING", WORKFLOW, first), _node("root-driver", "SUCCEEDED", pod(1), first)]
    nodes.append(_node("root", "RUNNING", pod(2, "root"), first))
    for position, (name, state) in enumerate(states.items(), start=1):
        started = first + timedelta(minutes=position - 1)
        tried = (attempts or {}).get(name) if state != "CACHED" else None
        nodes += _component(name, state, position, started, tried)
    return nodes


def _component(name: str, state: str, position: int, started: datetime, attempts: list[str] | None) -> list[Any]:
    driver_state = {"PENDING": "RUNNING", "DRIVER_FAILED": "FAILED"}.get(state, "SUCCEEDED")
    driver = _node(f"{name}-driver", driver_state, driver_pod(position), started)
    if state in ("PENDING", "DRIVER_FAILED"):
        return [driver]
    executor_hash = 1000 * position + (300 if attempts is None else 200)
    shown = "SUCCEEDED" if state == "CACHED" else state
    component = _node(name, shown, pod(1000 * position, "system-container-executor"), started, [executor_hash])
    if attempts is None:
        executor_state = "SKIPPED" if state == "CACHED" else state
        return [driver, component, _node("executor", executor_state, executor_pod(position), started)]
    hashes = [1000 * position + 300 + number for number in range(len(attempts))]
    retry = _node("executor", shown, pod(executor_hash, "retry-system-container-impl"), started, hashes[::-1])
    tried = [
        _node(f"executor({number})", attempt, executor_pod(position, number), started)
        for number, attempt in enumerate(attempts)
    ]
    return [driver, component, *reversed(tried), retry]


def _node(name: str, state: str, pod_name: str, started: datetime, children: list[int] | None = None) -> Any:
    has_ended = state not in ("PENDING", "RUNNING")
    return models.V2beta1PipelineTaskDetail(
        run_id="run",
        task_id=f"task-{name}-{pod_name}",
        display_name=name,
        state=state,
        pod_name=pod_name,
        create_time=started,
        start_time=started,
        end_time=started + timedelta(seconds=30) if has_ended else NEVER,
        execution_id="0",
        child_tasks=[models.PipelineTaskDetailChildTask(pod_name=f"{WORKFLOW}-{number}") for number in children or ()],
    )
