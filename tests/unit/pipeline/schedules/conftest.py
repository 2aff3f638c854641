"""A Kubeflow Pipelines server in memory, and the command line against it."""

from collections.abc import Iterator

import pytest
from fake_kubeflow_api import FakeKubeflowApi
from schedule_commands import Commands, make_package

from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow.client import connect


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("KFP_TOKEN", raising=False)


@pytest.fixture
def api() -> Iterator[FakeKubeflowApi]:
    with FakeKubeflowApi() as server:
        yield server


@pytest.fixture
def uploaded(api) -> str:
    """The name of the one version that the server has."""
    return connect(KubeflowConfig(host=api.host), backoff_seconds=0).upload(make_package()).name


@pytest.fixture
def petseg(api, capsys) -> Commands:
    return Commands(capsys.readouterr, "--set", f"kubeflow.host={api.host}", "--set", "schedule.cron=0 3 * * 1")
