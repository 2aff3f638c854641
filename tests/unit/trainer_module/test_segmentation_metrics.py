"""Metrics by hand-computed values, bounds, and perfect and empty predictions."""

import math

import numpy as np
import pytest

from trainer_module.segmentation_metrics import (
    DATA_METRICS,
    boundary_metrics,
    difference_metrics,
    difference_names,
    expected_calibration_error,
    image_iou_histogram,
    image_iou_quantiles,
    image_iou_step,
    interval_metrics,
    labelled_metrics,
    metric_names,
    pixel_accuracy_and_mean_iou,
    segmentation_metrics,
)

NAMES = ("pet", "background", "border")


def test_hand_computed_values():
    matrix = np.array([[3, 1, 0], [2, 10, 0], [1, 1, 2]])
    metrics = segmentation_metrics(matrix, 0.25, NAMES)
    assert metrics["accuracy"] == pytest.approx(15 / 20)
    assert metrics["iou_pet"] == pytest.approx(3 / 7)
    assert metrics["iou_background"] == pytest.approx(10 / 14)
    assert metrics["iou_border"] == pytest.approx(2 / 4)
    assert metrics["mean_iou"] == pytest.approx((3 / 7 + 10 / 14 + 2 / 4) / 3)
    assert metrics["dice_pet"] == pytest.approx(6 / 10)
    assert metrics["majority_share"] == pytest.approx(12 / 20)
    assert metrics["accuracy_gain"] == pytest.approx(3 / 20)
    assert metrics["loss"] == 0.25
    assert metrics["precision_pet"] == pytest.approx(3 / 6)
    assert metrics["recall_pet"] == pytest.approx(3 / 4)
    assert metrics["precision_border"] == 1
    assert metrics["recall_border"] == pytest.approx(2 / 4)


def test_perfect_prediction_is_one():
    metrics = segmentation_metrics(np.diag([5, 7, 9]), 0.0, NAMES)
    assert all(metrics[name] == 1 for name in ("accuracy", "mean_iou", "mean_dice", "iou_border", "dice_border"))


def test_answering_the_largest_class_everywhere_gains_nothing():
    metrics = segmentation_metrics(np.array([[0, 30, 0], [0, 58, 0], [0, 12, 0]]), 1.0, NAMES)
    assert metrics["accuracy"] == pytest.approx(0.58)
    assert metrics["accuracy_gain"] == 0
    assert metrics["iou_pet"] == metrics["dice_pet"] == 0


def test_a_class_that_occurs_nowhere_is_not_averaged():
    metrics = segmentation_metrics(np.array([[4, 0, 0], [0, 6, 0], [0, 0, 0]]), 0.0, NAMES)
    assert math.isnan(metrics["iou_border"])
    assert metrics["mean_iou"] == 1


def test_precision_needs_a_prediction_and_recall_a_truth():
    metrics = segmentation_metrics(np.array([[4, 3, 0], [0, 0, 0], [2, 0, 0]]), 0.0, NAMES)
    assert metrics["precision_background"] == 0
    assert math.isnan(metrics["recall_background"])
    assert math.isnan(metrics["precision_border"])
    assert metrics["recall_border"] == 0


def test_names_of_the_confusion_matrix_are_among_all_names_and_none_comes_twice():
    names = metric_names(NAMES)
    assert len(set(names)) == len(names)
    computed = list(segmentation_metrics(np.eye(3, dtype=int), 0.0, NAMES))
    assert computed == [name for name in names if name in computed]


def test_many_groups_at_once_are_what_each_is_alone():
    matrices = np.random.default_rng(0).integers(0, 9, (5, 3, 3))
    matrices[2] = 0
    true_positives = matrices.diagonal(axis1=1, axis2=2)
    accuracy, mean_iou = pixel_accuracy_and_mean_iou(true_positives, matrices.sum(1) + matrices.sum(2))
    for index in (0, 1, 3, 4):
        alone = segmentation_metrics(matrices[index], 0.0, NAMES)
        assert (accuracy[index], mean_iou[index]) == (alone["accuracy"], alone["mean_iou"])
    assert math.isnan(accuracy[2])
    assert math.isnan(mean_iou[2])


