"""What TFMA wrote is read back: of one model, and of a candidate beside a baseline."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from components.model_evaluator.gate import Bound, Gate
from components.model_evaluator.metric import eval_config
from components.model_evaluator.results import read_evaluation, read_measured

NAMES = ("pet", "background", "border")
MATRIX = np.arange(9, dtype=np.int64).reshape(3, 3)


def _write(directory, slices, *, has_baseline=False):
    """Writes what TFMA writes: metrics of each slice, the configuration; and the verdict."""
    config = eval_config(NAMES, 16, ["species"], "digest")
    config = tfma.utils.update_eval_config_with_defaults(config, has_baseline=has_baseline, rubber_stamp=True)
    run = {"evalConfig": json_format.MessageToDict(config), "version": tfma.__version__}
    directory.joinpath("eval_config.json").write_text(json.dumps(run))
    with tf.io.TFRecordWriter(str(directory / "metrics-00000-of-00001.tfrecord")) as file:
        for slice_metrics in slices.items():
            file.write(writer.convert_slice_metrics_to_proto(slice_metrics, None).SerializeToString())
    bounds = [Bound(metric="accuracy_low", kind="min", bound=0.5), Bound(metric="ece", kind="max", bound=0.1)]
    verdict = Gate(bounds=bounds, min_slice_examples=1).judge(read_measured(str(directory)), has_baseline=has_baseline)
    (directory / "gate.json").write_text(verdict.model_dump_json())
    return str(directory)


def _keyed(model: str, **metrics):
    return {MetricKey(name, model_name=model, example_weighted=None): value for name, value in metrics.items()}


def test_numbers_arrays_slices_and_bounds(tmp_path):
    count = _keyed("", example_count=4)
    overall = _keyed("", accuracy_low=0.7, ece=0.2, iou_pet=float("nan"), confusion_matrix=MATRIX, bins=MATRIX / 2)
    slices = {(): count | overall, (("species", "cat"),): count | _keyed("", accuracy_low=0.4, confusion_matrix=MATRIX)}
    result = read_evaluation(_write(tmp_path, slices))
    assert result.metrics == {"accuracy_low": 0.7, "ece": 0.2}
    assert result.distributions == {"confusion_matrix": MATRIX.tolist(), "bins": (MATRIX / 2).tolist()}
    assert result.slices == [{"slice": {"species": "cat"}, "examples": 4, "metrics": {"accuracy_low": 0.4}}]
    assert {row.metric: row.passed for row in result.verdict.bounds} == {"accuracy_low": True, "ece": False}
    assert result.verdict.passed is False


def test_of_two_models_the_candidate_is_read_without_the_differences_of_tfma(tmp_path):
    candidate = _keyed("candidate", example_count=4, accuracy_low=0.7, accuracy_difference=0.1, confusion_matrix=MATRIX)
    baseline = _keyed("baseline", accuracy_low=0.6, confusion_matrix=MATRIX + 1)
    differences = {
        MetricKey("accuracy_low", model_name="candidate", example_weighted=None, is_diff=True): 0.1,
        MetricKey("confusion_matrix", model_name="candidate", example_weighted=None, is_diff=True): MATRIX * 0 - 1,
    }
    overall = {**candidate, **baseline, **differences}
    measured = read_measured(_write(tmp_path, {(): overall}, has_baseline=True))[()]
    assert measured.candidate == {"accuracy_low": 0.7, "accuracy_difference": 0.1}
    assert (measured.baseline, measured.examples) == ({"accuracy_low": 0.6}, 4)
    result = read_evaluation(str(tmp_path))
    assert result.metrics == {"accuracy_low": 0.7, "accuracy_difference": 0.1}
    assert result.distributions == {"confusion_matrix": MATRIX.tolist()}


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float32, np.float64])
def test_arrays_of_every_kind_of_number(tmp_path, kind):
    overall = _keyed("", example_count=4, bins=np.array([1, 2], kind))
    assert read_evaluation(_write(tmp_path, {(): overall})).distributions == {"bins": [1, 2]}
