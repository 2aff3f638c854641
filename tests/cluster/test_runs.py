"""Runs on a real cluster: to a pushed model, from the cache, refused by the gate, side by side, and their logs."""

import json
import os
from typing import Any

import pytest
from real_cluster import ACCOUNT, EPOCHS, METADATA, NAMESPACE, states

ALWAYS = {"TfdsExampleGenDriver", "DriftDetector", "ServedModelResolverDriver", "Pusher", "RunReport"}
"""What looks for itself, and the report of each run."""


@pytest.fixture(scope="module")
def second_run(cluster, package, first_run):
    """The record of a run of the same package."""
    return cluster.submit(*package).record


def test_a_run_ends_with_a_pushed_model(cluster, first_run):
    assert set(states(first_run).values()) == {"complete"}
    assert first_run["state"] == "complete"
    assert first_run["blessed"] is True
    assert first_run["metrics"]["accuracy"] > 0.5
    assert first_run["pushed_model"].startswith(f"/serving/{cluster.pipeline}/")
    assert all(node["summary"] for node in first_run["nodes"])


def test_what_was_pushed_can_be_served(cluster, first_run):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{cluster.pipeline}-verify"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "main",
                    "image": cluster.settings()["kubeflow"]["image"],
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["petseg", "models", "verify", "--model", f"/serving/{cluster.pipeline}"],
                    "volumeMounts": [{"name": "serving", "mountPath": "/serving"}],
                }
            ],
            "volumes": [{"name": "serving", "persistentVolumeClaim": {"claimName": "petseg-serving"}}],
        },
    }
    file = cluster.directory / "verify.json"
    file.write_text(json.dumps(pod))
    cluster.kubectl("apply", "--filename", file)
    name = f"pod/{cluster.pipeline}-verify"
    cluster.wait(
        lambda: cluster.kubectl("get", name, "--output", "jsonpath={.status.phase}") in ("Succeeded", "Failed"), name
    )
    assert first_run["pushed_model"].rpartition("/")[2] in cluster.kubectl("logs", name)
    assert cluster.kubectl("get", name, "--output", "jsonpath={.status.phase}") == "Succeeded"


def test_the_pods_have_the_account_with_the_least_rights(cluster, first_run):
    pods = cluster.objects("pods", "--selector", f"pipeline/runid={first_run['run_id']}")
    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {ACCOUNT}
    account = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    for request in (("delete", "deployments"), ("get", "secrets"), ("create", "pods"), ("delete", "workflows")):
        assert cluster.kubectl("auth", "can-i", *request, "--as", account, code=None).strip() == "no", request


def test_a_second_run_takes_what_it_can_from_the_cache_and_pushes_nothing(cluster, package, first_run, second_run):
    record = second_run
    cached = {component for component, state in states(record).items() if state == "cached"}
    assert cached == set(states(first_run)) - ALWAYS - {"ServedModelResolver", "Evaluator"}, "another model is served"
    assert record["state"] == "complete"
    assert record["pushed_model"] is None
    assert cluster.petseg("kubeflow", "logs", record["run_id"], "Trainer", config=package[1], code=1).err.count("cache")


def test_a_run_that_finds_nothing_changed_still_tells_the_verdict(cluster, package, first_run):
    cluster.submit(*package)
    record = cluster.submit(*package).record
    assert {component for component, state in states(record).items() if state == "complete"} == ALWAYS
    assert (record["blessed"], record["metrics"]["accuracy"]) == (True, first_run["metrics"]["accuracy"])


def test_a_run_can_be_told_to_overrule_the_gate(cluster, package, first_run):
    overruled = {"min_accuracy": 0.999, "force_bless": "only a test", "reset_baseline": "true"}
    record = cluster.submit(*package, **overruled).record
    assert (record["blessed"], record["force_blessed"]) == (False, "only a test")
    assert record["baseline"]["reason"] == "the baseline was reset for this run"
    assert states(record)["Trainer"] == "cached"


def test_a_model_that_is_not_blessed_is_not_pushed(cluster, package, first_run):
    ended = cluster.submit(*package, code=3, min_accuracy=0.999)
    assert ended.record["blessed"] is False
    assert ended.record["pushed_model"] is None
    assert states(ended.record)["Trainer"] == "cached"
    shown = cluster.petseg("kubeflow", "status", ended.record["run_id"], config=package[1], code=3)
    assert "not blessed: nothing was pushed" in shown.out


def test_two_runs_side_by_side_push_a_version_each(cluster, package, first_run):
    runs = [cluster.submit_only(*package, epochs=epochs) for epochs in (EPOCHS - 2, EPOCHS - 1)]
    for run_id in runs:
        cluster.petseg("kubeflow", "status", run_id, "--follow", config=package[1])
    records = [cluster.status(run_id, package[1]) for run_id in runs]
    pushed = [record["pushed_model"] for record in records]
    assert None not in pushed
    assert len({*pushed, first_run["pushed_model"]}) == 3
    assert records[0]["metrics"] != records[1]["metrics"]


def test_the_logs_of_pods_that_have_ended(cluster, package, first_run):
    run_id, config = first_run["run_id"], package[1]
    archived = cluster.log(run_id, "Trainer", config, KUBECONFIG="/dev/null")
    assert "from the archive" in archived.err
    assert f"epoch {EPOCHS}/{EPOCHS}" in archived.out
    [pod] = cluster.pods(run_id, "Trainer")
    by_pod = cluster.kubectl("logs", pod["metadata"]["name"], "--container", "main")
    said = [line for line in archived.out.splitlines() if line.startswith("petseg ")]
    assert said == [line for line in by_pod.splitlines() if line.startswith("petseg ")]
    for driver in ("Trainer-driver", "root-driver"):
        assert "petseg" in cluster.log(run_id, driver, config).out


def test_the_log_of_a_pod_that_is_gone(cluster, package, first_run):
    [pod] = cluster.pods(first_run["run_id"], "StatisticsGen")
    cluster.kubectl("delete", "pod", pod["metadata"]["name"])
    assert "StatisticsGen: done" in cluster.log(first_run["run_id"], "StatisticsGen", package[1]).out


@pytest.mark.skipif(METADATA not in os.environ, reason=f"{METADATA} names no address of ML Metadata")
class TestMetadata:
    """What ML Metadata tells, by its address; of what came from the cache no log does."""

    @pytest.fixture
    def config(self, cluster):
        return cluster.write(cluster.settings(metadata_host=os.environ[METADATA]))

    def test_it_tells_what_the_logs_do(self, cluster, config, first_run):
        record = cluster.status(first_run["run_id"], config)
        for field in ("metrics", "thresholds", "blessed", "pushed_model", "dataset", "parameters", "baseline", "probe"):
            assert record[field] == first_run[field], field

    def test_it_tells_what_came_from_the_cache(self, cluster, config, first_run, second_run):
        assert states(second_run)["Trainer"] == "cached"
        assert second_run["parameters"] is None  # where ML Metadata is not asked
        record = cluster.status(second_run["run_id"], config)
        assert record["parameters"] == first_run["parameters"]
        assert summary(record, "Trainer") == summary(first_run, "Trainer")

    def test_the_list_has_verdicts(self, cluster, config, first_run):
        listed = cluster.petseg("kubeflow", "status", "--json", config=config).record
        assert {run["run_id"]: run["blessed"] for run in listed}[first_run["run_id"]] is True


def summary(record: dict[str, Any], component: str) -> str:
    return next(node["summary"] for node in record["nodes"] if node["id"] == component)
