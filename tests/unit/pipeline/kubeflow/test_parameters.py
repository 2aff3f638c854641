"""Runtime parameters end where TFX reads them."""

import json

import pytest
from tfx.proto import pusher_pb2
from tfx.utils import proto_utils

from components.model_evaluator.gate import Bound, Gate
from components.tfds_example_gen.messages import source_from_message, source_message
from components.tfds_example_gen.source import TfdsSource
from pipeline.commands.run import run
from pipeline.config.loading import load_config, setting_keys
from pipeline.kubeflow.parameters import RUNTIME_PARAMETERS, RunOption, Setting, apply_runtime_parameters
from trainer_module.errors import ConfigError

SOURCE = TfdsSource(
    dataset="oxford_iiit_pet:4.*.*", data_dir="/cache/data", download=True, builder_modules=(), image_feature="image",
    mask_feature="mask", slice_features=("species",),
)  # fmt: skip
PUSH = pusher_pb2.PushDestination(filesystem=pusher_pb2.PushDestination.Filesystem(base_directory="/serving/a"))


@pytest.mark.parametrize(("version", "dataset"), [("3.2.1", "oxford_iiit_pet:3.2.1"), ("", "oxford_iiit_pet")])
def test_the_version_goes_into_the_source(version, dataset):
    given = {"custom_config": proto_utils.proto_to_json(source_message(SOURCE)), "runtime_dataset_version": version}
    changed = apply_runtime_parameters(given)
    assert source_from_message(changed["custom_config"]) == SOURCE.model_copy(update={"dataset": dataset})
    assert set(changed) == {"custom_config"}


def test_the_epochs_go_into_the_trainers_settings():
    settings = {"trainer": {"epochs": 10, "seed": 1}, "code_digest": "x"}
    changed = apply_runtime_parameters(
        {"custom_config": json.dumps(settings), "runtime_epochs": 3.0, "module_file": "m"}
    )
    assert json.loads(changed["custom_config"]) == {"trainer": {"epochs": 3, "seed": 1}, "code_digest": "x"}
    assert changed["module_file"] == "m"


@pytest.mark.parametrize(("value", "least"), [(0.9, [0.9]), (1, [1.0]), (0, []), (0.0, [])])
def test_the_least_accuracy_goes_into_the_gate_and_leaves_the_rest(value, least):
    """0 is no bound: what it would ask for, every model keeps."""

    def gate(accuracies):
        others = [
            Bound(metric="accuracy", kind="max", bound=0.99), Bound(metric="mean_iou", kind="min", bound=0.5),
            Bound(metric="accuracy", kind="min_change", bound=-0.01),
            Bound(metric="accuracy", kind="min", bound=0.6, slice={"species": None}),
        ]  # fmt: skip
        bounds = [*others, *(Bound(metric="accuracy", kind="min", bound=number) for number in accuracies)]
        return Gate(bounds=bounds, min_slice_examples=30)

    given = {"gate": gate([0.8]).model_dump_json(), "runtime_min_accuracy": value}
    assert apply_runtime_parameters(given) == {"gate": gate(least).model_dump_json()}


def test_the_push_destination_is_replaced():
    given = {"push_destination": proto_utils.proto_to_json(PUSH), "runtime_push_destination": "gs://b//pets/"}
    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(apply_runtime_parameters(given)["push_destination"], destination)
    assert destination.filesystem.base_directory == "gs://b/pets"


@pytest.mark.parametrize(("reason", "forced"), [("", ""), (" the old one leaks ", "the old one leaks")])
def test_a_reason_goes_to_the_gate_and_lifts_the_bounds_on_the_data(reason, forced):
    changed = apply_runtime_parameters({"force_bless": "", "gate": "{}", "runtime_force_bless": reason})
    assert changed == {"force_bless": forced, "gate": "{}"}
    bounds = {"split": "test", "class_names": ["pet"], "bounds": {"pet": ["thresholds.iou_pet"]}}
    changed = apply_runtime_parameters({"class_bounds": json.dumps(bounds), "runtime_force_bless": reason})
    assert json.loads(changed["class_bounds"]) == bounds | ({"bounds": {}} if reason else {})


