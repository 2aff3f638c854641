"""Segmentation metrics from counts, in NumPy: every number petseg reports is computed here.

In confusion matrices, rows are the true class, columns the predicted one, and entries count pixels. All counts of
several examples add up, so the metrics of any group of images are those of the sum of their counts, exactly. Pixels
that are not labelled are not counted; what nothing is known of is undefined, NaN.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

RECALL: Final = "recall"
_CONFUSION_CLASS_METRICS: Final = ("iou", "dice", "precision", RECALL)
_BOUNDARY_IOU: Final = "boundary_iou"

CLASS_METRICS: Final = (*_CONFUSION_CLASS_METRICS, _BOUNDARY_IOU)
"""What there is of each class; the name of the metric ends with the name of the class."""

LABELLED_SHARE: Final = "labelled_share"
"""Share of the pixels that are labelled; every other metric is of those alone."""

UNLABELLED_IMAGES: Final = "unlabelled_images"
"""Number of images without any labelled pixel, which no mean, quantile or interval knows of."""

DATA_METRICS: Final = (LABELLED_SHARE, UNLABELLED_IMAGES)
"""What is measured of the evaluated data alone, whatever the model."""

CALIBRATION_BINS: Final = 15
"""Bins of equal width of the probability of the predicted class, as in Guo et al. 2017."""

IMAGE_IOU_STEPS: Final = 1000
"""The mean IoU of single images is kept to the nearest 1/1000."""

_HISTOGRAM_BINS: Final = 20
_CONFIDENCE_LEVEL: Final = 0.95
_IMAGE_IOU_QUANTILES: Final = {"image_iou_p05": 0.05, "image_iou_p50": 0.5, "image_iou_p95": 0.95}
_PIXEL_METRICS: Final = ("accuracy", "mean_iou", "mean_dice", "loss", "majority_share", "accuracy_gain")
_RESAMPLED_METRICS: Final = ("accuracy", "mean_iou")
_DIFFERENCE: Final = "difference"


def metric_names(class_names: Sequence[str]) -> list[str]:
    """Returns the names of all metrics of one model, in the order in which they are reported."""
    return [
        *_PIXEL_METRICS,
        *_of_classes(_CONFUSION_CLASS_METRICS, class_names),
        "mean_boundary_iou",
        *_of_classes((_BOUNDARY_IOU,), class_names),
        "ece",
        *_IMAGE_IOU_QUANTILES,
        *DATA_METRICS,
        *(f"{metric}_{end}" for metric in _RESAMPLED_METRICS for end in ("low", "high")),
    ]


def difference_names() -> list[str]:
    """Returns the names of the metrics that compare a model with a baseline, in the order of their report."""
    return [f"{metric}_{_DIFFERENCE}{end}" for metric in _RESAMPLED_METRICS for end in ("", "_low", "_high")]


def segmentation_metrics(
    confusion_matrix: NDArray[np.integer], mean_loss: float, class_names: Sequence[str]
) -> dict[str, float]:
    """Computes what follows from the confusion matrix of one group of images.

    With true positives TP, false positives FP and false negatives FN of a class, in pixels:
    IoU = TP / (TP + FP + FN) (Jaccard), Dice = 2 TP / (2 TP + FP + FN) (the F1 score), precision = TP / (TP + FP),
    recall = TP / (TP + FN).

    Args:
      confusion_matrix: [num_classes, num_classes] pixel counts, true class by row.
      mean_loss: Mean of the loss over the group's images that have labelled pixels.
      class_names: Names of the classes in the order of their ids.

    Returns:
      Metric name to value: `accuracy` (share of pixels that are right), `mean_iou` and `mean_dice` (means over the
      classes that occur in truth or prediction), `loss`, `majority_share` (accuracy of answering the largest true class
      everywhere), `accuracy_gain` (accuracy above that), `iou_<class>` and `dice_<class>` (NaN for a class that occurs
      in neither), `precision_<class>` (NaN for a class never predicted), `recall_<class>` (NaN for a class that never
      is true). All but `loss` lie in [0, 1]; `accuracy_gain` in [-1, 1]. All but `loss` are NaN where no pixel is
      counted.

    Raises:
      ValueError: The matrix is not square in the number of classes.

    Example:
      >>> metrics = segmentation_metrics(np.array([[3, 1], [0, 4]]), mean_loss=0.5, class_names=("pet", "background"))
      >>> metrics["accuracy"], metrics["iou_pet"], metrics["precision_pet"]
      (0.875, 0.75, 1.0)
    """
    num_classes = len(class_names)
    if confusion_matrix.shape != (num_classes, num_classes):
        raise ValueError(f"expected a {num_classes}×{num_classes} confusion matrix, got {confusion_matrix.shape}")
    counts = confusion_matrix.astype(np.float64)
    true_positives, true, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    dice = _ratio(2 * true_positives, true + predicted)
    accuracy, mean_iou = pixel_accuracy_and_mean_iou(true_positives, true + predicted)
    majority_share = _ratio(true.max(), counts.sum())
    per_class = [
        _ratio(true_positives, true + predicted - true_positives),
        dice,
        _ratio(true_positives, predicted),
        _ratio(true_positives, true),
    ]
    overall = [accuracy, mean_iou, _mean_of_defined(dice), mean_loss, majority_share, accuracy - majority_share]
    values = [float(value) for value in (*overall, *np.concatenate(per_class))]
    return dict(zip([*_PIXEL_METRICS, *_of_classes(_CONFUSION_CLASS_METRICS, class_names)], values, strict=True))


def pixel_accuracy_and_mean_iou(
    true_positives: NDArray[np.number], pixels: NDArray[np.number]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Computes both of many groups of images at once.

    Args:
      true_positives: [..., num_classes] pixels of each class that were predicted as it.
      pixels: [..., num_classes] true pixels of the class plus pixels predicted as it: 2 TP + FP + FN.

    Returns:
      Accuracy [...] and mean IoU [...] over the classes that occur; NaN where nothing was counted.
    """
    accuracy = _ratio(2 * true_positives.sum(axis=-1), pixels.sum(axis=-1))
    return accuracy, _mean_of_defined(_ratio(true_positives, pixels - true_positives))