def test_boundary_iou_leaves_out_the_class_that_has_no_boundary():
    metrics = boundary_metrics(np.array([3, 5, 0]), np.array([4, 10, 0]), NAMES)
    assert metrics["mean_boundary_iou"] == pytest.approx((3 / 4 + 5 / 10) / 2)
    assert metrics["boundary_iou_pet"] == pytest.approx(3 / 4)
    assert math.isnan(metrics["boundary_iou_border"])
    assert math.isnan(boundary_metrics(np.zeros(3, int), np.zeros(3, int), NAMES)["mean_boundary_iou"])


def test_calibration_error_by_hand_and_of_probabilities_that_come_true():
    pixels, confidence = np.array([0, 10, 10]), np.array([0.0, 6.0, 9.0])
    assert expected_calibration_error(pixels, confidence, np.array([0, 6, 9])) == 0
    assert expected_calibration_error(pixels, confidence, np.array([0, 8, 6])) == pytest.approx((2 + 3) / 20)
    assert expected_calibration_error(pixels, np.array([0, 10.0, 10.0]), np.array([0, 0, 0])) == 1


def test_image_iou_is_over_the_classes_of_the_image():
    assert image_iou_step(np.array([[4, 0, 0], [0, 6, 0], [0, 0, 0]])) == 1000
    assert image_iou_step(np.array([[2, 2, 0], [0, 6, 0], [0, 0, 0]])) == round(1000 * (2 / 4 + 6 / 8) / 2)
    assert image_iou_step(np.array([[0, 4, 0], [0, 0, 0], [0, 0, 0]])) == 0


@pytest.mark.parametrize("number", [1, 2, 20, 137])
def test_image_iou_quantiles_are_those_of_numpy_to_the_step(number):
    steps = np.random.default_rng(number).integers(0, 1001, number)
    found = image_iou_quantiles(np.bincount(steps, minlength=1001))
    expected = np.quantile(steps, (0.05, 0.5, 0.95), method="inverted_cdf") / 1000
    assert list(found.values()) == pytest.approx(expected, abs=1e-12)


def test_histogram_keeps_every_image_and_perfect_ones_in_the_last_bin():
    steps = np.array([0, 49, 50, 949, 950, 1000, 1000])
    histogram = image_iou_histogram(np.bincount(steps, minlength=1001))
    assert histogram.tolist() == [2, 1, *[0] * 16, 1, 3]


def test_interval_holds_95_percent_of_the_replicates_and_leaves_empty_ones_out():
    replicates = np.stack([np.arange(1001) / 1000, np.full(1001, 0.5)], axis=1)
    replicates = np.concatenate([replicates, np.full((300, 2), np.nan)])
    expected = {"accuracy_low": 0.025, "accuracy_high": 0.975, "mean_iou_low": 0.5, "mean_iou_high": 0.5}
    assert interval_metrics(replicates) == pytest.approx(expected)


def test_differences_are_candidate_minus_baseline_replicate_by_replicate():
    baseline = np.random.default_rng(0).random((1000, 2))
    metrics = difference_metrics((0.8, 0.6), (0.7, 0.65), baseline + np.array([0.1, -0.05]), baseline)
    assert list(metrics) == difference_names()
    assert metrics["accuracy_difference"] == pytest.approx(0.1)
    assert metrics["accuracy_difference_low"] == pytest.approx(0.1), "the replicates are paired"
    assert metrics["mean_iou_difference_high"] == pytest.approx(-0.05)
    assert set(difference_metrics((0.7, 0.6), (0.7, 0.6), baseline, baseline).values()) == {0.0}


def test_matrices_of_another_size_are_refused():
    with pytest.raises(ValueError, match="3×3 confusion matrix"):
        segmentation_metrics(np.eye(2, dtype=int), 0.0, NAMES)


@pytest.mark.filterwarnings("error")
def test_of_no_pixel_nothing_is_defined():
    nothing = np.zeros(3, int)
    found = segmentation_metrics(np.zeros((3, 3), int), math.nan, NAMES)
    found |= boundary_metrics(nothing, nothing, NAMES) | image_iou_quantiles(np.zeros(1001, int))
    found |= interval_metrics(np.full((10, 2), np.nan))
    found["ece"] = expected_calibration_error(nothing, nothing, nothing)
    assert {*found} == {*metric_names(NAMES)} - {*DATA_METRICS}
    assert all(math.isnan(value) for value in found.values())


def test_how_much_is_labelled():
    assert labelled_metrics(30, 120, 2) == {"labelled_share": 0.25, "unlabelled_images": 2}
    assert math.isnan(labelled_metrics(30, None, 2)["labelled_share"])
