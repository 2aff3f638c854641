"""The component: what it deploys, and what it leaves."""

import json

import pytest
import tensorflow as tf
from fake_kserve_controller import URL
from kserve_deployments import SETTINGS, uri
from serving_pods import ServingPod, drawn_images, place
from tfx.types import standard_artifacts

from components.kserve_deployer.canary import watch as watching
from components.kserve_deployer.executor import Executor
from components.kserve_deployer.service import read_state
from pipeline.config.loading import load_config
from pipeline.kserve.service import deploy_request, watch_settings
from pipeline.runs.outputs import node_facts
from trainer_module.errors import ConfigError


@pytest.fixture
def execute(api, controller, kubeconfig, tmp_path):
    """Runs the component after a push, and returns what it left."""

    def run(version="7", pushed_to=None, overrides=(), inputs=None, **properties):
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
        config = load_config(overrides=settings)
        exec_properties = {
            "push_destination": json.dumps({"filesystem": {"base_directory": str(pushed_to or destination)}}),
            "deploy_request": deploy_request(config).model_dump_json(),
            "watch": watch_settings(config).model_dump_json() if config.push.kserve.promote == "auto" else None,
        }
        Executor().Do({"pushed_model": [pushed], **(inputs or {})}, {"deployed_model": [deployed]}, exec_properties)
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
        "is_canary": 0,
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


AUTO = (
    "push.kserve.deployment_mode=Standard", "push.kserve.canary_percent=10", "push.kserve.promote=auto",
    "push.kserve.watch.requests=20", "push.kserve.watch.min_requests=20", "push.kserve.watch.pause_seconds=0",
    "push.kserve.watch.max_latency_ratio=100", "evaluation.split=test",
)  # fmt: skip


@pytest.fixture
def examples(tmp_path):
    """Ten examples of the split `test`, as SegmentationValidator hands them on."""
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(tmp_path / "examples"), json.dumps(["train", "test"])
    split = tmp_path / "examples" / "Split-test"
    split.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(split / "data.gz"), "GZIP") as file:
        for image in drawn_images(10):
            feature = {"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))}
            file.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return {"examples": [artifact]}


@pytest.fixture
def deploy_canary(execute, api, examples, tmp_path, monkeypatch):
    """Deploys version 7, and then version 8 as a canary, whose server is given."""
    monkeypatch.setattr(watching, "REFRESH_SECONDS", 0.02)

    def run(canary, accuracy=0.9):
        execute(pushed=1, pushed_destination="/serving/7", overrides=AUTO, inputs=examples)
        for version in ("7", "8"):
            record = tmp_path / "serving" / version / "assets.extra" / "petseg_push.json"
            record.parent.mkdir(parents=True)
            record.write_text(json.dumps({"pushed_at": "2026-01-01T00:00:00Z", "metrics": {"accuracy": accuracy}}))
        with ServingPod() as stable, canary:
            place(api, {"7": stable, "8": canary})
            return execute("8", pushed=1, pushed_destination="/serving/8", overrides=AUTO, inputs=examples)

    return run


def left(deployed, tmp_path):
    """Returns what the run's record says, and the reasons that lie beside the deployment."""
    facts = node_facts("KServeDeployer", {"deployed_model": [deployed]}, {})
    return facts, json.loads((tmp_path / "deployed" / "canary.json").read_text())


def test_a_canary_is_watched_and_promoted(deploy_canary, api, tmp_path):
    deployed = deploy_canary(ServingPod())
    facts, reasons = left(deployed, tmp_path)
    assert facts.summary.startswith("models/pets: version 8 was promoted: 0 of 20 requests to the canary failed")
    assert facts.summary.endswith(f"; version 8 has all traffic at {URL}")
    assert facts.fields["deployed_model"] == facts.summary
    assert deployed.get_string_custom_property("canary") == reasons["ending"] == "promoted"
    assert reasons["expected_difference"] == pytest.approx(0.22)
    assert read_state(api.services["pets"], {}).stable == uri(8)


def test_a_canary_that_is_rolled_back_fails_no_run_but_is_not_deployed(deploy_canary, execute, api, examples, tmp_path):
    deployed = deploy_canary(ServingPod(fails_every=1))
    facts, reasons = left(deployed, tmp_path)
    assert "version 8 was rolled back: 20 of 20 requests to the canary failed, 0 of 20" in facts.summary
    assert facts.summary.endswith(f"; version 7 has all traffic at {URL}")
    assert facts.fields == {}
    assert deployed.get_int_custom_property("deployed") == 0
    assert (reasons["ending"], reasons["failures"]["canary"]) == ("rolled back", {"500: out of memory": 20})
    # Another try of the same task, as after its pod was lost, decides nothing anew.
    again = execute("8", pushed=1, pushed_destination="/serving/8", overrides=AUTO, inputs=examples)
    assert "version 8 was rolled back and is not deployed again" in again.get_string_custom_property("summary")


def test_one_that_nothing_is_known_to_compare_by_stays_a_canary(deploy_canary, api, tmp_path):
    deployed = deploy_canary(ServingPod(), accuracy=None)
    facts, reasons = left(deployed, tmp_path)
    assert "version 8 is left as it is" in facts.summary
    assert "set push.kserve.watch.max_difference" in facts.summary
    assert facts.summary.endswith(f"; version 8 has 10 % of the traffic, version 7 90 % at {URL}")
    assert (deployed.get_int_custom_property("deployed"), reasons["ending"]) == (1, "undecided")
    assert read_state(api.services["pets"], {}).canary == uri(8)