@pytest.mark.parametrize("is_reset", [True, False])
def test_a_reset_goes_where_integers_stand_for_truth(is_reset):
    changed = apply_runtime_parameters({"reset": 0.0, "runtime_reset_baseline": is_reset})
    assert json.dumps(changed) == json.dumps({"reset": int(is_reset)})


def test_who_is_told_goes_into_the_settings_of_the_report():
    given = {
        "settings": json.dumps({"notification": {"when": "scheduled", "webhook": True}}),
        "reported_notify": "always",
    }
    changed = json.loads(apply_runtime_parameters(given)["settings"])
    assert changed == {"notification": {"when": "always", "webhook": True}}


@pytest.mark.parametrize(
    ("name", "exec_property", "value", "message"),
    [
        ("dataset_version", "custom_config", "latest", "is 'latest'; expected: TFDS version of the data set, such as"),
        ("epochs", "custom_config", 0, "is 0; expected: a whole number from 1 on"),
        ("epochs", "custom_config", 2.5, "a whole number from 1 on"),
        ("epochs", "custom_config", float("nan"), "a whole number from 1 on"),
        ("epochs", "custom_config", None, "a whole number from 1 on"),
        ("epochs", "custom_config", "many", "a whole number from 1 on"),
        ("min_accuracy", "gate", 85, "is 85; expected: a number from 0 to 1 .setting evaluation.min_accuracy"),
        ("min_accuracy", "gate", float("nan"), "a number from 0 to 1"),
        ("notify", "settings", "yes", "is 'yes'; expected: When people are told .*: always, never or scheduled"),
        ("push_destination", "push_destination", 1.0, "which no pod can write to"),
        ("push_destination", "push_destination", "s3://b/pets", "which no pod can write to"),
        ("push_destination", "push_destination", "serving", "which no pod can write to"),
        ("force_bless", "force_bless", " \n", "is ' .n'; expected: Reason to push.*petseg run --force-bless REASON"),
        ("force_bless", "force_bless", True, "is True; expected: Reason to push"),
        ("reset_baseline", "reset", "true", "is 'true'; expected: true or false .petseg run --reset-baseline"),
        ("reset_baseline", "reset", 1.0, "true or false"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(name, exec_property, value, message):
    with pytest.raises(ConfigError, match=message):
        apply_runtime_parameters({exec_property: "{}", f"runtime_{name}": value})


@pytest.mark.parametrize("parameter", RUNTIME_PARAMETERS, ids=lambda parameter: parameter.name)
def test_a_parameter_takes_what_it_stands_for_takes(parameter):
    config = load_config(preset="blog", overrides=["push.destination=/serving/x", "evaluation.min_accuracy=0.7"])
    parameter.check(parameter.default(config))
    assert parameter.expected
    if isinstance(parameter.stands_for, Setting):
        assert parameter.stands_for.name in setting_keys()
    else:
        option = parameter.stands_for.name.split()[0]
        assert isinstance(parameter.stands_for, RunOption)
        assert option in {name for given in run.params for name in given.opts}
        assert parameter.default(config) == parameter.stands_for.absent


@pytest.mark.parametrize("bound", [None, 0.7])
def test_defaults_are_the_configurations(bound):
    overrides = ["push.destination=/serving/x", f"evaluation.min_accuracy={bound or 'none'}", "trainer.epochs=4"]
    config = load_config(preset="blog", overrides=overrides)
    defaults = {parameter.name: parameter.default(config) for parameter in RUNTIME_PARAMETERS}
    assert defaults == {
        "dataset_version": "4.*.*", "epochs": 4, "min_accuracy": bound or 0.0, "push_destination": "/serving/x",
        "force_bless": "", "reset_baseline": False, "only_if_needed": False, "notify": "scheduled",
    }  # fmt: skip
