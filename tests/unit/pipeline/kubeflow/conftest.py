"""A Kubeflow Pipelines server in memory, and a package for it."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from fake_kubeflow_api import FakeKubeflowApi

from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow.client import KubeflowClient, connect
from pipeline.kubeflow.package import Package, code_arguments

arguments_of = cache(code_arguments)
CHAIN = ["TfdsExampleGenDriver", "TfdsExampleGen", "Trainer", "Pusher"]


def make_package(name: str = "petseg-pets", image: str = "petseg:latest") -> Package:
    """Returns a package of four components in a chain."""
    tasks = {
        task_id: {
            "taskInfo": {"name": task_id},
            "componentRef": {"name": f"comp-{task_id}"},
            **({"dependentTasks": [CHAIN[position - 1]]} if position else {}),
        }
        for position, task_id in enumerate(CHAIN)
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
            "components": {f"comp-{task_id}": {"executorLabel": f"exec-{task_id}"} for task_id in CHAIN},
            "deploymentSpec": {"executors": {f"exec-{task_id}": _executor(task_id, image) for task_id in CHAIN}},
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
def api() -> Iterator[FakeKubeflowApi]:
    with FakeKubeflowApi() as server:
        yield server


@pytest.fixture
def client(api) -> KubeflowClient:
    return connect(KubeflowConfig(host=api.host), backoff_seconds=0)
