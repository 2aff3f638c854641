"""The stand-in answers as KServe's real controller was recorded, and petseg reads both alike."""

import json

import pytest
import requests
from fake_kserve_controller import FakeController
from kserve_deployments import template_for, uri
from kserve_rollouts import kept, recorded, replay

from components.kserve_deployer import readiness
from components.kserve_deployer.rollout import deploy
from components.kserve_deployer.service import RolloutState, render
from trainer_module.errors import PetsegError

STANDARD = template_for("push.kserve.deployment_mode=Standard")


@pytest.fixture(params=["0.20.0", "after_0.20.0"])
def release(request):
    return request.param


def test_a_rollout_goes_as_it_was_recorded(release, api, cluster, monkeypatch):
    monkeypatch.setattr(readiness, "SPLIT_SECONDS", 0.0)
    api.on_service_read = FakeController(api, splits=release != "0.20.0")
    steps = recorded(release)["steps"]
    ours_before, theirs_before = [], []
    done = replay([step["step"] for step in steps], cluster, STANDARD, uri)
    for theirs, (step, came) in zip(steps, done, strict=True):
        cluster.read()  # what was taken back is reconciled, too
        service = cluster.read()
        assert isinstance(came, PetsegError) == ("error" in theirs), step
        if "summary" in theirs:
            assert came.summary == theirs["summary"]
        canaries = service["spec"].get("canary", [])
        assert service["spec"]["predictor"].get("name") == theirs["spec"]["predictor"]["name"], step
        assert [canary["predictor"]["name"] for canary in canaries] == [
            canary["name"] for canary in theirs["spec"]["canary"]
        ]
        assert service["status"]["canaryStatuses"] == theirs["status"].get("canaryStatuses", []), step
        assert api.routes["pets"]["spec"]["rules"][-1]["backendRefs"] == theirs["backends"], step
        pods = [
            {"name": pod["metadata"]["name"], "version": pod["metadata"]["labels"]["petseg/version"]}
            for pod in api.pods
        ]
        assert kept(ours_before, pods) == kept(theirs_before, theirs["pods"]), step
        ours_before, theirs_before = pods, theirs["pods"]


def test_a_promotion_keeps_the_pods_of_the_canary():
    steps = recorded("after_0.20.0")["steps"]
    assert [step["step"] for step in steps[1:3]] == ["canary 2", "promote"]
    assert kept(steps[1]["pods"], steps[2]["pods"]) == [("pets-blue-predictor", "2", True)]


def test_it_refuses_as_it_was_recorded(api):
    api.on_service_read = FakeController(api)
    named = RolloutState(uri(1), canary=uri(2), percent=20, stable_name="green", canary_name="green")
    other_mode = template_for("push.kserve.deployment_mode=Knative")
    unknown = render(STANDARD, RolloutState(uri(1)))
    unknown["spec"]["predictor"]["nonsense"] = 1
    apply(api, render(STANDARD, RolloutState(uri(1))))
    answers = {
        "canary with the stable predictor's name": apply(api, render(STANDARD, named)),
        "another mode": apply(api, render(other_mode, RolloutState(uri(1)))),
        "unknown field": apply(api, unknown),
    }
    api.edit("pets", "spec.predictor.maxReplicas", 9, manager="kubectl-patch")
    answers["field of another hand"] = apply(api, render(STANDARD, RolloutState(uri(1))))
    for what, theirs in recorded("after_0.20.0")["refusals"].items():
        assert (answers[what].status_code, answers[what].json()["message"]) == (
            theirs["status"],
            theirs["body"]["message"],
        )


def apply(api, manifest):
    path = "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/pets"
    query = {"fieldManager": "petseg", "fieldValidation": "Strict"}
    headers = {"Content-Type": "application/apply-patch+yaml", "Authorization": "Bearer x"}
    return requests.patch(api.host + path, json.dumps(manifest), params=query, headers=headers, timeout=10)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("no runtime", "NoSupportingRuntime: .*; KServe has no runtime for TensorFlow here: install the Cluster"),
        (
            "a runtime that does not exist",
            "RuntimeNotRecognized: .*; there is no runtime of the name in push.kserve.run",
        ),
        ("no gateway", "it waits for the condition Ready; no gateway has taken up the HTTPRoute: it names the Gateway"),
    ],
)
def test_what_kserve_lacks_is_told(missing, said, api, make_cluster):
    status = recorded("0.20.0")["missing"][missing]

    def set_status(service):
        service["status"] = status
        api.pods = FakeController(api)._pods(service) if missing == "no gateway" else []

    api.on_service_read = set_status
    with pytest.raises(PetsegError, match=said):
        deploy(make_cluster(timeout_seconds=0), STANDARD, uri(1), None)
