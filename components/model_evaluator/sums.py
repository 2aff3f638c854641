"""Sums over the examples of a group: all that its metrics need, in memory that does not grow with the examples.

Among them are those of a Poisson bootstrap over images: how far metrics would move had other images of the same kind
been evaluated. Each replicate counts each image Poisson(1) times (Hanley & MacGibbon 2006; Chamandy et al. 2012). An
image's counts follow from its identity alone. So results do not depend on order, batches or workers, all replicates
come out of one pass, and two models that are evaluated on the same images are resampled alike, which makes their
differences paired.
"""

import functools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from trainer_module import features
from trainer_module.errors import ModelError
from trainer_module.segmentation_metrics import (
    CALIBRATION_BINS,
    IMAGE_IOU_STEPS,
    boundary_metrics,
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

DISTRIBUTIONS: Final = (
    features.CONFUSION_MATRIX,
    features.CALIBRATION_PIXELS,
    features.CALIBRATION_CONFIDENCE,
    features.CALIBRATION_CORRECT,
    "image_iou_histogram",
)
"""Names of the results that are arrays."""

REPLICATES: Final = 1000

_KEY: Final = 0x706574736567
"""Second half of the generator's key; another value would be other replicates."""

_MASK: Final = 2**64 - 1
_LARGEST_COUNT: Final = 16
"""Poisson(1) exceeds it once in 10^14 draws."""


class EvaluationSums:
    """Sums of what the evaluation signature returns for each example of one group.

    Attributes:
      examples: Number of examples, with those that have no labelled pixel.
      replicates: Sums of the bootstrap's replicates, see `image_statistics`.
    """

    def __init__(self, num_classes: int) -> None:
        self.examples = 0
        self.replicates = empty_replicates(num_classes)
        self._unlabelled = 0
        self._loss = 0.0
        self._images_by_iou = np.zeros(IMAGE_IOU_STEPS + 1, np.int64)
        self._counts: dict[str, NDArray[Any]] = {
            features.CONFUSION_MATRIX: np.zeros((num_classes, num_classes), np.int64),
            features.BOUNDARY_INTERSECTION: np.zeros(num_classes, np.int64),
            features.BOUNDARY_UNION: np.zeros(num_classes, np.int64),
            features.CALIBRATION_PIXELS: np.zeros(CALIBRATION_BINS, np.int64),
            features.CALIBRATION_CONFIDENCE: np.zeros(CALIBRATION_BINS, np.float64),
            features.CALIBRATION_CORRECT: np.zeros(CALIBRATION_BINS, np.int64),
        }

    def add(self, outputs: Mapping[str, NDArray[Any]]) -> None:
        """Adds one example: output name of the evaluation signature to the example's value.

        One without labelled pixels is counted, and changes nothing else.
        """
        self.examples += 1
        if not np.any(outputs[features.CONFUSION_MATRIX]):
            self._unlabelled += 1
            return
        for name, total in self._counts.items():
            total += np.asarray(outputs[name]).reshape(total.shape)
        matrix = np.asarray(outputs[features.CONFUSION_MATRIX]).reshape(self._counts[features.CONFUSION_MATRIX].shape)
        counts = replicate_counts(np.asarray(outputs[features.EXAMPLE_FINGERPRINT]).item())
        self.replicates += np.outer(counts, image_statistics(matrix))
        self._images_by_iou[image_iou_step(matrix)] += 1
        self._loss += np.asarray(outputs[features.LOSS]).item()

    @classmethod
    def merged(cls, num_classes: int, parts: Iterable[Self]) -> Self:
        """Returns the sums of several groups together."""
        whole = cls(num_classes)
        for part in parts:
            whole.examples += part.examples
            whole.replicates += part.replicates
            whole._unlabelled += part._unlabelled
            whole._loss += part._loss
            whole._images_by_iou += part._images_by_iou
            for name, total in whole._counts.items():
                total += part._counts[name]
        return whole

    def metrics(self, class_names: Sequence[str], image_pixels: int | None) -> dict[str, float]:
        """Returns the metrics of the group in the order of `metric_names`; NaN where one is undefined.

        Args:
          class_names: Names of the classes in the order of their ids.
          image_pixels: Of each example at the size of the model, labelled or not; None where that is not known.

        Raises:
          ValueError: There is no example in it.
        """
        if not self.examples:
            raise ValueError("no example was evaluated")
        counts = self._counts
        calibration = [
            counts[name]
            for name in (features.CALIBRATION_PIXELS, features.CALIBRATION_CONFIDENCE, features.CALIBRATION_CORRECT)
        ]
        boundary = (counts[features.BOUNDARY_INTERSECTION], counts[features.BOUNDARY_UNION])
        matrix, labelled_images = counts[features.CONFUSION_MATRIX], self.examples - self._unlabelled
        mean_loss = self._loss / labelled_images if labelled_images else math.nan
        pixels = None if image_pixels is None else self.examples * image_pixels
        values = {
            **segmentation_metrics(matrix, mean_loss, class_names),
            **boundary_metrics(*boundary, class_names),
            "ece": expected_calibration_error(*calibration),
            **image_iou_quantiles(self._images_by_iou),
            **labelled_metrics(int(matrix.sum()), pixels, self._unlabelled),
            **interval_metrics(replicate_metrics(self.replicates)),
        }
        return {name: values[name] for name in metric_names(class_names)}

    def distributions(self) -> dict[str, NDArray[Any]]:
        """Returns the results that are arrays, by the names in `DISTRIBUTIONS`.

        The confusion matrix is [num_classes, num_classes], true class by row; the calibration bins hold pixels, sums of
        confidence and pixels that are right, by the probability of the predicted class, for a reliability diagram;
        the histogram counts images by their mean IoU, in 20 bins of 0.05.
        """
        return {name: self._counts[name] for name in DISTRIBUTIONS[:-1]} | {
            DISTRIBUTIONS[-1]: image_iou_histogram(self._images_by_iou)
        }


def require_outputs(outputs: Collection[str], model: str) -> None:
    """Refuses a model whose evaluation signature lacks what the metrics are made of.

    Args:
      outputs: Names of the outputs that its evaluation signature has.
      model: What to call the model in the message.

    Raises:
      ModelError: Outputs are missing, as in models of earlier versions.
    """
    missing = sorted(set(features.EVALUATION_OUTPUTS) - set(outputs))
    if missing:
        raise ModelError(
            f"{model} was exported by another version of petseg: its signature {features.EVALUATION_SIGNATURE!r} has "
            f"no {', '.join(missing)}. Export it again: `petseg run --from Trainer --no-cache`."
        )


@functools.lru_cache(maxsize=64)
def replicate_counts(fingerprint: int) -> NDArray[np.int64]:
    """Returns how often each replicate counts an image: [REPLICATES] Poisson(1) draws, read-only.

    The draws invert the distribution's cumulative function on the raw bits of Philox, whose stream NumPy keeps from
    release to release. An image is asked for once for each of its slices, one after the other.

    Args:
      fingerprint: 64 bits that identify the image.
    """
    generator = np.random.Philox(key=np.array([fingerprint & _MASK, _KEY], np.uint64))
    counts = np.searchsorted(_cumulative_poisson(), generator.random_raw(REPLICATES), side="right").astype(np.int64)
    counts.flags.writeable = False
    return counts


def empty_replicates(num_classes: int) -> NDArray[np.int64]:
    """Returns the sums of replicates that have seen no image: [REPLICATES, 2 · num_classes]."""
    return np.zeros((REPLICATES, 2 * num_classes), np.int64)


def image_statistics(confusion_matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns all that accuracy and mean IoU need of an image: [2 · num_classes].

    They are the true positives of each class, then its true pixels plus the pixels predicted as it. The replicates'
    memory so grows with the number of classes, not with its square.
    """
    return np.concatenate([np.diag(confusion_matrix), confusion_matrix.sum(axis=0) + confusion_matrix.sum(axis=1)])


def replicate_metrics(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns accuracy and mean IoU of each replicate: [REPLICATES, 2]; NaN for one that counts no pixel."""
    true_positives, pixels = np.split(sums, 2, axis=-1)
    return np.stack(pixel_accuracy_and_mean_iou(true_positives, pixels), axis=-1)


@functools.cache
def _cumulative_poisson() -> NDArray[np.uint64]:
    """Returns P(count ≤ k) for k = 0 … _LARGEST_COUNT - 1 in units of 2^-64."""
    probabilities = [math.exp(-1) / math.factorial(count) for count in range(_LARGEST_COUNT)]
    return np.array([min(int(value * 2**64), _MASK) for value in np.cumsum(probabilities)], np.uint64)
