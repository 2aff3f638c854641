"""Confident learning over the pixels of masks: where a model contradicts them, and how strongly. NumPy alone.

C. Northcutt, L. Jiang, I. Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70 (2021). A label
is in doubt where the model is at least as confident of another class as it is, on average, of that class where the data
says so. V. Lad and J. Mueller take it to masks (Estimating label quality and errors in semantic segmentation data via
any model, 2023).
"""

import numpy as np
from numpy.typing import NDArray

from trainer_module.features import NOT_LABELLED
from trainer_module.segmentation_metrics import pixel_accuracy_and_mean_iou


class SelfConfidence:
    """How probable the model finds each class where the masks have it: the thresholds of confident learning."""

    def __init__(self, num_classes: int) -> None:
        self._sums = np.zeros(num_classes)
        self._pixels = np.zeros(num_classes)

    def add(self, probabilities: NDArray[np.float32], class_ids: NDArray[np.uint8]) -> None:
        """Adds the pixels of some images.

        Args:
          probabilities: [..., num_classes], of the model; they sum to 1 over the classes.
          class_ids: [...], of the masks; `NOT_LABELLED` does not count.
        """
        count = len(self._sums)
        given = np.minimum(class_ids, count - 1)  # any class, where there is no label
        own = np.take_along_axis(probabilities, given[..., np.newaxis], axis=-1)[..., 0]
        labelled = class_ids != NOT_LABELLED
        self._sums += np.bincount(class_ids[labelled], own[labelled], count)
        self._pixels += np.bincount(class_ids[labelled], minlength=count)

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """[num_classes] means of the class's own probability (equation 2); infinite for a class without a pixel."""
        return np.divide(self._sums, self._pixels, out=np.full_like(self._sums, np.inf), where=self._pixels > 0)


def suggested_classes(
    probabilities: NDArray[np.float32], class_ids: NDArray[np.uint8], thresholds: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Returns the class that the model is confident of in place of the given one, [...].

    Of the classes whose probability reaches their threshold, it is the most probable one (equation 1); `NOT_LABELLED`
    where that is the given class, where no class reaches its threshold, and where there is no label.

    Args:
      probabilities: [..., num_classes].
      class_ids: [...], of the masks.
      thresholds: [num_classes], of `SelfConfidence`.

    Example:
      >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9]], np.float32)
      >>> suggested_classes(probabilities, np.array([0, 0, 1, 255], np.uint8), np.array([0.7, 0.7])).tolist()
      [255, 1, 255, 255]
    """
    confident = probabilities >= thresholds
    best = np.where(confident, probabilities, -1).argmax(axis=-1).astype(np.uint8)
    contradicts = confident.any(axis=-1) & (best != class_ids) & (class_ids != NOT_LABELLED)
    return np.where(contradicts, best, np.uint8(NOT_LABELLED))


def contradiction_scores(
    class_ids: NDArray[np.uint8], suggested: NDArray[np.uint8], num_classes: int
) -> NDArray[np.float64]:
    """Returns how strongly the model contradicts each mask, [images], from 0 to 1.

    It is 1 minus the mean IoU of the mask and the same mask with the suggestions put in, over the classes that occur in
    either: an object counts by its own size, not by the image's. 0 where nothing is labelled.

    Args:
      class_ids: [images, height, width], of the masks.
      suggested: [images, height, width], of `suggested_classes`.
      num_classes: The number of classes.

    Example:
      >>> contradiction_scores(np.array([[[0, 0, 1, 255]]], np.uint8), np.array([[[255, 1, 255, 255]]], np.uint8), 2)
      array([0.5])
    """
    kept, mended = suggested == NOT_LABELLED, np.where(suggested == NOT_LABELLED, class_ids, suggested)
    agreeing = _pixels_of_classes(np.where(kept, class_ids, NOT_LABELLED), num_classes)
    either = _pixels_of_classes(class_ids, num_classes) + _pixels_of_classes(mended, num_classes)
    _, mean_iou = pixel_accuracy_and_mean_iou(agreeing, either)
    return np.where(np.isnan(mean_iou), 0.0, 1 - mean_iou)


def _pixels_of_classes(class_ids: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """Returns the pixels of each class, [images, num_classes], of class ids [images, height, width]."""
    return np.stack([np.bincount(image.reshape(-1), minlength=num_classes)[:num_classes] for image in class_ids])
