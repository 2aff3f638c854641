"""A pipeline that is put under a condition is what Kubeflow's SDK compiles of `dsl.If`."""

import copy
import re
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from pipeline.kubeflow.conditional_dag import put_under_condition
from pipeline.kubeflow.lint import lint
from pipeline.kubeflow.package import Package

NAME = "condition-1"


@dsl.container_component
def decide(only: bool, evidence: dsl.Output[dsl.Artifact], trains: dsl.OutputPath(bool)):
    return dsl.ContainerSpec(image="i", command=["decide"], args=[str(only), evidence.uri, trains])


@dsl.container_component
def work(x: str, n: int, evidence: dsl.Input[dsl.Artifact], model: dsl.Output[dsl.Artifact]):
    return dsl.ContainerSpec(image="i", command=["work"], args=[x, str(n), evidence.uri, model.uri])


@dsl.container_component
def push(x: str, model: dsl.Input[dsl.Artifact]):
    return dsl.ContainerSpec(image="i", command=["push"], args=[x, model.uri])


def _flat(only_if_needed: bool = False, x: str = "a", n: int = 3):
    decided = decide(only=only_if_needed)
    worked = work(x=x, n=n, evidence=decided.outputs["evidence"]).after(decided)
    push(x=x, model=worked.outputs["model"])


def _conditional(only_if_needed: bool = False, x: str = "a", n: int = 3):
    decided = decide(only=only_if_needed)
    with dsl.If(decided.outputs["trains"] == True):  # noqa: E712 (it makes the condition)
        worked = work(x=x, n=n, evidence=decided.outputs["evidence"])
        push(x=x, model=worked.outputs["model"])


def compiled(function: Any, file: Any) -> dict[str, Any]:
    compiler.Compiler().compile(dsl.pipeline(name="p")(function), str(file))
    return yaml.safe_load(file.read_text())


def named_alike(value: Any) -> Any:
    """Returns a part of the SDK's specification with the names that petseg gives to the inputs of the DAG."""
    if isinstance(value, dict):
        return {_named(key): named_alike(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [named_alike(inner) for inner in value]
    return _named(value) if isinstance(value, str) else value


def _named(text: str) -> str:
    return re.sub("pipelinechannel--", "", re.sub("pipelinechannel--decide-", "decide--", text)).replace(
        "comp-" + NAME, NAME
    )


@pytest.fixture
def flat(tmp_path) -> dict[str, Any]:
    specification = compiled(_flat, tmp_path / "flat.yaml")
    # The server's SDK cannot leave out what TFX has no place for.
    del specification["components"]["comp-decide"]["outputDefinitions"]["parameters"]
    return specification


def test_it_is_what_the_sdk_compiles_an_if_to(flat, tmp_path):
    put_under_condition(flat, "decide", "trains", NAME)
    expected = named_alike(compiled(_conditional, tmp_path / "if.yaml"))
    assert flat["root"] == expected["root"]
    assert flat["components"] == expected["components"]


def test_nothing_in_it_is_what_a_server_would_refuse(flat):
    put_under_condition(flat, "decide", "trains", NAME)
    flat["root"]["inputDefinitions"]["parameters"]["n"]["defaultValue"] = 3  # the SDK writes 3.0
    assert list(lint(Package(flat, {}))) == []


def test_the_others_keep_waiting_for_each_other_alone(flat):
    before = copy.deepcopy(flat["root"]["dag"]["tasks"])
    put_under_condition(flat, "decide", "trains", NAME)
    inner = flat["components"][NAME]["dag"]["tasks"]
    assert before["work"]["dependentTasks"] == ["decide"]
    assert "dependentTasks" not in inner["work"]
    assert inner["push"]["dependentTasks"] == ["work"]
    assert Package(flat, {}).task_ids == ["decide", "work", "push"]
