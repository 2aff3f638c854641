"""What is waited for, and what ends the wait."""

import pytest
from fake_kserve_controller import make_pod
from kserve_deployments import template_for, uri

from components.kserve_deployer import readiness
from components.kserve_deployer.rollout import deploy
from trainer_module.errors import PetsegError

BAD_MODEL = {
    "transitionStatus": "BlockedByFailedLoad",
    "lastFailureInfo": {
        "reason": "ModelLoadFailed",
        "message": "Could not find\nvariable conv2d/bias",
        "exitCode": 137,
        "location": "pets-predictor-1-x",
    },
}
FIRST = "; the next run tries again, or `kubectl delete inferenceservice pets --namespace models` removes it"
TAKEN_BACK = "; petseg has made it again what it was: version 1 has all traffic"
READY = [{"type": "Ready", "status": "True"}]


@pytest.fixture
def template():
    return template_for()


def test_it_waits_until_the_model_is_served(api, controller, cluster, template):
    controller.reads = 5
    deploy(cluster, template, uri(1), None)
    assert api.count("GET /apis") == 1 + 6


def test_the_status_of_the_model_before_does_not_count(api, controller, cluster, template):
    deploy(cluster, template, uri(1), None)
    controller.reads = 3
    deploy(cluster, template, uri(2), None)
    assert api.pods[0]["metadata"]["labels"]["petseg/version"] == "2"


@pytest.mark.parametrize(
    ("status", "pods", "missing"),
    [
        ({}, [], "a ready pod of version 1"),
        ({"conditions": READY, "observedGeneration": 9}, [make_pod("pets", "0")], "a ready pod of version 1"),
        ({"conditions": READY}, [make_pod("pets", "1", ready=False)], "a ready pod of version 1"),
        ({"conditions": [{"type": "Ready", "status": "Unknown"}]}, [make_pod("pets", "1")], "the condition Ready"),
        ({"conditions": READY}, [make_pod("pets", "1")], "the model to be up to date, which is not known"),
        (
            {"conditions": READY, "modelStatus": {"transitionStatus": "InProgress"}},
            [make_pod("pets", "1")],
            "the model to be up to date, which is InProgress",
        ),
        (
            {
                "conditions": READY,
                "modelStatus": {"transitionStatus": "UpToDate"},
                "components": {"predictor": {"traffic": [{"revisionName": "r", "latestRevision": True, "percent": 5}]}},
            },
            [make_pod("pets", "1")],
            "the traffic to be as asked; version 1 has 5 % of the traffic",
        ),
    ],
)
def test_it_says_in_the_end_what_is_missing(status, pods, missing, api, make_cluster, template):
    def set_status(service):
        service["status"], api.pods = status, pods

    api.on_service_read = set_status
    with pytest.raises(PetsegError) as raised:
        deploy(make_cluster(timeout_seconds=0), template, uri(1), None)
    message = (
        f"the InferenceService 'pets' is not ready after 0 s (push.kserve.timeout_seconds): it waits for {missing}"
    )
    assert str(raised.value).splitlines()[0] == message + FIRST


def test_a_timeout_tells_of_conditions_pods_and_events(api, make_cluster, template):
    waiting = {
        "name": "kserve-container",
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}},
    }
    crashed = {
        "name": "storage-initializer",
        "restartCount": 4,
        "state": {"running": {}},
        "lastState": {"terminated": {"reason": "Error", "exitCode": 1, "message": "no such bucket"}},
    }
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no nvidia.com/gpu"}
    api.pods = [
        make_pod("pets", "1", ready=False, containerStatuses=[waiting], initContainerStatuses=[crashed]),
        make_pod("pets", "0", ready=False, conditions=[scheduled]),
        make_pod("dogs", "1"),
    ]
    api.events = [
        event("Warning", "pets-predictor-1-x", "BackOff", "2026-01-02T00:00:00Z"),
        event("Warning", "pets", "InternalError", "2026-01-01T00:00:00Z"),
        event("Normal", "pets", "Created", "2026-01-01T00:00:00Z"),
        event("Warning", "dogs", "BackOff", "2026-01-01T00:00:00Z"),
        event("Warning", "pets", "OfAnEarlierModel", "2025-12-31T00:00:00Z"),
        event("Warning", "pets", "InternalError", "2026-01-01T00:00:01Z"),
    ]
    not_ready = {"type": "Ready", "status": "False", "reason": "PredictorNotReady", "message": "too early"}
    api.on_service_read = lambda service: service.update(status={"conditions": [not_ready]})
    with pytest.raises(PetsegError) as raised:
        deploy(make_cluster(timeout_seconds=0), template, uri(1), None)
    assert str(raised.value).splitlines()[1:] == [
        "  condition Ready=False (PredictorNotReady: too early)",
        "  pod pets-predictor-1-x: Pending, not ready",
        "    storage-initializer ended before with exit code 1: Error: no such bucket",
        "    kserve-container: ImagePullBackOff: no such tag",
        "  pod pets-predictor-0-x: Pending, not ready",
        "    Unschedulable: no nvidia.com/gpu",
        "  event InternalError: said",
        "  event BackOff: said",
    ]


def test_events_that_may_not_be_read_are_left_out(api, make_cluster, template):
    api.forbidden = {"list events"}
    with pytest.raises(PetsegError, match="is not ready after 0 s"):
        deploy(make_cluster(timeout_seconds=0), template, uri(1), None)


