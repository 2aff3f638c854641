"""A tiny package whose components are one small script, and runs of it."""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow import package
from pipeline.kubeflow.conditional_dag import put_under_condition
from pipeline.kubeflow.dry_run import pod
from pipeline.kubeflow.package import Package, code_arguments

COMPONENT = str(Path(__file__).parent / "fake_component.py")
_digest = functools.cache(package._digest)
DECISION = {"instanceSchema": "title: components.RetrainingDecision\ntype: object\n"}
EXAMPLES = {"instanceSchema": "title: tfx.Examples\ntype: object\n"}
MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}


def constant(value: Any) -> dict[str, Any]:
    return {"runtimeValue": {"constant": value}}


def task(task_id: str, *after: str, parameters=None, artifacts=None, cached=True, **fields) -> dict[str, Any]:
    inputs = {"parameters": parameters or {}, "artifacts": artifacts or {}}
    caching = {"enableCache": True} if cached else {}
    spec = {"taskInfo": {"name": task_id}, "componentRef": {"name": task_id}, "dependentTasks": list(after)}
    return {**spec, "inputs": inputs, "cachingOptions": caching, **fields}


def component(task_id: str, parameters=None, artifacts=None, outputs=None, output_parameters=None) -> dict[str, Any]:
    return {
        "executorLabel": f"{task_id}_executor",
        "inputDefinitions": {
            "parameters": {name: {"parameterType": type_} for name, type_ in (parameters or {}).items()},
            "artifacts": {name: {"artifactType": type_} for name, type_ in (artifacts or {}).items()},
        },
        "outputDefinitions": {
            "artifacts": {name: {"artifactType": type_} for name, type_ in (outputs or {}).items()},
            "parameters": {name: {"parameterType": type_} for name, type_ in (output_parameters or {}).items()},
        },
    }


def container(task_id: str, env=None, outputs=()) -> dict[str, Any]:
    command = ["python", "-S", COMPONENT, *code_arguments(task_id), "--outputs", ",".join(outputs)]
    container = {"image": "petseg:1", "command": command, "args": [task_id, "{{$}}"]}
    return {"container": container | {"env": [{"name": name, "value": value} for name, value in (env or {}).items()]}}


def make_documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the documents of a package of a driver, which is never cached, an ExampleGen and a Trainer."""
    fingerprint = {"taskOutputParameter": {"producerTask": "Driver", "outputParameterKey": "fingerprint"}}
    examples = {"taskOutputArtifact": {"producerTask": "ExampleGen", "outputArtifactKey": "examples"}}
    config = json.dumps({"data": {"data_dir": "/cache/data"}})
    tasks = {
        "Driver": task("Driver", parameters={"config": constant(config)}, cached=False),
        "ExampleGen": task("ExampleGen", "Driver", parameters={"fingerprint": fingerprint}),
        "Trainer": task(
            "Trainer",
            "ExampleGen",
            parameters={"epochs": {"componentInputParameter": "epochs"}},
            artifacts={"examples": examples},
            retryPolicy={"maxRetryCount": 1, "backoffDuration": "60s", "backoffFactor": 2},
        ),
    }
    components = {
        "Driver": component("Driver", {"config": "STRING"}, output_parameters={"fingerprint": "STRING"}),
        "ExampleGen": component("ExampleGen", {"fingerprint": "STRING"}, outputs={"examples": EXAMPLES}),
        "Trainer": component(
            "Trainer",
            {"epochs": "NUMBER_INTEGER"},
            {"examples": EXAMPLES},
            {"model": MODEL, "model_run": MODEL},
        ),
    }
    epochs = {"parameterType": "NUMBER_INTEGER", "defaultValue": 3}
    executors = {
        "Driver_executor": container("Driver"),
        "ExampleGen_executor": container("ExampleGen", outputs=["examples"]),
        "Trainer_executor": container("Trainer", {"CHECKPOINTS": "/cache/checkpoints"}, ["model", "model_run"]),
    }
    mount = {"pvcMount": [{"constant": "petseg-data", "mountPath": "/cache"}]}
    secret = {"secretAsEnv": [{"secretName": "wandb", "keyToEnv": [{"secretKey": "key", "envVar": "API_KEY"}]}]}
    platform = {"Driver_executor": mount, "Trainer_executor": mount | secret}
    return (
        {
            "schemaVersion": "2.1.0",
            "pipelineInfo": {"name": "petseg-tiny"},
            "root": {"inputDefinitions": {"parameters": {"epochs": epochs}}, "dag": {"tasks": tasks}},
            "components": components,
            "deploymentSpec": {"executors": executors},
        },
        {"platforms": {"kubernetes": {"deploymentSpec": {"executors": platform}}}},
    )


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(package, "_digest", _digest)
    monkeypatch.setattr(pod, "_MAX_BACKOFF_SECONDS", 0.01)


@pytest.fixture
def make_package() -> Callable[..., Package]:
    """Makes the tiny package, after the documents were changed by a function."""

    def make(change: Callable[[dict[str, Any], dict[str, Any]], None] = lambda _spec, _platform: None) -> Package:
        documents = make_documents()
        change(*documents)
        return Package(*documents)

    return make


@pytest.fixture
def deciding(make_package) -> Package:
    """The tiny package, whose Driver decides whether the others run; the Trainer takes the decision besides."""

    def decide(spec, _platform):
        driver, trainer = (spec["components"][name] for name in ("Driver", "Trainer"))
        driver["outputDefinitions"] = {"artifacts": {"decision": {"artifactType": DECISION}}}
        command = spec["deploymentSpec"]["executors"]["Driver_executor"]["container"]["command"]
        command[-1] = "decision"
        trainer["inputDefinitions"]["artifacts"]["decision"] = {"artifactType": DECISION}
        tasks = spec["root"]["dag"]["tasks"]
        decision = {"taskOutputArtifact": {"producerTask": "Driver", "outputArtifactKey": "decision"}}
        tasks["Trainer"]["inputs"]["artifacts"]["decision"] = decision
        tasks["Trainer"]["dependentTasks"] = ["Driver", "ExampleGen"]
        del spec["components"]["ExampleGen"]["inputDefinitions"]["parameters"]["fingerprint"]
        del tasks["ExampleGen"]["inputs"]["parameters"]["fingerprint"]
        put_under_condition(spec, "Driver", "trains", "Retraining")

    return make_package(decide)


@pytest.fixture
def behave(tmp_path, monkeypatch) -> Iterator[Callable[..., None]]:
    """Tells the components of a task what else to do, as the script says."""
    file = tmp_path / "behaviour.json"
    monkeypatch.setenv("TF_FAKE_BEHAVIOUR", str(file))
    behaviour: dict[str, Any] = {}

    def tell(**by_task: Any) -> None:
        behaviour.update(by_task)
        file.write_text(json.dumps(behaviour))

    tell()
    return tell


@pytest.fixture
def pods(tmp_path, behave) -> Callable[[], list[dict[str, Any]]]:
    """Returns what every component that ran was given, in order."""
    file = tmp_path / "pods.jsonl"
    behave(journal=str(file))
    return lambda: [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
