"""The verdict on metrics of known values, by TFMA's own validation."""

import json

import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from components.model_evaluator.gate import Bound, Verdict, judge
from components.model_evaluator.metric import eval_config

CAT, DOG = (("species", "Cat"),), (("species", "Dog"),)


def of_two(examples, candidate, baseline, low=-0.1, high=0.1):
    """The metrics of a slice: accuracies of two models, and the interval of their difference."""
    model = {"accuracy": candidate, "example_count": examples, "accuracy_difference_low": low,
             "accuracy_difference_high": high}  # fmt: skip
    keyed = {MetricKey(name, model_name="candidate", example_weighted=None): value for name, value in model.items()}
    served = MetricKey("accuracy", model_name="baseline", example_weighted=None)
    difference = MetricKey("accuracy", model_name="candidate", example_weighted=None, is_diff=True)
    return {**keyed, served: baseline, difference: candidate - baseline}


def of_one(examples, accuracy):
    return {
        MetricKey(name, model_name="", example_weighted=None): value
        for name, value in {"accuracy": accuracy, "example_count": examples}.items()
    }


@pytest.fixture
def verdict(tmp_path):
    """Writes what TFMA writes, and returns what is made of it."""

    def judged(bounds, slices, *, min_slice_examples=30, has_baseline=True):
        config = eval_config(["a", "b"], bounds, ["species"], "digest")
        config = tfma.utils.update_eval_config_with_defaults(config, has_baseline=has_baseline, rubber_stamp=True)
        run = {"evalConfig": json_format.MessageToDict(config), "version": tfma.__version__}
        (tmp_path / "eval_config.json").write_text(json.dumps(run))
        validation = tfma.ValidationResult(validation_ok=True)
        with tf.io.TFRecordWriter(str(tmp_path / "metrics-00000-of-00001.tfrecord")) as file:
            for sliced in slices.items():
                file.write(writer.convert_slice_metrics_to_proto(sliced, None).SerializeToString())
                found = metrics_validator.validate_metrics(sliced, config)
                validation.validation_ok &= found.validation_ok
                validation.metric_validations_per_slice.extend(found.metric_validations_per_slice)
                metrics_validator.merge_details(validation, found)
        missing = metrics_validator.get_missing_slices(validation.validation_details.slicing_details, config)
        validation.missing_slices.extend(missing)
        validation.validation_ok &= not missing
        with tf.io.TFRecordWriter(str(tmp_path / "validations.tfrecord")) as file:
            file.write(validation.SerializeToString())
        return judge(str(tmp_path), min_slice_examples)

    return judged


def passed(verdict):
    return [row.passed for row in verdict.bounds]


@pytest.mark.parametrize(("candidate", "ok"), [(0.895, True), (0.885, False), (0.95, True)])
def test_a_change_is_the_candidate_minus_the_baseline(verdict, candidate, ok):
    found = verdict([Bound("accuracy", "min_change", -0.01)], {(): of_two(40, candidate, 0.9)})
    [row] = found.bounds
    assert (row.value, row.baseline, row.passed, found.passed) == (candidate, 0.9, ok, ok)
    assert row.change == pytest.approx(candidate - 0.9)


def test_a_metric_that_shall_not_grow(verdict):
    bounds = [Bound("accuracy", "max_change", 0.05), Bound("accuracy", "min_change", -0.05)]
    assert passed(verdict(bounds, {(): of_two(40, 0.8, 0.7)})) == [True, False]
    assert passed(verdict(bounds, {(): of_two(40, 0.6, 0.7)})) == [False, True]
    assert verdict(bounds, {(): of_two(40, 0.72, 0.7)}).passed is True


@pytest.mark.parametrize(
    ("low", "high", "within"), [(-0.1, 0.1, True), (0.0, 0.1, True), (0.01, 0.1, False), (-0.1, -0.01, False)]
)
def test_noise_is_what_has_an_interval_that_contains_zero(verdict, low, high, within):
    bounds = [Bound("accuracy", "min", 0.5), Bound("accuracy", "min_change", -1.0)]
    found = verdict(bounds, {(): of_two(40, 0.9, 0.9, low, high)})
    assert [row.within_noise for row in found.bounds] == [None, within]


