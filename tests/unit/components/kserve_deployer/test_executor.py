"""The component: what it deploys, and what it leaves."""

import json

import pytest
from fake_kserve_controller import URL
from kserve_deployments import SETTINGS, uri
from tfx.types import standard_artifacts

from components.kserve_deployer.executor import Executor
from components.kserve_deployer.service import read_state
from pipeline.config.loading import load_config
from pipeline.kserve.service import deploy_request
from pipeline.runs.outputs import node_facts
from trainer_module.errors import ConfigError


@pytest.fixture
def execute(api, controller, kubeconfig, tmp_path):
    """Runs the component after a push, and returns what it left."""

    def run(version="7", pushed_to=None, overrides=(), **properties):
        destination = tmp_path / "serving"
        model = destination / version / "saved_model.pb"
        model.parent.mkdir(parents=True, exist_ok=True)
        model.write_bytes(b"graph")
        settings = [*SETTINGS, f"push.destination={destination}", f"push.kserve.kubeconfig={kubeconfig}", *overrides]
        pushed, deployed = standard_artifacts.PushedModel(), standard_artifacts.PushedModel()
        deployed.uri = str(tmp_path / "deployed")
        for name, value in properties.items():
            put = pushed.set_int_custom_property if isinstance(value, int) else pushed.set_string_custom_property
            put(name, value)
        exec_properties = {
            "push_destination": json.dumps({"filesystem": {"base_directory": str(pushed_to or destination)}}),
            "deploy_request": deploy_request(load_config(overrides=settings)).model_dump_json(),
        }
        Executor().Do({"pushed_model": [pushed]}, {"deployed_model": [deployed]}, exec_properties)
        return deployed

    return run


def test_a_pushed_model_is_deployed(execute, api, tmp_path):
    deployed = execute(pushed=1, pushed_destination="/minio/elsewhere/serving/7", pushed_version="7")
    assert read_state(api.services["pets"], {}).stable == uri(7)
    assert (tmp_path / "serving" / ".kserve" / "7-only" / "7" / "saved_model.pb").is_file()
    left = json.loads((tmp_path / "deployed" / "deployment.json").read_text())
    assert left == {
        "deployed": 1,
        "summary": f"models/pets: version 7 has all traffic at {URL}",
        "version": "7",
        "storage_uri": uri(7),
        "url": URL,
        "canary": 0,
    }
    facts = node_facts("KServeDeployer", {"deployed_model": [deployed]}, {})
    assert facts.summary == facts.fields["deployed_model"] == left["summary"]


def test_nothing_pushed_is_nothing_deployed(execute, api):
    deployed = execute(pushed=0)
    assert deployed.get_int_custom_property("deployed") == 0
    assert deployed.get_string_custom_property("summary") == "nothing: no model was pushed"
    assert not api.requests
    assert node_facts("KServeDeployer", {"deployed_model": [deployed]}, {}).fields == {}


def test_without_a_cluster_a_compiled_package_deploys_nothing(execute, api):
    deployed = execute(pushed=1, pushed_destination="/serving/7", overrides=["push.kserve.kubeconfig=in-cluster"])
    assert deployed.get_string_custom_property("summary") == "nothing: there is no cluster here, as in a dry-run"
    assert not api.requests


def test_a_model_that_is_served_already_is_deployed_if_it_is_not(execute, api):
    deployed = execute(pushed=0, already_served="/serving/7")
    assert deployed.get_int_custom_property("deployed") == 1
    again = execute(pushed=0, already_served="/serving/7")
    assert again.get_string_custom_property("summary").endswith("as before")
    assert api.services["pets"]["metadata"]["generation"] == 1


def test_a_destination_that_the_cluster_does_not_see_is_refused(execute, api, tmp_path):
    with pytest.raises(ConfigError, match="'/elsewhere', and where the cluster sees that is not known"):
        execute(pushed=1, pushed_destination="/elsewhere/7", pushed_to="/elsewhere")
    assert not api.requests


def test_no_secret_travels_with_the_request(kubeconfig):
    request = deploy_request(load_config(overrides=[*SETTINGS, f"push.kserve.kubeconfig={kubeconfig}"]))
    assert "token" not in request.model_dump_json()
