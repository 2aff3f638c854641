"""A Kubeflow Pipelines server in memory, and a package for it."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import pytest
from fake_kubeflow_api import FakeKubeflowApi

from pipeline.cli import exit_code
from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow.client import KubeflowClient, connect
from pipeline.kubeflow.conditional_dag import put_under_condition
from pipeline.kubeflow.dags import RETRAINING
from pipeline.kubeflow.package import Package, code_arguments
from pipeline.nodes import RETRAINING_DECIDER

arguments_of = cache(code_arguments)
CHAIN = ["TfdsExampleGenDriver", "TfdsExampleGen", "Trainer", "Pusher"]


def make_package(
    name: str = "petseg-pets", image: str = "petseg:latest", chain: Sequence[str] = tuple(CHAIN)
) -> Package:
    """Returns a package of components in a chain."""
    tasks = {
        task_id: {
            "taskInfo": {"name": task_id},
            "componentRef": {"name": f"comp-{task_id}"},
            **({"dependentTasks": [chain[position - 1]]} if position else {}),
        }
        for position, task_id in enumerate(chain)
    }
    parameters = {
        "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3},
        "min_accuracy": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5},
        "push_destination": {"parameterType": "STRING", "defaultValue": "/serving/pets"},
        "dataset_version": {"parameterType": "STRING", "defaultValue": ""},
        "force_bless": {"parameterType": "STRING", "defaultValue": ""},
        "reset_baseline": {"parameterType": "BOOLEAN", "defaultValue": False},
    }
    return Package(
        {
            "schemaVersion": "2.1.0",
            "sdkVersion": "tfx-1.21.0",
            "pipelineInfo": {"name": name},
            "root": {"inputDefinitions": {"parameters": parameters}, "dag": {"tasks": tasks}},
            "components": {f"comp-{task_id}": {"executorLabel": f"exec-{task_id}"} for task_id in chain},
            "deploymentSpec": {"executors": {f"exec-{task_id}": _executor(task_id, image) for task_id in chain}},
        },
        {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}},
    )


def _executor(task_id: str, image: str) -> dict[str, Any]:
    return {"container": {"image": image, "command": ["python", *arguments_of(task_id)]}}


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KFP_TOKEN", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "no-kubeconfig"))


@pytest.fixture
def package() -> Package:
    return make_package()


@pytest.fixture
def deciding_package() -> Package:
    """The package of a schedule, whose first component decides whether the others run."""
    package = make_package(chain=[RETRAINING_DECIDER, *CHAIN[1:]])
    put_under_condition(package.pipeline_spec, RETRAINING_DECIDER, "trains", RETRAINING)
    return package


@pytest.fixture
def api() -> Iterator[FakeKubeflowApi]:
    with FakeKubeflowApi() as server:
        yield server


@pytest.fixture
def client(api) -> KubeflowClient:
    return connect(KubeflowConfig(host=api.host), backoff_seconds=0)


@pytest.fixture
def petseg(api, capsys) -> Callable[..., tuple[int, str, str]]:
    """Calls a command of `petseg kubeflow` for the server; returns exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = exit_code(["kubeflow", *map(str, arguments), "--set", f"kubeflow.host={api.host}"])
        return code, *capsys.readouterr()

    return call