def test_a_bad_slice_fails_a_model_that_is_good_over_all(verdict):
    bounds = [Bound("accuracy", "min", 0.8), Bound("accuracy", "min", 0.8, "species")]
    found = verdict(bounds, {(): of_one(80, 0.85), CAT: of_one(40, 0.75), DOG: of_one(40, 0.95)}, has_baseline=False)
    assert found.passed is False
    assert [(row.slice, row.examples, row.passed) for row in found.bounds] == [
        ({}, 80, True), ({"species": "Cat"}, 40, False), ({"species": "Dog"}, 40, True)
    ]  # fmt: skip


def test_a_change_on_a_slice(verdict):
    slices = {(): of_two(80, 0.9, 0.9), CAT: of_two(40, 0.8, 0.9), DOG: of_two(40, 1.0, 0.9)}
    found = verdict([Bound("accuracy", "min_change", -0.05, "species", "Cat")], slices)
    assert [(row.slice, row.baseline) for row in found.bounds] == [({"species": "Cat"}, 0.9)]
    assert found.passed is False
    assert verdict([Bound("accuracy", "min_change", -0.05, "species", "Dog")], slices).passed is True


def test_small_slices_are_reported_and_do_not_count(verdict):
    bounds = [Bound("accuracy", "min", 0.8), Bound("accuracy", "min", 0.8, "species")]
    slices = {(): of_one(50, 0.85), CAT: of_one(29, 0.1), DOG: of_one(30, 0.9)}
    found = verdict(bounds, slices, has_baseline=False)
    assert found.passed is True
    assert [(row.passed, row.gated) for row in found.bounds] == [(True, True), (False, False), (True, True)]
    assert verdict(bounds, slices, has_baseline=False, min_slice_examples=29).passed is False


def test_small_slices_do_not_save_what_fails_over_all_or_elsewhere(verdict):
    bounds = [Bound("accuracy", "min", 0.8), Bound("accuracy", "min", 0.8, "species")]
    few = {CAT: of_one(2, 0.1)}
    assert verdict(bounds, {(): of_one(9, 0.7)} | few, has_baseline=False).passed is False, "few examples over all"
    assert verdict(bounds, {(): of_one(90, 0.9), DOG: of_one(88, 0.7)} | few, has_baseline=False).passed is False


def test_a_value_that_no_example_has_fails(verdict):
    found = verdict([Bound("accuracy", "min", 0.1, "species", "cat")], {(): of_one(40, 0.9), CAT: of_one(40, 0.9)},
                    has_baseline=False)  # fmt: skip
    [row] = found.bounds
    assert (row.slice, row.examples, row.value, row.passed, row.gated) == ({"species": "cat"}, 0, None, False, True)
    assert found.passed is False


def test_small_slices_do_not_save_a_value_that_no_example_has(verdict):
    bounds = [Bound("accuracy", "min", 0.5, "species", "Cat"), Bound("accuracy", "min", 0.5, "species", "cat")]
    assert verdict(bounds, {(): of_one(40, 0.9), CAT: of_one(2, 0.1)}, has_baseline=False).passed is False


def test_an_undefined_metric_fails(verdict):
    found = verdict([Bound("accuracy", "min", 0.1)], {(): of_one(40, float("nan"))}, has_baseline=False)
    assert (found.passed, found.bounds[0].value) == (False, None)


def test_no_bound_is_no_verdict(verdict, tmp_path):
    found = verdict([Bound("accuracy", "min_change", -0.1)], {(): of_one(40, 0.9)}, has_baseline=False)
    assert (found.passed, found.bounds) == (None, ())
    found.save(str(tmp_path))
    assert Verdict.load(str(tmp_path)) == found
