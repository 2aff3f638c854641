"""Values of runtime parameters."""

import pytest

from pipeline.kubeflow.dry_run.arguments import parse_parameters, runtime_values
from trainer_module.errors import ConfigError


@pytest.fixture
def package(make_package):
    def add(spec, _platform):
        parameters = spec["root"]["inputDefinitions"]["parameters"]
        parameters["bound"] = {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5}
        parameters["version"] = {"parameterType": "STRING", "defaultValue": ""}
        parameters["strict"] = {"parameterType": "BOOLEAN", "defaultValue": False}

    return make_package(add)


def test_values_are_read_by_their_type(package):
    given = parse_parameters(["epochs=4", "bound=0", "version=4.*=x", "strict=True"], package.parameters)
    assert given == {"epochs": 4, "bound": 0.0, "version": "4.*=x", "strict": True}
    assert isinstance(given["bound"], float)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epochs=2.5", "epochs is a NUMBER_INTEGER; '2.5' is none"),
        ("bound=high", "bound is a NUMBER_DOUBLE; 'high' is none"),
        ("strict=1", "strict is a BOOLEAN; '1' is none"),
        ("epoch=3", "no parameter 'epoch'; did you mean 'epochs'?"),
        ("epochs", "expected NAME=VALUE"),
    ],
)
def test_what_cannot_be_a_value_is_refused(package, assignment, message):
    with pytest.raises(ConfigError) as error:
        parse_parameters([assignment], package.parameters)
    assert message in str(error.value)


def test_defaults_stand_in_for_what_is_not_given(package):
    assert runtime_values(package, {"epochs": 9}) == {"epochs": 9, "bound": 0.5, "version": "", "strict": False}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 2.5}, "epochs is a NUMBER_INTEGER; 2.5 is none"),
        ({"bound": "0.5"}, "bound is a NUMBER_DOUBLE; '0.5' is none"),
        ({"bond": 1}, "did you mean 'bound'?"),
    ],
)
def test_values_of_another_type_are_refused(package, given, message):
    with pytest.raises(ConfigError) as error:
        runtime_values(package, given)
    assert message in str(error.value)


def test_a_parameter_without_value_and_default_is_named(make_package):
    package = make_package(lambda spec, _: spec["root"]["inputDefinitions"]["parameters"]["epochs"].pop("defaultValue"))
    with pytest.raises(ConfigError, match="no default for epochs; give each with --parameter NAME=VALUE"):
        runtime_values(package, {})