def boundary_metrics(
    intersection: NDArray[np.integer], union: NDArray[np.integer], class_names: Sequence[str]
) -> dict[str, float]:
    """Computes Boundary IoU (Cheng et al., CVPR 2021): the IoU of the pixels near the outlines alone.

    Args:
      intersection: [num_classes] pixels in the boundary region of the class both in truth and in prediction.
      union: [num_classes] pixels in the boundary region of the class in truth, prediction or both.
      class_names: Names of the classes in the order of their ids.

    Returns:
      `mean_boundary_iou`, over the classes that occur, and `boundary_iou_<class>`, NaN for a class that does not.
    """
    iou = _ratio(intersection, union)
    names = ["mean_boundary_iou", *_of_classes((_BOUNDARY_IOU,), class_names)]
    return dict(zip(names, map(float, (_mean_of_defined(iou), *iou)), strict=True))


def expected_calibration_error(
    pixels: NDArray[np.integer], confidence: NDArray[np.floating], correct: NDArray[np.integer]
) -> float:
    """Computes the expected calibration error (Guo et al. 2017, equation 3) over pixels, in [0, 1].

    It is the mean over all pixels of how far, in the pixel's bin of confidence, the share of right predictions is from
    the mean confidence; 0 for probabilities that come true.

    Args:
      pixels: [bins] number of pixels by the probability of the predicted class.
      confidence: [bins] sums of that probability.
      correct: [bins] number of pixels that were predicted right.
    """
    return float(_ratio(np.abs(correct - confidence).sum(), pixels.sum()))


def labelled_metrics(labelled_pixels: int, pixels: int | None, unlabelled_images: int) -> dict[str, float]:
    """Returns how much of a group of images is labelled: `labelled_share` and `unlabelled_images`.

    Args:
      labelled_pixels: Number of the labelled pixels of the images.
      pixels: Number of all their pixels; None where it is not known.
      unlabelled_images: Number of the images without any labelled pixel.
    """
    share = math.nan if pixels is None else labelled_pixels / pixels
    return {LABELLED_SHARE: share, UNLABELLED_IMAGES: float(unlabelled_images)}


