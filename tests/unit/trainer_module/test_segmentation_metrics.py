"""Metrics by hand-computed values, bounds, and perfect and empty predictions."""

import math

import numpy as np
import pytest

from trainer_module.segmentation_metrics import metric_names, segmentation_metrics

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


def test_names_are_complete_and_in_order():
    assert list(segmentation_metrics(np.eye(3, dtype=int), 0.0, NAMES)) == metric_names(NAMES)


def test_matrices_of_another_size_or_without_pixels_are_refused():
    with pytest.raises(ValueError, match="3×3 confusion matrix"):
        segmentation_metrics(np.eye(2, dtype=int), 0.0, NAMES)
    with pytest.raises(ValueError, match="no pixel"):
        segmentation_metrics(np.zeros((3, 3), int), 0.0, NAMES)
