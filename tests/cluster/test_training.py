"""A training on a real cluster that is interrupted: by its user, and by a node that loses the pod."""

import pytest
from real_cluster import EPOCHS, Cluster, states

CANCELLED_EPOCHS = EPOCHS + 1
GPU = "nvidia.com/gpu"
SAME_IMAGE = "docker.io/library/"
"""What a short name of an image stands for: another name, so another key of the cache, for the same content."""


@pytest.fixture(scope="module")
def gpu_node(cluster: Cluster) -> dict:
    """The node with GPUs."""
    for node in cluster.objects("nodes"):
        if node["status"]["allocatable"].get(GPU, "0") != "0":
            return node
    pytest.skip(f"no node of the cluster has {GPU}")


def test_a_run_that_was_cancelled_goes_on_from_its_checkpoint(cluster, package, first_run):
    run_id = cluster.submit_only(*package, epochs=CANCELLED_EPOCHS)
    cluster.wait_for_log(run_id, "Trainer", f"epoch 3/{CANCELLED_EPOCHS}", package[1])
    said = cluster.petseg("kubeflow", "cancel", run_id, config=package[1]).out
    assert "the server stops it" in said
    cluster.wait(lambda: cluster.status(run_id, package[1])["state"] == "interrupted", "the end of a cancelled run")
    record = cluster.status(run_id, package[1])
    assert states(record)["Trainer"] == "interrupted"
    assert states(record)["Pusher"] == "skipped"
    assert "has ended already" in cluster.petseg("kubeflow", "cancel", run_id, config=package[1]).out

    record = cluster.submit(*package, epochs=CANCELLED_EPOCHS).record
    log = cluster.log(record["run_id"], "Trainer", package[1]).out
    assert f"epoch {CANCELLED_EPOCHS}/{CANCELLED_EPOCHS}" in log
    assert f"epoch 1/{CANCELLED_EPOCHS}" not in log
    assert record["pushed_model"] is not None


def test_the_trainer_alone_is_on_the_gpu_node_and_survives_the_loss_of_its_pod(cluster, first_run, gpu_node):
    [taint] = gpu_node["spec"]["taints"]
    trainer = {
        "gpus": 1,
        "resources": {"cpu": 0.5, "memory": "4Gi"},
        "node_selector": {"nvidia.com/gpu.present": gpu_node["metadata"]["labels"]["nvidia.com/gpu.present"]},
        "tolerations": [{"key": taint["key"], "operator": "Equal", "value": taint["value"], "effect": taint["effect"]}],
        "shared_memory": "1Gi",
    }
    image = cluster.settings()["kubeflow"]["image"]
    settings = cluster.settings(trainer=trainer, gpu_image=SAME_IMAGE + image)
    package, config = cluster.compile(settings)
    run_id = cluster.submit_only(package, config)
    cluster.wait_for_log(run_id, "Trainer", f"epoch 3/{EPOCHS}", config)
    [pod] = cluster.pods(run_id, "Trainer")
    assert pod["spec"]["nodeName"] == gpu_node["metadata"]["name"]
    [main] = [container for container in pod["spec"]["containers"] if container["name"] == "main"]
    assert main["resources"]["limits"][GPU] == "1"
    assert any(mount["mountPath"] == "/dev/shm" for mount in main["volumeMounts"])
    cluster.kubectl("delete", "pod", pod["metadata"]["name"])

    followed = cluster.petseg("kubeflow", "status", run_id, "--follow", config=config)
    assert "Trainer: running, attempt 2" in followed.out
    record = cluster.status(run_id, config)
    assert record["state"] == "complete"
    pods = cluster.objects("pods", "--selector", f"pipeline/runid={run_id}")
    elsewhere = [pod for pod in pods if pod not in cluster.pods(run_id, "Trainer")]
    assert {pod["spec"]["nodeName"] for pod in elsewhere} == {"node"}
    log = cluster.log(run_id, "Trainer", config).out
    assert f"epoch {EPOCHS}/{EPOCHS}" in log
    assert f"epoch 1/{EPOCHS}," not in log
    assert f"epoch 2/{EPOCHS}," in cluster.log(run_id, "Trainer", config, "--attempt", 1).out
    expected = {name: value for name, value in first_run["metrics"].items() if value is not None}
    assert {name: record["metrics"][name] for name in expected} == pytest.approx(expected, abs=1e-6)
