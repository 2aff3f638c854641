"""What [push.kserve] refuses, and the InferenceService that it describes."""

from importlib.metadata import version

import jsonschema
import pytest
from fake_kubernetes_api import SCHEMA
from kserve_deployments import SETTINGS, template_for, uri
from packaging.version import Version

from components.kserve_deployer.service import RolloutState, render, with_canary
from pipeline.config.kserve import TENSORFLOW_SERVING
from pipeline.config.loading import config_toml, load_config
from pipeline.kserve.service import deploy_request
from trainer_module.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["name=Pets"], "it should match pattern"),
        (["name=pets-"], "it should match pattern"),
        (["namespace=my_models"], "it should match pattern"),
        (["storage_uri=/serving/pets"], "it should match pattern"),
        (["storage_uri=pvc:///pets"], "it should match pattern"),
        (["runtime_version=2.21 gpu"], "it should match pattern"),
        (["gpus=1", "runtime_version=2.21.0"], "an image without CUDA, .* did you mean '2.21.0-gpu'?"),
        (["gpus=-1"], "greater than or equal to 0"),
        (["cpu=0"], "greater than 0"),
        (["memory=4GB"], "it should match pattern"),
        (["min_replicas=4"], "more than push.kserve.max_replicas, 3"),
        (["min_replicas=0", "deployment_mode=Standard"], "only Knative stops the last pod"),
        (["deployment_mode=Knativ"], "did you mean 'Knative'?"),
        (["canary_percent=0"], "greater than or equal to 1"),
        (["canary_percent=100"], "less than or equal to 99"),
        (["canary_percent=10"], "push.kserve.deployment_mode is None: a canary has one form on Knative"),
        (["canary_percent=10", "deployment_mode=RawDeployment"], "set it to 'Knative' or 'Standard'"),
        (["kubeconfig=in-cluster", "context=mine"], "push.kserve.context is 'mine', but push.kserve.kubeconfig is"),
        (["timeout_seconds=0"], "greater than or equal to 1"),
        (["promote=auto"], "push.kserve.canary_percent is not set, .* there is no canary to decide on"),
        (
            ["promote=auto", "canary_percent=10", "deployment_mode=Knative", "min_replicas=0"],
            "push.kserve.min_replicas is 0, so that there may be no pod to ask",
        ),
        (["promote=yes"], "did you mean"),
        (["watch.requests=30"], "watch.min_requests is 50, more than push.kserve.watch.requests, 30: nothing could"),
        (["watch.min_requests=19"], "greater than or equal to 20"),
        (["watch.minutes=0"], "greater than 0"),
        (["watch.max_difference=1.1"], "less than or equal to 1"),
        (["watch.max_latency=2"], "did you mean 'push.kserve.watch.max_latency_ratio'?"),
        (["storage=pvc://claim/pets"], "did you mean 'push.kserve.storage_uri'?"),
    ],
)
def test_what_kserve_could_not_use_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config(overrides=[f"push.kserve.{override}" for override in overrides])


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        (["deployment_mode=Knative"], 47),
        (["deployment_mode=Knative", "namespace=" + "n" * 30], 32),
        (["deployment_mode=Knative", "canary_percent=10"], 47),
        (["deployment_mode=Standard"], 44),
        (["deployment_mode=Standard", "namespace=ns"], 48),
        (["deployment_mode=Standard", "canary_percent=10"], 38),
        ([], 44),
    ],
)
def test_a_name_that_kserve_cannot_serve_under_is_refused_where_it_is_to(settings, most):
    kserve = [f"push.kserve.{setting}" for setting in ("enabled=true", *settings)]
    load_config(overrides=[*kserve, f"pipeline.name={'p' * most}"])
    load_config(overrides=[*kserve, f"pipeline.name={'p' * 63}", "push.kserve.name=pets"])
    load_config(overrides=[*kserve, f"pipeline.name={'p' * 63}", "push.kserve.enabled=false"])
    with pytest.raises(ConfigError, match=f"pipeline.name is 'p{{{most + 1}}}'.* push.kserve.name to at most {most} "):
        load_config(overrides=[*kserve, f"pipeline.name={'p' * (most + 1)}"])
    with pytest.raises(ConfigError, match=rf"push.kserve.name is 'p{{{most + 1}}}'"):
        load_config(overrides=[*kserve, f"push.kserve.name={'p' * (most + 1)}"])


def test_it_is_off_and_comes_back_from_toml(tmp_path):
    config = load_config(overrides=[])
    assert not config.push.kserve.enabled
    file = tmp_path / "config.toml"
    file.write_text(config_toml(config))
    assert load_config(file=file) == config


def test_the_pipeline_names_the_service(tmp_path):
    overrides = ["push.kserve.storage_uri=gs://b/pets", "pipeline.name=my-pets"]
    request = deploy_request(load_config(overrides=overrides))
    assert request.template["metadata"]["name"] == request.access.name == "my-pets"


def test_a_destination_that_no_cluster_sees_needs_a_storage_uri():
    with pytest.raises(ConfigError, match="'pipeline_root/serving_model/petseg', which no cluster sees by that name"):
        deploy_request(load_config(overrides=["push.kserve.enabled=true"]))
    request = deploy_request(load_config(overrides=["push.kserve.enabled=true", "push.destination=gs://b/pets/"]))
    assert (request.push_destination, request.storage_uri) == ("gs://b/pets", None)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("push.kserve.gpus=2", "push.kserve.cpu=0.5", "push.kserve.runtime=my-runtime"),
        ("push.kserve.service_account_name=reader", "push.kserve.min_replicas=0"),
        ("push.kserve.deployment_mode=Knative", "push.kserve.canary_percent=10"),
        ("push.kserve.deployment_mode=Standard", "push.kserve.canary_percent=10"),
    ],
)
def test_kserve_s_schema_takes_what_the_settings_describe(overrides):
    template = template_for(*overrides)
    jsonschema.validate(render(template, RolloutState(uri(1))), SCHEMA)
    jsonschema.validate(render(template, with_canary(RolloutState(uri(1)), uri(2), 10)), SCHEMA)


def test_the_server_is_of_the_release_that_models_are_exported_with():
    """Its API's messages, too: they are what warms it up."""
    server = Version(TENSORFLOW_SERVING)
    for package in ("tensorflow", "tensorflow-serving-api"):
        installed = Version(version(package))
        assert (server.major, server.minor) == (installed.major, installed.minor), package


def test_the_server_is_new_enough_and_has_cuda_where_it_has_gpus():
    model = template_for()["spec"]["predictor"]["model"]
    assert model["runtimeVersion"] == "2.21.0"
    assert model["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}
    model = template_for("push.kserve.gpus=2")["spec"]["predictor"]["model"]
    assert model["runtimeVersion"] == "2.21.0-gpu"
    assert model["resources"]["limits"]["nvidia.com/gpu"] == "2"


def test_the_schema_sees_a_mistake():
    template = render(template_for(), RolloutState(uri(1)))
    template["spec"]["predictor"]["canaryPercent"] = 10
    with pytest.raises(jsonschema.ValidationError, match="canaryPercent"):
        jsonschema.validate(template, SCHEMA)


def test_only_the_section_is_needed():
    assert load_config(overrides=SETTINGS).push.kserve.enabled
