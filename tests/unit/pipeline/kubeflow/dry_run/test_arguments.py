"""Values of runtime parameters."""

import pytest

from pipeline.kubeflow.arguments import runtime_values
from trainer_module.errors import ConfigError


@pytest.fixture
def package(make_package):
    def add(spec, _platform):
        parameters = spec["root"]["inputDefinitions"]["parameters"]
        parameters["bound"] = {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5}
        parameters["version"] = {"parameterType": "STRING", "defaultValue": ""}
        parameters["strict"] = {"parameterType": "BOOLEAN", "defaultValue": False}

    return make_package(add)


def test_defaults_stand_in_for_what_is_not_given(package):
    assert runtime_values(package, {"epochs": 9}) == {"epochs": 9, "bound": 0.5, "version": "", "strict": False}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 2.5}, "epochs is a NUMBER_INTEGER; 2.5 is none"),
        ({"bound": "0.5"}, "bound is a NUMBER_DOUBLE; '0.5' is none"),
        ({"bond": 1}, "did you mean 'bound'?"),
        ({"epochs": 0}, "epochs is 0; expected: a whole number from 1 on (setting trainer.epochs)"),
    ],
)
def test_values_of_another_type_or_out_of_range_are_refused(package, given, message):
    with pytest.raises(ConfigError) as error:
        runtime_values(package, given)
    assert message in str(error.value)


def test_a_parameter_without_value_and_default_is_named(make_package):
    package = make_package(lambda spec, _: spec["root"]["inputDefinitions"]["parameters"]["epochs"].pop("defaultValue"))
    with pytest.raises(ConfigError, match="no default for epochs; give each with --parameter NAME=VALUE"):
        runtime_values(package, {})
