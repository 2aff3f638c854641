"""The pods of a run, as a Kubernetes API server in memory shows them."""

import pytest
from fake_kubernetes_api import FakeKubernetesApi

from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow.cluster import ClusterError, RunPod, RunPods
from trainer_module.errors import ConfigError

UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/2 nodes are available: 2 Insufficient cpu.",
}


@pytest.fixture
def api():
    with FakeKubernetesApi(namespace="kubeflow") as server:
        yield server


@pytest.fixture
def pods(api, tmp_path):
    return RunPods(KubeflowConfig(kubeconfig=str(api.write_kubeconfig(tmp_path))))


def add_pod(api, name="trainer-1", run="run", phase="Running", **status):
    api.pods.append(
        {
            "metadata": {
                "name": name,
                "labels": {"pipeline/runid": run},
                "annotations": {"workflows.argoproj.io/node-id": f"node-of-{name}"},
            },
            "status": {"phase": phase, **status},
        }
    )


def waiting(reason, message=None):
    return [{"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}]


def test_pods_are_those_of_the_run(api, pods):
    add_pod(api)
    add_pod(api, name="other", run="another")
    assert pods.of_run("run") == {"node-of-trainer-1": RunPod("trainer-1", "node-of-trainer-1", "Running", None)}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"conditions": [UNSCHEDULABLE]}, "0/2 nodes are available: 2 Insufficient cpu."),
        ({"containerStatuses": waiting("ImagePullBackOff", "no such image")}, "ImagePullBackOff: no such image"),
        ({"containerStatuses": waiting("ErrImageNeverPull")}, "ErrImageNeverPull"),
        ({"initContainerStatuses": waiting("CrashLoopBackOff")}, "CrashLoopBackOff"),
        ({"containerStatuses": waiting("ContainerCreating")}, None),
        ({}, None),
    ],
)
def test_why_a_pod_waits(api, pods, status, reason):
    add_pod(api, phase="Pending", **status)
    [pod] = pods.of_run("run").values()
    assert pods.why_waiting(pod) == reason


def test_what_happened_to_a_pod_that_is_being_made(api, pods):
    add_pod(api, phase="Pending", containerStatuses=waiting("ContainerCreating"))
    for name, kind, reason in (("trainer-1", "Warning", "FailedMount"), ("trainer-1", "Normal", "Scheduled")):
        event = {"type": kind, "reason": reason, "message": "no claim", "lastTimestamp": "2026-01-01T00:00:00Z"}
        api.events.append(event | {"involvedObject": {"name": name}})
    api.events.append({"type": "Warning", "reason": "Other", "message": "", "involvedObject": {"name": "other"}})
    [pod] = pods.of_run("run").values()
    assert pods.why_waiting(pod) == "FailedMount: no claim"


def test_a_pod_that_runs_waits_for_nothing(api, pods):
    add_pod(api, conditions=[UNSCHEDULABLE])
    [pod] = pods.of_run("run").values()
    assert pods.why_waiting(pod) is None


def test_logs(api, pods):
    add_pod(api)
    [pod] = pods.of_run("run").values()
    with pytest.raises(ClusterError, match="waiting to start: PodInitializing"):
        pods.log(pod)
    api.logs["trainer-1"] = "epoch 1\nepöch 2\n"
    assert pods.log(pod) == "epoch 1\nepöch 2\n"
    api.pods.clear()
    with pytest.raises(ClusterError, match='pods "trainer-1" not found'):
        pods.log(pod)


def test_what_the_account_may_not_see_is_asked_for_once(api, pods):
    api.forbidden.add("list pods")
    with pytest.raises(ClusterError, match=r"cannot read the pods of the run: .* answered 403, not allowed"):
        pods.of_run("run")
    api.forbidden.clear()
    api.fail(503, times=2)
    with pytest.raises(ClusterError, match="answered 503"):
        pods.of_run("run")
    assert len(api.requests) == 2


def test_no_kubeconfig_is_no_way_to_a_cluster():
    with pytest.raises(ConfigError, match=r"no way to a cluster: .*; kubeflow.kubeconfig is None"):
        RunPods(KubeflowConfig())
