"""The manifests, as a real API server takes them; they are tried in a namespace of their own, and nothing is made."""

import pytest
import yaml
from real_cluster import ROOT


@pytest.fixture(scope="module")
def namespace(cluster):
    """An empty namespace: what is there already may not be changed, as claims."""
    cluster.kubectl("create", "namespace", cluster.pipeline)
    yield cluster.pipeline
    cluster.kubectl("delete", "namespace", cluster.pipeline, "--wait=false")


@pytest.mark.parametrize("folder", ["base", "shared_storage", "object_store", "serving", "kserve", "kserve_watch"])
def test_the_api_server_takes_the_manifests(folder, cluster, namespace, tmp_path):
    directory = ROOT / "kubeflow/manifests" / folder
    if (directory / "kustomization.yaml").exists():
        files = [cluster.kubectl("kustomize", directory)]
    else:
        files = [file.read_text(encoding="utf-8") for file in sorted(directory.glob("*.yaml"))]
    for text in files:
        documents = list(yaml.safe_load_all(text))
        for document in documents:
            document["metadata"]["namespace"] = namespace
        moved = tmp_path / "moved.yaml"
        moved.write_text(yaml.safe_dump_all(documents))
        taken = cluster.kubectl(
            "apply", "--namespace", namespace, "--dry-run=server", "--output", "name", "--filename", moved
        )
        assert len(taken.split()) == len(documents)
