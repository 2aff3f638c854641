"""A cluster with KServe in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_kserve_controller import FakeController
from fake_kubernetes_api import FakeKubernetesApi

from components.kserve_deployer import readiness
from components.kserve_deployer.cluster import Cluster, ClusterAccess


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0.005)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def api() -> Iterator[FakeKubernetesApi]:
    with FakeKubernetesApi() as server:
        yield server


@pytest.fixture
def controller(api) -> FakeController:
    api.on_service_read = FakeController(api)
    return api.on_service_read


@pytest.fixture
def kubeconfig(api, tmp_path) -> Path:
    return api.write_kubeconfig(tmp_path)


@pytest.fixture
def make_cluster(kubeconfig) -> Callable[..., Cluster]:
    def make(**options) -> Cluster:
        fields = {"kubeconfig": str(kubeconfig), "namespace": "models", "name": "pets", "timeout_seconds": 10}
        return Cluster(ClusterAccess(**fields | options), backoff_seconds=0)

    return make


@pytest.fixture
def cluster(make_cluster) -> Cluster:
    return make_cluster()
