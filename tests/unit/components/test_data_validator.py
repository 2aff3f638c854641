"""Bounds that no model could keep are refused before the training."""

import json

import pytest
from component_battery import CODE_DIGEST, artifact, check_component, execute, given
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.types.standard_artifacts import ExampleAnomalies, Examples, ExampleStatistics, Schema

from components.data_validator import DataValidator, check_class_bounds
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


@pytest.fixture
def component():
    return DataValidator(
        statistics=given(ExampleStatistics),
        schema=given(Schema),
        examples=given(Examples),
        split="test",
        class_names=["soil", "water"],
        bounds={"water": ["evaluation.thresholds.x"]},
        code_digest=CODE_DIGEST,
    ).with_id("ExampleValidator")


def test_it_is_a_component_as_all_are(component):
    check_component(component, module="components.data_validator", outputs={"anomalies": ExampleAnomalies})


def test_the_validator_reads_the_counts_of_the_examples_before_it_validates(component, tmp_path):
    statistics, split = artifact(ExampleStatistics, tmp_path / "statistics"), tmp_path / "statistics" / "Split-test"
    statistics.split_names = '["test"]'
    split.mkdir(parents=True)
    counted = statistics_pb2.DatasetFeatureStatisticsList(datasets=[{"num_examples": 7}])
    (split / "FeatureStats.pb").write_bytes(counted.SerializeToString())
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text('feature { name: "image" type: BYTES presence { min_count: 1 } }')
    inputs = {"statistics": statistics, "schema": artifact(Schema, tmp_path / "schema"), "examples": artifact(Examples)}
    written = execute(component, tmp_path / "earlier", inputs)["anomalies"]
    [anomalies] = (tmp_path / "earlier" / "anomalies").rglob("SchemaDiff.pb")
    found = anomalies_pb2.Anomalies.FromString(anomalies.read_bytes())
    assert list(found.anomaly_info) == ["image"], "examples of earlier versions have no counts"
    assert written.split_names == '["test"]'
    for split, pixels in (("test", {"test": [7, 0]}), ("reference", {"test": [7, 1], "reference": [7, 0]})):
        inputs["examples"] = artifact(Examples, class_pixels=json.dumps(pixels))
        with pytest.raises(DataError, match=f"'{split}', which decides, has no pixel of 'water'"):
            execute(component, tmp_path / "counted", inputs)
    assert not [*(tmp_path / "counted").rglob("SchemaDiff.pb")]


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
