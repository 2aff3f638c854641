"""The Poisson bootstrap over images: how far metrics would move had other images of the same kind been evaluated.

Each replicate counts each image Poisson(1) times (Hanley & MacGibbon 2006; Chamandy et al. 2012). An image's counts
follow from its identity alone. So results do not depend on order, batches or workers, all replicates come out of one
pass, and two models that are evaluated on the same images are resampled alike, which makes their differences paired.
"""

import functools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainer_module.segmentation_metrics import pixel_accuracy_and_mean_iou

REPLICATES: Final = 1000

_KEY: Final = 0x706574736567
"""Second half of the generator's key; another value would be other replicates."""

_MASK: Final = 2**64 - 1
_LARGEST_COUNT: Final = 16
"""Poisson(1) exceeds it once in 10^14 draws."""


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
    """Returns accuracy and mean IoU of each replicate: [REPLICATES, 2]; NaN for one that counts no image."""
    true_positives, pixels = np.split(sums, 2, axis=-1)
    return np.stack(pixel_accuracy_and_mean_iou(true_positives, pixels), axis=-1)


@functools.cache
def _cumulative_poisson() -> NDArray[np.uint64]:
    """Returns P(count ≤ k) for k = 0 … _LARGEST_COUNT - 1 in units of 2^-64."""
    probabilities = [math.exp(-1) / math.factorial(count) for count in range(_LARGEST_COUNT)]
    return np.array([min(int(value * 2**64), _MASK) for value in np.cumsum(probabilities)], np.uint64)
