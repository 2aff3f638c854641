"""Deploy, promote and roll back, in both forms that KServe has of a canary."""

import copy
import json
from unittest.mock import patch

import jsonschema
import pytest
from fake_kserve_controller import URL, FakeController
from fake_kubernetes_api import SCHEMA
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kserve_deployments import template_for, uri
from kserve_rollouts import replay

from components.kserve_deployer import readiness
from components.kserve_deployer.rollout import CanaryGoneError, deploy, deployed, promote, rollback
from components.kserve_deployer.service import RolloutState, read_state, render, version_of
from components.kserve_deployer.traffic import asked
from trainer_module.errors import PetsegError

KNATIVE, STANDARD = "Knative", "Standard"


@pytest.fixture(params=[KNATIVE, STANDARD])
def mode(request):
    return request.param


@pytest.fixture
def template(mode):
    return template_for(f"push.kserve.deployment_mode={mode}")


def served(api):
    remembered = api.config_maps.get("pets-rollout", {"data": {"model-before.json": "{}"}})
    return read_state(api.services["pets"], json.loads(remembered["data"]["model-before.json"]))


def generation(api):
    return api.services["pets"]["metadata"]["generation"]


def test_the_first_model_has_all_traffic(api, controller, cluster, template):
    outcome = deploy(cluster, template, uri(1), canary_percent=10)
    assert outcome.summary == f"version 1 has all traffic at {URL}"
    assert (outcome.state, outcome.url, outcome.changed) == (RolloutState(uri(1)), URL, True)
    predictor = api.services["pets"]["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == uri(1)
    assert predictor["labels"] == {"petseg/version": "1"}
    assert "canaryTrafficPercent" not in predictor
    jsonschema.validate(api.services["pets"], SCHEMA)


def test_a_rerun_applies_nothing_new(api, controller, cluster, template):
    deploy(cluster, template, uri(1), None)
    before = copy.deepcopy(api.services["pets"]["spec"])
    outcome = deploy(cluster, template, uri(1), None)
    assert not outcome.changed
    assert outcome.summary == f"version 1 has all traffic at {URL}, as before"
    assert (api.services["pets"]["spec"], generation(api)) == (before, 1)


def test_what_came_between_look_and_change_is_looked_at_again(api, controller, cluster, template, monkeypatch):
    """Two promote at the same moment: the second one sees what the first has done, and undoes nothing."""
    deploy(cluster, template, uri(1), 10)
    deploy(cluster, template, uri(2), 10)
    apply = cluster.apply

    def too_late(manifest):
        monkeypatch.setattr(cluster, "apply", apply)
        promote(cluster)
        return apply(manifest)

    monkeypatch.setattr(cluster, "apply", too_late)
    with pytest.raises(CanaryGoneError, match="version 2 is no canary any more; version 2 has all traffic"):
        rollback(cluster, canary=uri(2))
    assert served(api).stable == uri(2)


def test_a_change_of_the_status_alone_is_no_obstacle(api, controller, cluster, template, monkeypatch):
    deploy(cluster, template, uri(1), 10)
    deploy(cluster, template, uri(2), 10)
    apply = cluster.apply

    def after_the_controller(manifest):
        monkeypatch.setattr(cluster, "apply", apply)
        api.services["pets"]["metadata"]["resourceVersion"] += "0"
        return apply(manifest)

    monkeypatch.setattr(cluster, "apply", after_the_controller)
    promote(cluster, canary=uri(2))
    assert served(api).stable == uri(2)


def test_another_canary_than_the_one_that_is_meant_is_left_alone(api, controller, cluster, template):
    deploy(cluster, template, uri(1), 10)
    deploy(cluster, template, uri(2), 10)
    for change in (promote, rollback):
        with pytest.raises(CanaryGoneError, match="version 3 is no canary any more; version 2 has 10 %"):
            change(cluster, canary=uri(3))
    assert rollback(cluster, canary=uri(2)).traffic == {"1": 100}
    with pytest.raises(CanaryGoneError, match="version 2 is no canary any more; version 1 has all traffic"):
        promote(cluster, canary=uri(2))


def test_other_settings_of_the_same_model_are_applied(api, controller, cluster, template, mode):
    deploy(cluster, template, uri(1), None)
    changed = template_for(f"push.kserve.deployment_mode={mode}", "push.kserve.max_replicas=7")
    assert deploy(cluster, changed, uri(1), None).changed
    assert api.services["pets"]["spec"]["predictor"]["maxReplicas"] == 7
    assert served(api) == RolloutState(uri(1))


def test_a_new_model_takes_all_traffic_and_the_old_one_is_remembered(api, controller, cluster, template):
    deploy(cluster, template, uri(1), None)
    outcome = deploy(cluster, template, uri(2), None)
    assert served(api) == outcome.state == RolloutState(uri(2), previous=uri(1))


def test_a_canary_gets_its_share_until_it_is_promoted(api, controller, cluster, template):
    deploy(cluster, template, uri(1), 10)
    outcome = deploy(cluster, template, uri(2), 10)
    assert outcome.summary == f"version 2 has 10 % of the traffic, version 1 90 % at {URL}"
    assert (served(api).stable, served(api).canary, served(api).percent) == (uri(1), uri(2), 10)
    jsonschema.validate(api.services["pets"], SCHEMA)

    promoted = promote(cluster)
    assert promoted.summary == f"version 2 has all traffic at {URL}"
    state = served(api)
    assert (state.stable, state.canary, state.previous) == (uri(2), None, uri(1))

    again = deploy(cluster, template, uri(2), 10)
    assert not again.changed
    assert served(api) == state


def test_the_two_forms_of_a_canary(api, controller, cluster, template, mode):
    deploy(cluster, template, uri(1), 10)
    deploy(cluster, template, uri(2), 10)
    spec = api.services["pets"]["spec"]
    if mode == KNATIVE:
        assert spec["predictor"]["canaryTrafficPercent"] == 10
        assert spec["predictor"]["model"]["storageUri"] == uri(2)
        assert "canary" not in spec
        return
    assert "canaryTrafficPercent" not in spec["predictor"]
    assert spec["predictor"]["model"]["storageUri"] == uri(1)
    (canary,) = spec["canary"]
    assert canary["trafficPercent"] == 10
    assert canary["predictor"]["name"] == "blue"
    assert canary["predictor"]["labels"] == {"petseg/version": "2"}
    assert canary["predictor"]["model"] == spec["predictor"]["model"] | {
        "name": "kserve-container",
        "storageUri": uri(2),
    }
    promote(cluster)
    spec = api.services["pets"]["spec"]
    assert "canary" not in spec
    assert spec["predictor"]["name"] == "blue"  # the canary's pods become the stable ones


def test_the_next_model_replaces_a_canary(api, controller, cluster, template):
    for version in (1, 2, 3):
        deploy(cluster, template, uri(version), 10)
    assert (served(api).stable, served(api).canary) == (uri(1), uri(3))


def test_a_model_without_a_canary_ends_one(api, controller, cluster, template):
    deploy(cluster, template, uri(1), 10)
    deploy(cluster, template, uri(2), 10)
    deploy(cluster, template, uri(3), None)
    assert (served(api).stable, served(api).canary, served(api).previous) == (uri(3), None, uri(1))


def test_a_canary_that_is_rolled_back_gets_nothing_and_stays_back(api, controller, cluster, template, mode):
    deploy(cluster, template, uri(1), 10)
    deploy(cluster, template, uri(2), 10)
    rollback(cluster)
    state = served(api)
    assert state.stable == uri(1)
    if mode == KNATIVE:
        assert (state.canary, state.percent) == (uri(2), 0)
        assert api.services["pets"]["status"]["components"]["predictor"]["traffic"][0]["percent"] == 0
    else:
        assert (state.canary, state.rolled_back) == (None, uri(2))
        assert "canary" not in api.services["pets"]["spec"]
    deploy(cluster, template, uri(2), 10)
    rollback(cluster)
    assert served(api) == state

    promote(cluster)
    assert (served(api).stable, served(api).canary, served(api).previous) == (uri(2), None, uri(1))


def test_without_a_canary_the_version_before_comes_back(api, controller, cluster, template):
    deploy(cluster, template, uri(1), None)
    deploy(cluster, template, uri(2), None)
    outcome = rollback(cluster)
    assert outcome.summary == f"version 1 has all traffic at {URL}"
    assert (served(api).stable, served(api).rolled_back) == (uri(1), uri(2))

    left = deploy(cluster, template, uri(2), None)
    assert left.summary == "version 2 was rolled back and is not deployed again; version 1 has all traffic"
    assert not left.changed
    assert rollback(cluster).summary == "version 2 was rolled back already; version 1 has all traffic"
    assert served(api).stable == uri(1)

    promote(cluster)
    assert served(api).stable == uri(2)
    deploy(cluster, template, uri(3), None)
    assert served(api) == RolloutState(uri(3), previous=uri(2))


def test_there_may_be_nothing_to_promote_or_to_go_back_to(api, controller, cluster, template):
    with pytest.raises(PetsegError, match="there is no InferenceService 'pets' in the namespace 'models'"):
        promote(cluster)
    deploy(cluster, template, uri(1), None)
    assert promote(cluster).summary == "nothing to promote; version 1 has all traffic"
    with pytest.raises(PetsegError, match="there is no version before 1"):
        rollback(cluster)
    assert generation(api) == 1


def test_promotion_keeps_what_petseg_applied_and_what_others_set(api, controller, cluster, template, mode):
    other = template_for(
        f"push.kserve.deployment_mode={mode}", "push.kserve.memory=9Gi", "push.kserve.service_account_name=reader"
    )
    deploy(cluster, other, uri(1), 10)
    deploy(cluster, other, uri(2), 10)
    api.edit("pets", "spec.predictor.timeout", 30)
    promote(cluster)
    predictor = api.services["pets"]["spec"]["predictor"]
    assert predictor["model"]["resources"]["limits"]["memory"] == "9Gi"
    assert (predictor["serviceAccountName"], predictor["timeout"]) == ("reader", 30)
    owned = next(each for each in api.services["pets"]["metadata"]["managedFields"] if each["manager"] == "petseg")
    assert "f:timeout" not in owned["fieldsV1"]["f:spec"]["f:predictor"]


def test_a_service_of_another_hand_is_left_alone(api, controller, cluster, template):
    api.services["pets"] = {
        **render(template, RolloutState("gs://x/y")),
        "metadata": {"name": "pets", "uid": "u", "generation": 1, "resourceVersion": "1"},
    }
    before = copy.deepcopy(api.services["pets"])
    for change in (
        lambda: deploy(cluster, template, uri(1), None),
        lambda: promote(cluster),
        lambda: rollback(cluster),
    ):
        with pytest.raises(PetsegError, match="was not deployed by petseg"):
            change()
    assert api.services["pets"]["spec"] == before["spec"]


def test_a_field_of_another_hand_is_a_conflict_unless_it_is_taken_over(api, controller, make_cluster, template, mode):
    deploy(make_cluster(), template, uri(1), None)
    api.edit("pets", "spec.predictor.maxReplicas", 9)
    with pytest.raises(
        PetsegError, match=r"kubectl-edit has set fields .* \.spec\.predictor\.maxReplicas; undo"
    ) as raised:
        deploy(make_cluster(), template, uri(2), None)
    assert "push.kserve.force_conflicts=true" in str(raised.value)
    assert served(api).stable == uri(1)
    deploy(make_cluster(force_conflicts=True), template, uri(2), None)
    assert api.services["pets"]["spec"]["predictor"]["maxReplicas"] == 3


def test_the_mode_of_a_service_cannot_be_changed(api, controller, cluster):
    deploy(cluster, template_for("push.kserve.deployment_mode=Knative"), uri(1), None)
    with pytest.raises(PetsegError, match=r"the cluster's admission webhook .* deploymentMode cannot be changed"):
        deploy(cluster, template_for("push.kserve.deployment_mode=Standard"), uri(1), None)


def test_a_canary_of_another_hand_cannot_be_promoted(api, controller, cluster):
    template = template_for("push.kserve.deployment_mode=Knative")
    deploy(cluster, template, uri(1), 10)
    deploy(cluster, template, uri(2), 10)
    api.edit("pets", "spec.predictor.canaryTrafficPercent", 50)
    with pytest.raises(PetsegError, match=r"the InferenceService says that version 2 has 50 %.*: kubectl-edit has set"):
        promote(cluster)


def test_what_was_served_before_is_in_a_config_map_that_goes_with_the_service(api, controller, cluster, template):
    deploy(cluster, template, uri(1), None)
    assert not api.config_maps
    deploy(cluster, template, uri(2), None)
    owner = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": "pets", "uid": "u1"}
    assert api.config_maps["pets-rollout"]["metadata"]["ownerReferences"] == [owner]
    assert all("petseg" not in name for name in api.services["pets"]["metadata"]["annotations"])

    api.delete("pets")
    deploy(cluster, template, uri(2), None)
    with pytest.raises(PetsegError, match="there is no version before 2"):
        rollback(cluster)


def test_what_was_served_before_is_written_before_the_service_is_changed(api, controller, cluster, template, mode):
    """Whatever is cut off between the two, the old state is read from what is there."""
    deploy(cluster, template, uri(1), None)
    deploy(cluster, template, uri(2), None)
    before = served(api)
    for change in (
        lambda: deploy(cluster, template, uri(3), None),
        lambda: deploy(cluster, template, uri(3), 10),
        lambda: rollback(cluster),
    ):
        api.forbidden = {"patch inferenceservices"}
        with pytest.raises(PetsegError, match="not allowed"):
            change()
        assert served(api) == before
    api.forbidden = set()
    rollback(cluster)
    assert served(api).stable == uri(1)


def test_a_config_map_with_something_else_in_it_is_told(api, controller, cluster, template):
    deploy(cluster, template, uri(1), None)
    deploy(cluster, template, uri(2), None)
    api.config_maps["pets-rollout"]["data"] = {"model-before.json": "[]"}
    with pytest.raises(
        PetsegError, match=r"ConfigMap 'pets-rollout' in the namespace 'models' does not say .* delete it"
    ):
        rollback(cluster)
    del api.config_maps["pets-rollout"]
    deploy(cluster, template, uri(3), None)
    assert served(api) == RolloutState(uri(3), previous=uri(2))


def test_a_canary_of_knative_whose_stable_model_nobody_knows_is_left_alone(api, controller, cluster):
    template = template_for("push.kserve.deployment_mode=Knative")
    deploy(cluster, template, uri(1), 10)
    deploy(cluster, template, uri(2), 10)
    api.config_maps.clear()
    with pytest.raises(
        PetsegError, match="gives version 2 10 % of the traffic, but the ConfigMap 'pets-rollout' does not"
    ):
        promote(cluster)
    assert api.services["pets"]["spec"]["predictor"]["canaryTrafficPercent"] == 10


def test_a_canary_that_gets_no_traffic_is_taken_back(api, cluster, monkeypatch):
    """KServe 0.20 in the mode Standard."""
    monkeypatch.setattr(readiness, "SPLIT_SECONDS", 0.02)
    api.on_service_read = FakeController(api, splits=False)
    template = template_for("push.kserve.deployment_mode=Standard")
    deploy(cluster, template, uri(1), 10)
    before = copy.deepcopy(api.services["pets"]["spec"])
    with pytest.raises(PetsegError) as raised:
        deploy(cluster, template, uri(2), 10)
    assert "the canary is ready, but the HTTPRoute 'pets' says that version 1 has all traffic" in str(raised.value)
    assert "; petseg has made it again what it was: version 1 has all traffic" in str(raised.value)
    assert api.services["pets"]["spec"] == before


@pytest.mark.parametrize("why", ["no route", "no right"])
def test_without_a_route_no_canary_is_offered(why, api, controller, cluster):
    template = template_for("push.kserve.deployment_mode=Standard")
    controller.makes_routes = False
    deploy(cluster, template, uri(1), 10)
    if why == "no right":
        api.forbidden = {"get httproutes"}
    said = {"no route": "there is no HTTPRoute 'pets'. KServe makes one", "no right": "cannot get .*httproutes"}[why]
    with pytest.raises(PetsegError, match=said):
        deploy(cluster, template, uri(2), 10)
    assert generation(api) == 1
    if why == "no route":
        assert deploy(cluster, template, uri(2), None).summary.startswith("version 2 has all traffic")


def test_a_route_that_somebody_changed_is_told_as_it_is(api, controller, cluster):
    template = template_for("push.kserve.deployment_mode=Standard")
    deploy(cluster, template, uri(1), 10)
    deploy(cluster, template, uri(2), 10)
    api.on_service_read = lambda service: None
    blue, other = {"name": "pets-blue-predictor", "weight": 1}, {"name": "cats"}
    api.routes["pets"]["spec"]["rules"] = [{"backendRefs": [{"name": "x"}]}, {"backendRefs": [other, blue, other]}]
    assert deployed(cluster).described == "version 2 has 33 % of the traffic, version ? 67 %"
    api.routes.clear()
    assert deployed(cluster).described == "version 1 has all traffic"


STEPS = ["promote", "rollback", *(f"{what} {version}" for what in ("deploy", "canary") for version in range(1, 5))]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(STEPS), max_size=12), st.booleans())
def test_whatever_comes_after_what_names_never_clash_and_petseg_says_what_is_there(api, cluster, steps, splits):
    if api.services:
        api.delete("pets")
        api.config_maps.clear()
    api.on_service_read = FakeController(api, splits=splits)
    with patch.object(readiness, "SPLIT_SECONDS", 0.0):
        for _, came in replay(steps, cluster, template_for("push.kserve.deployment_mode=Standard"), uri):
            if isinstance(came, PetsegError):
                assert any(said in str(came) for said in ("there is no ", "does not split")), came
                continue
            cluster.read()  # what was taken back is reconciled, too
            cluster.read()
            state = served(api)
            assert came.state == state
            assert came.traffic == asked(state)
            versions = {version_of(model) for model in (state.stable, state.canary) if model}
            assert {pod["metadata"]["labels"]["petseg/version"] for pod in api.pods} == versions
