"""Bounds that no model could keep are refused before the training."""

import pytest
from tfx.components.example_validator import executor as example_validator_executor
from tfx.types import standard_artifacts

from components.data_validator import Executor, check_class_bounds
from pipeline.config.evaluation import bounds_on_classes
from pipeline.config.loading import load_config
from trainer_module.errors import DataError

NAMES = ("soil", "crop", "water")
PIXELS = {"train": [5, 5, 5], "test": [5, 5, 0]}


def test_a_bound_on_a_class_that_the_evaluated_split_lacks_is_refused():
    with pytest.raises(
        DataError, match=r"'test', which decides, has no pixel of 'water': .*thresholds.iou_water\. Put"
    ):
        check_class_bounds(PIXELS, "test", NAMES, {"water": ["evaluation.thresholds.iou_water"]})


@pytest.mark.parametrize(
    ("pixels", "split", "bounds"),
    [
        (PIXELS, "test", {"crop": ["evaluation.thresholds.iou_crop"]}),
        (PIXELS, "test", {}),
        (PIXELS, "train", {"water": ["evaluation.thresholds.iou_water"]}),
        ({}, "test", {"water": ["evaluation.thresholds.iou_water"]}),
    ],
)
def test_other_bounds_are_left_to_the_gate(pixels, split, bounds):
    check_class_bounds(pixels, split, NAMES, bounds)


def test_the_validator_reads_the_counts_of_the_examples_before_it_validates(monkeypatch):
    validated = []
    monkeypatch.setattr(example_validator_executor.Executor, "Do", lambda self, *args: validated.append(args))
    examples = standard_artifacts.Examples()
    bounds = '{"split": "test", "class_names": ["soil", "water"], "bounds": {"water": ["evaluation.thresholds.x"]}}'
    arguments = {"examples": [examples]}, {}, {"class_bounds": bounds}
    Executor().Do(*arguments)
    assert validated == [arguments], "examples of earlier versions have no counts"
    examples.set_string_custom_property("class_pixels", '{"test": [7, 0]}')
    with pytest.raises(DataError, match="'water'"):
        Executor().Do(*arguments)
    assert len(validated) == 1


@pytest.mark.parametrize(
    ("setting", "hopeless"),
    [
        ("thresholds.iou_border={min=0.1}", ["evaluation.thresholds.iou_border"]),
        ("thresholds.boundary_iou_border={min=0.1}", ["evaluation.thresholds.boundary_iou_border"]),
        ("thresholds.precision_border={min=0.1, max=0.9}", ["evaluation.thresholds.precision_border"]),
        ("thresholds.recall_border={max=0.9}", ["evaluation.thresholds.recall_border"]),
        ("change_thresholds={recall_border={min=-0.1}}", ["evaluation.change_thresholds.recall_border"]),
        ("thresholds.iou_border={max=0.9}", None),
        ("thresholds.dice_border={min=0}", None),
        ("change_thresholds={iou_border={min=-0.1}}", None),
        ("min_mean_iou=0.9", None),
    ],
)
def test_what_no_model_keeps_without_a_pixel_of_the_class(setting, hopeless):
    config = load_config(overrides=[f"evaluation.{setting}"])
    assert bounds_on_classes(config.evaluation, config.data.class_names).get("border") == hopeless
