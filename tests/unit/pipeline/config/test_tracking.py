"""What [tracking] refuses, and which server a run is told to."""

import pytest

from pipeline.config.loading import load_config
from pipeline.tracking import address
from pipeline.tracking.address import Address
from pipeline.tracking.errors import TrackerError
from pipeline.tracking.pods import pod_environment
from trainer_module.errors import ConfigError


def config(*settings):
    return load_config(preset="demo", overrides=[f"tracking.{setting}" for setting in settings])


@pytest.fixture(autouse=True)
def _no_tracker(monkeypatch):
    for variable in (address.URI_VARIABLE, address.EXPERIMENT_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("mlflow=mlflow:5000", "should match pattern"),
        ("mlflow=http://ann:secret@mlflow", "set MLFLOW_TRACKING_USERNAME"),
        ("registered_model=a/b", "should match pattern"),
        ("registered_model=a'b", "should match pattern"),
        ("wait_seconds=600", "less than or equal to 60"),
        ("mlfow=http://mlflow", "did you mean 'tracking.mlflow'"),
    ],
)
def test_what_cannot_be_used_is_refused(setting, message):
    with pytest.raises(ConfigError, match=message) as raised:
        config(setting)
    assert "secret" not in str(raised.value)


def test_settings_win_over_the_environment_and_names_are_the_pipelines(monkeypatch):
    assert Address.of_config(config()) is None
    monkeypatch.setenv(address.URI_VARIABLE, "https://of-environment/mlflow/")
    assert Address.of_config(config()) == Address(
        uri="https://of-environment/mlflow", experiment="petseg-demo", registered_model="petseg-demo"
    )
    monkeypatch.setenv(address.EXPERIMENT_VARIABLE, "of environment")
    assert Address.of_config(config()).experiment == "of environment"
    found = Address.of_config(config("mlflow=http://set:5000/", "experiment=mine", "registered_model=pets"))
    assert (found.uri, found.experiment, found.registered_model) == ("http://set:5000", "mine", "pets")
    assert Address.of_config(config("enabled=false", "mlflow=http://set:5000")) is None


def test_a_tracker_of_the_environment_that_is_no_server_is_no_error_of_the_configuration(monkeypatch):
    monkeypatch.setenv(address.URI_VARIABLE, "sqlite:///mlflow.db")
    with pytest.raises(TrackerError, match=r"MLFLOW_TRACKING_URI is 'sqlite:///mlflow.db', .* set tracking.enabled"):
        Address.of_config(config())


def test_without_the_client_a_setting_is_an_error_and_the_environment_is_not(monkeypatch):
    monkeypatch.setattr(address, "is_client_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"tracking.mlflow is 'http://set', but .* install petseg\[mlflow\]"):
        Address.of_config(config("mlflow=http://set"))
    monkeypatch.setenv(address.URI_VARIABLE, "http://of-environment")
    with pytest.raises(TrackerError, match="MLFLOW_TRACKING_URI is"):
        Address.of_config(config())


def test_pods_are_told_of_the_server_by_settings_alone(monkeypatch):
    monkeypatch.setenv(address.URI_VARIABLE, "http://localhost:5000")
    assert pod_environment(config()) == {}
    assert pod_environment(config("mlflow=http://mlflow.models:5000")) == {
        "MLFLOW_TRACKING_URI": "http://mlflow.models:5000",
        "MLFLOW_EXPERIMENT_NAME": "petseg-demo",
    }