def image_iou_step(confusion_matrix: NDArray[np.integer]) -> int:
    """Returns the mean IoU of one image, over the classes that occur in it, in steps of 1/`IMAGE_IOU_STEPS`.

    Args:
      confusion_matrix: Of the image, which has labelled pixels.
    """
    true_positives = np.diag(confusion_matrix)
    _, mean_iou = pixel_accuracy_and_mean_iou(true_positives, confusion_matrix.sum(0) + confusion_matrix.sum(1))
    return round(float(mean_iou) * IMAGE_IOU_STEPS)


def image_iou_quantiles(images: NDArray[np.integer]) -> dict[str, float]:
    """Returns the 5 %, 50 % and 95 % quantiles of the mean IoU of single images, to 0.001.

    A quantile q is the least of the values that at least the share q of the images do not exceed; NaN of no image.

    Args:
      images: [IMAGE_IOU_STEPS + 1] number of images by `image_iou_step`.
    """
    cumulated = np.cumsum(images)
    if not cumulated[-1]:
        return dict.fromkeys(_IMAGE_IOU_QUANTILES, math.nan)
    steps = {
        name: np.searchsorted(cumulated, np.ceil(share * cumulated[-1])) for name, share in _IMAGE_IOU_QUANTILES.items()
    }
    return {name: float(step) / IMAGE_IOU_STEPS for name, step in steps.items()}


def image_iou_histogram(images: NDArray[np.integer]) -> NDArray[np.int64]:
    """Sums up the fine counts of `image_iou_quantiles` to 20 bins of 0.05; the last one holds 1, too."""
    width = IMAGE_IOU_STEPS // _HISTOGRAM_BINS
    bins = images[:-1].reshape(_HISTOGRAM_BINS, width).sum(axis=1)
    bins[-1] += images[-1]
    return bins.astype(np.int64)


def interval_metrics(replicates: NDArray[np.float64]) -> dict[str, float]:
    """Returns 95 % percentile intervals of the resampled metrics: `accuracy_low`, `accuracy_high`, `mean_iou_…`.

    Args:
      replicates: [replicates, 2] accuracy and mean IoU of each bootstrap replicate; NaN where it drew no image that has
        labelled pixels.
    """
    return {
        f"{metric}_{end}": value
        for metric, values in zip(_RESAMPLED_METRICS, replicates.T, strict=True)
        for end, value in zip(("low", "high"), _percentile_interval(values), strict=True)
    }


def difference_metrics(
    candidate: tuple[float, float],
    baseline: tuple[float, float],
    candidate_replicates: NDArray[np.float64],
    baseline_replicates: NDArray[np.float64],
) -> dict[str, float]:
    """Compares two models on the same images: candidate minus baseline, with paired 95 % percentile intervals.

    Args:
      candidate: Accuracy and mean IoU of the candidate.
      baseline: Those of the baseline.
      candidate_replicates: [replicates, 2] accuracy and mean IoU of each bootstrap replicate.
      baseline_replicates: Those of the baseline, from replicates that draw the same images.

    Returns:
      Metric name to value, in the order of `difference_names`. An interval that excludes 0 is a difference that the
      choice of the images does not explain.
    """
    differences = (candidate_replicates - baseline_replicates).T
    values: list[float] = []
    for ours, theirs, replicates in zip(candidate, baseline, differences, strict=True):
        values += [ours - theirs, *_percentile_interval(replicates)]
    return dict(zip(difference_names(), values, strict=True))


def _percentile_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    if np.isnan(values).all():
        return math.nan, math.nan
    tail = (1 - _CONFIDENCE_LEVEL) / 2
    low, high = np.nanquantile(values, (tail, 1 - tail))
    return float(low), float(high)


def _of_classes(metrics: Sequence[str], class_names: Sequence[str]) -> list[str]:
    return [f"{metric}_{name}" for metric in metrics for name in class_names]


def _ratio(part: NDArray[np.number] | float, whole: NDArray[np.number] | float) -> NDArray[np.float64]:
    """Divides; what is undefined is NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.true_divide(part, whole)


def _mean_of_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the means over the last axis that leave NaN out."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))
