"""Tests on a cluster that KUBECONFIG and PETSEG_TEST_KUBEFLOW or PETSEG_TEST_KSERVE name; nothing is a stand-in.

CONTRIBUTING.md says how to get one.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_cluster import ROOT, RUN_SECONDS, Cluster

_HOST = "PETSEG_TEST_KUBEFLOW"
_KSERVE = "PETSEG_TEST_KSERVE"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(RUN_SECONDS))
            needed = ("KUBECONFIG", _KSERVE if item.path.name == "test_kserve.py" else _HOST)
            if missing := [name for name in needed if not os.environ.get(name)]:
                item.add_marker(pytest.mark.skip(reason=f"no cluster: {' and '.join(missing)} not set"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, with the volumes and the account that runs need."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), os.environ[_HOST])
    cluster.kubectl("delete", "job", "petseg-prepare-volumes", "--ignore-not-found")  # a job cannot be changed
    cluster.kubectl("apply", "--kustomize", ROOT / "kubeflow/manifests/base")
    cluster.kubectl("wait", "--for", "condition=complete", "--timeout", "240s", "job/petseg-prepare-volumes")
    yield cluster
    config = cluster.write(cluster.settings())
    listed = cluster.petseg("kubeflow", "status", "--json", config=config, code=None)
    for run in listed.record if listed.code == 0 else ():  # without a run there is no experiment
        if run["state"] == "running":
            cluster.petseg("kubeflow", "cancel", run["run_id"], config=config)


@pytest.fixture(scope="session")
def package(cluster: Cluster) -> tuple[Path, Path]:
    """The package that most runs are of, and its configuration."""
    return cluster.compile(cluster.settings())


@pytest.fixture(scope="session")
def first_run(cluster: Cluster, package: tuple[Path, Path]) -> dict[str, Any]:
    """The record of a run that nothing came between, from drawn pets to a pushed model."""
    return cluster.submit(*package).record
