"""Runtime parameters end where TFX reads them."""

import json

import pytest
from tensorflow_model_analysis.proto import config_pb2
from tfx.proto import pusher_pb2
from tfx.utils import proto_utils

from components.model_evaluator.gate import Bound, get_bounds, with_lower_bound
from components.model_evaluator.metric import eval_config
from components.tfds_example_gen.executor import source_from_message, source_message
from components.tfds_example_gen.source import TfdsSource
from pipeline.config.loading import load_config, setting_keys
from pipeline.kubeflow.parameters import RUNTIME_PARAMETERS, apply_runtime_parameters
from trainer_module.errors import ConfigError

SOURCE = TfdsSource(
    dataset="oxford_iiit_pet:4.*.*", data_dir="/cache/data", download=True, builder_modules=(), image_feature="image",
    mask_feature="mask", slice_features=("species",), mask_values=(1, 2, 3),
)  # fmt: skip
OTHERS = [
    Bound("accuracy", "min_change", -0.01), Bound("accuracy", "min", 0.6, "species"),
    Bound("accuracy", "min", 0.7, "species", "cat"),
]  # fmt: skip
PUSH = pusher_pb2.PushDestination(filesystem=pusher_pb2.PushDestination.Filesystem(base_directory="/serving/a"))


def bounds(config: config_pb2.EvalConfig) -> dict[str, tuple[float | None, float | None]]:
    found: dict[str, list[float | None]] = {}
    for bound in get_bounds(config.metrics_specs[0]):
        if not bound.is_change and bound.feature is None:
            found.setdefault(bound.metric, [None, None])[bound.kind == "max"] = bound.bound
    return {metric: (lower, upper) for metric, (lower, upper) in found.items()}


def gate(**metric_bounds):
    named = [
        Bound(metric, kind, bound)
        for metric, both in metric_bounds.items()
        for kind, bound in zip(("min", "max"), both, strict=True)
        if bound is not None
    ]
    return eval_config(["a", "b"], [*named, *OTHERS], ["species"], "digest")


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


def test_the_least_accuracy_goes_into_the_gate_and_leaves_the_rest():
    text = proto_utils.proto_to_json(gate(accuracy=(0.8, 0.99), mean_iou=(0.5, None)))
    changed = config_pb2.EvalConfig()
    proto_utils.json_to_proto(
        apply_runtime_parameters({"eval_config": text, "runtime_min_accuracy": 0.9})["eval_config"], changed
    )
    assert bounds(changed) == {"accuracy": (0.9, 0.99), "mean_iou": (0.5, None)}
    expected = gate(accuracy=(0.9, 0.99), mean_iou=(0.5, None))
    assert changed == expected


@pytest.mark.parametrize(
    ("before", "bound", "after"),
    [
        ({}, 0.7, {"accuracy": (0.7, None)}),
        ({"accuracy": (0.8, None)}, 0.0, {}),
        ({"accuracy": (None, 0.9)}, 0.0, {"accuracy": (None, 0.9)}),
        ({}, 0.0, {}),
    ],
)
def test_a_bound_is_set_changed_or_taken_away(before, bound, after):
    config = gate(**before)
    changed = with_lower_bound(config, "accuracy", bound)
    assert (bounds(changed), bounds(config)) == (after, before)
    assert changed == gate(**after)


def test_the_push_destination_is_replaced():
    given = {"push_destination": proto_utils.proto_to_json(PUSH), "runtime_push_destination": "gs://b//pets/"}
    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(apply_runtime_parameters(given)["push_destination"], destination)
    assert destination.filesystem.base_directory == "gs://b/pets"


@pytest.mark.parametrize(
    ("name", "exec_property", "value", "message"),
    [
        ("dataset_version", "custom_config", "latest", "is 'latest'; expected: TFDS version of the data set, such as"),
        ("epochs", "custom_config", 0, "is 0; expected: a whole number from 1 on"),
        ("epochs", "custom_config", 2.5, "a whole number from 1 on"),
        ("epochs", "custom_config", float("nan"), "a whole number from 1 on"),
        ("epochs", "custom_config", None, "a whole number from 1 on"),
        ("epochs", "custom_config", "many", "a whole number from 1 on"),
        ("min_accuracy", "eval_config", 85, "is 85; expected: a number from 0 to 1 .setting evaluation.min_accuracy"),
        ("min_accuracy", "eval_config", float("nan"), "a number from 0 to 1"),
        ("push_destination", "push_destination", 1.0, "which no pod can write to"),
        ("push_destination", "push_destination", "s3://b/pets", "which no pod can write to"),
        ("push_destination", "push_destination", "serving", "which no pod can write to"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(name, exec_property, value, message):
    with pytest.raises(ConfigError, match=message):
        apply_runtime_parameters({exec_property: "{}", f"runtime_{name}": value})


@pytest.mark.parametrize("parameter", RUNTIME_PARAMETERS, ids=lambda parameter: parameter.name)
def test_a_parameter_takes_what_its_setting_takes(parameter):
    config = load_config(preset="blog", overrides=["push.destination=/serving/x", "evaluation.min_accuracy=0.7"])
    parameter.check(parameter.default(config))
    assert parameter.setting in setting_keys()
    assert parameter.expected


@pytest.mark.parametrize("bound", [None, 0.7])
def test_defaults_are_the_configurations(bound):
    overrides = ["push.destination=/serving/x", f"evaluation.min_accuracy={bound or 'none'}", "trainer.epochs=4"]
    config = load_config(preset="blog", overrides=overrides)
    defaults = {parameter.name: parameter.default(config) for parameter in RUNTIME_PARAMETERS}
    assert defaults == {
        "dataset_version": "4.*.*", "epochs": 4, "min_accuracy": bound or 0.0, "push_destination": "/serving/x"
    }  # fmt: skip
