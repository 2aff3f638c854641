"""Segmentation metrics from one confusion matrix, in NumPy: every number petseg reports is computed here.

Rows are the true class, columns the predicted one, entries count pixels. Matrices of several examples add up, so the
metrics of any group of images are those of the sum of their matrices, exactly.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def metric_names(class_names: Sequence[str]) -> list[str]:
    """Returns the names of all metrics, in the order in which they are reported."""
    overall = ["accuracy", "mean_iou", "mean_dice", "loss", "majority_share", "accuracy_gain"]
    return overall + [f"{metric}_{name}" for metric in ("iou", "dice") for name in class_names]


def segmentation_metrics(
    confusion_matrix: NDArray[np.integer], mean_loss: float, class_names: Sequence[str]
) -> dict[str, float]:
    """Computes the metrics of one group of images.

    With true positives TP, false positives FP and false negatives FN of a class, in pixels:
    IoU = TP / (TP + FP + FN) (Jaccard), Dice = 2 TP / (2 TP + FP + FN) (the F1 score).

    Args:
      confusion_matrix: [num_classes, num_classes] pixel counts, true class by row.
      mean_loss: Mean of the loss over the group's images.
      class_names: Names of the classes in the order of their ids.

    Returns:
      Metric name to value, in the order of `metric_names`: `accuracy` (share of pixels that are right), `mean_iou` and
      `mean_dice` (means over the classes that occur in truth or prediction), `loss`, `majority_share` (accuracy of
      answering the largest true class everywhere), `accuracy_gain` (accuracy above that), `iou_<class>`,
      `dice_<class>` (NaN for a class that occurs in neither). All but `loss` lie in [0, 1]; `accuracy_gain` in [-1, 1].

    Raises:
      ValueError: The matrix is not square in the number of classes, or counts no pixel.
    """
    num_classes = len(class_names)
    if confusion_matrix.shape != (num_classes, num_classes):
        raise ValueError(f"expected a {num_classes}×{num_classes} confusion matrix, got {confusion_matrix.shape}")
    counts = confusion_matrix.astype(np.float64)
    total = counts.sum()
    if total <= 0:
        raise ValueError("the confusion matrix counts no pixel: nothing was evaluated")
    true_positives = np.diag(counts)
    per_class = counts.sum(axis=0) + counts.sum(axis=1)  # 2 TP + FP + FN
    with np.errstate(invalid="ignore"):
        iou = true_positives / (per_class - true_positives)
        dice = 2 * true_positives / per_class
    accuracy = true_positives.sum() / total
    majority_share = counts.sum(axis=1).max() / total
    overall = [accuracy, np.nanmean(iou), np.nanmean(dice), mean_loss, majority_share, accuracy - majority_share]
    values = [float(value) for value in (*overall, *iou, *dice)]
    return dict(zip(metric_names(class_names), values, strict=True))