def event(kind, name, reason, time):
    return {
        "type": kind,
        "reason": reason,
        "message": "said",
        "involvedObject": {"name": name},
        "lastTimestamp": time,
        "metadata": {"creationTimestamp": time},
    }


def test_a_model_that_cannot_be_loaded_ends_the_wait_at_once(api, controller, cluster, template):
    controller.failure = BAD_MODEL
    with pytest.raises(PetsegError) as raised:
        deploy(cluster, template, uri(1), None)
    assert str(raised.value).startswith(
        "the InferenceService 'pets' cannot serve the model: BlockedByFailedLoad in pets-predictor-1-x "
        f"(exit code 137): ModelLoadFailed: Could not find variable conv2d/bias{FIRST}\n  condition Ready=False"
    )


def test_a_specification_that_is_invalid_ends_the_wait_at_once(api, controller, cluster, template):
    info = {"reason": "NoSupportingRuntime", "message": "no runtime for tensorflow"}
    controller.failure = {"transitionStatus": "InvalidSpec", "lastFailureInfo": info}
    with pytest.raises(PetsegError, match="InvalidSpec: NoSupportingRuntime: no runtime for tensorflow"):
        deploy(cluster, template, uri(1), None)


def test_the_failure_of_the_model_before_does_not_count(api, controller, cluster, template):
    controller.failure = BAD_MODEL
    with pytest.raises(PetsegError, match="cannot serve the model"):
        deploy(cluster, template, uri(1), None)
    controller.failure, looks = None, []

    def reconcile_late(service):
        looks.append(service["metadata"]["generation"])
        if looks.count(2) > 3:
            controller(service)

    api.on_service_read = reconcile_late
    assert deploy(cluster, template, uri(2), None).state.stable == uri(2)
    assert looks.count(2) > 3


def test_a_failure_that_stays_is_believed_after_a_while(api, controller, cluster, template, monkeypatch):
    controller.failure = BAD_MODEL
    with pytest.raises(PetsegError, match="cannot serve the model"):
        deploy(cluster, template, uri(1), None)
    monkeypatch.setattr(readiness, "STALE_SECONDS", 0.0)
    with pytest.raises(PetsegError, match="cannot serve the model"):
        deploy(cluster, template, uri(2), None)


def test_a_canary_that_cannot_be_loaded_ends_the_wait(api, controller, cluster):
    template = template_for("push.kserve.deployment_mode=Standard")
    deploy(cluster, template, uri(1), 10)

    def fail(service):
        canary = {"name": "blue", "ready": False, "trafficPercent": 10, "modelStatus": BAD_MODEL}
        service["status"]["canaryStatuses"] = [canary] if "canary" in service["spec"] else []

    api.on_service_read = fail
    with pytest.raises(PetsegError, match=f"cannot serve the model: BlockedByFailedLoad.*{TAKEN_BACK}"):
        deploy(cluster, template, uri(2), 10)
    assert "canary" not in api.services["pets"]["spec"]


def test_a_canary_of_knative_that_cannot_be_loaded_is_taken_back(api, controller, cluster):
    template = template_for("push.kserve.deployment_mode=Knative")
    deploy(cluster, template, uri(1), 10)
    traffic = {"revisionName": "pets-predictor-00001", "latestRevision": False, "percent": 100}

    def fail(service):
        if service["metadata"]["generation"] > 1:
            service["status"] |= {"modelStatus": BAD_MODEL, "conditions": [{"type": "Ready", "status": "False"}]}
            service["status"]["components"]["predictor"]["traffic"] = [traffic]

    api.on_service_read = fail
    with pytest.raises(PetsegError, match=f"cannot serve the model.*{TAKEN_BACK}"):
        deploy(cluster, template, uri(2), 10)
    predictor = api.services["pets"]["spec"]["predictor"]
    assert (predictor["model"]["storageUri"], predictor.get("canaryTrafficPercent")) == (uri(1), None)


def test_without_replicas_the_newest_revision_tells(api, controller, cluster):
    template = template_for("push.kserve.deployment_mode=Knative", "push.kserve.min_replicas=0")
    controller.makes_pods = False
    deploy(cluster, template, uri(1), None)
    assert not api.pods
    controller.reads = 4
    deploy(cluster, template, uri(2), None)
    assert api.services["pets"]["status"]["components"]["predictor"]["latestReadyRevision"].endswith("2")
    assert not deploy(cluster, template, uri(2), None).changed


def test_a_service_that_is_deleted_meanwhile_is_no_success(api, cluster, template):
    api.on_service_read = lambda service: api.services.clear()
    with pytest.raises(PetsegError, match="was deleted while petseg waited for it"):
        deploy(cluster, template, uri(1), None)


def test_a_cluster_that_is_busy_is_asked_again(api, controller, cluster, template):
    controller.reads = 2

    def reconcile_and_be_busy(service):
        if not api.count("GET /api/v1/namespaces/models/pods") > 1:
            api.fail(503, on="GET /api/v1", times=9)
        controller(service)

    api.on_service_read = reconcile_and_be_busy
    assert deploy(cluster, template, uri(1), None).state.stable == uri(1)
    assert api.count("GET /api/v1") > 10
