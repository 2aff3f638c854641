"""The DAGs of a package, and the conditions between them."""

import pytest

from pipeline.kubeflow.dags import Condition, all_dags, container_tasks, find_task, inner_dag, root_dag
from trainer_module.errors import ConfigError


def task(component: str, *after: str) -> dict:
    return {"componentRef": {"name": component}, **({"dependentTasks": [*after]} if after else {})}


def specification(**inner: dict) -> dict:
    """Returns a specification whose root has a container, a DAG of two after it, and a last container."""
    tasks = {"Decider": task("c"), "Again": task("Dag", "Decider"), "Zed": task("c", "Again")}
    dag = {
        "dag": {"tasks": inner or {"B": task("c"), "A": task("c", "B")}},
        "inputDefinitions": {"parameters": {"x": 1}},
    }
    return {"root": {"dag": {"tasks": tasks}}, "components": {"c": {"executorLabel": "c"}, "Dag": dag}}


def test_tasks_that_run_a_container_come_in_an_order_in_which_they_can_run():
    assert container_tasks(specification()) == {"Decider": (), "B": ("Again",), "A": ("Again",), "Zed": ()}
    assert list(container_tasks(specification())) == ["Decider", "B", "A", "Zed"]


def test_dags_may_be_nested():
    spec = specification(In=task("Inner"))
    spec["components"]["Inner"] = {"dag": {"tasks": {"Deep": task("c")}}}
    assert container_tasks(spec)["Deep"] == ("Again", "In")
    assert [(dag.path, dag.where) for dag in all_dags(spec)] == [
        ((), "root.dag.tasks"),
        (("Again",), "components.Dag.dag.tasks"),
        (("Again", "In"), "components.Inner.dag.tasks"),
    ]
    assert find_task(spec, "Deep") == task("c")
    assert find_task(spec, "Deeper") == {}


def test_a_dag_takes_what_its_component_declares():
    spec = specification()
    inner = inner_dag(spec, root_dag(spec), "Again")
    assert inner is not None
    assert inner.inputs == {"parameters": {"x": 1}}
    assert inner_dag(spec, root_dag(spec), "Decider") is None


@pytest.mark.parametrize("inner", [{"Again": task("Dag")}, {"B": task("Other")}])
def test_a_dag_that_contains_itself_is_none(inner):
    spec = specification(**inner)
    spec["components"]["Other"] = {"dag": {"tasks": {"Again": task("Dag")}}}
    with pytest.raises(ConfigError, match="contains itself"):
        list(all_dags(spec))


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("inputs.parameter_values['A--x'] == true", Condition("A--x", value=True)),
        ("inputs.parameter_values['x'] == false", Condition("x", value=False)),
        ("inputs.parameter_values['x'] == 'a'", None),
        ("!(inputs.parameter_values['x'] == true)", None),
        ("", None),
    ],
)
def test_conditions_are_read_as_they_are_written(text, condition):
    assert Condition.parse(text) == condition
    assert condition is None or str(condition) == text
