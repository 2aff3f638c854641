"""What may be wrong with a mask that a model contradicts: which single change of it would explain the model best."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.suspect_finder.suspects import Kind
from trainer_module.features import NOT_LABELLED

_EXPLAINED: Final = 0.5
"""A change explains a contradiction when it leaves no more than this share of it."""

_SEARCHED_SIDE: Final = 64
"""Shifts are searched at no more than this resolution."""

_KEPT_FOREGROUND: Final = 0.9
_LEAST_OVERLAP: Final = 0.4
"""Of a shifted mask: the share of what is not its largest class, and of all of it, that must stay within the image."""


def kind_of(given: NDArray[np.uint8], predicted: NDArray[np.uint8], num_classes: int) -> Kind:
    """Returns what seems to be wrong with a mask.

    Args:
      given: Class ids of the mask, [height, width]; `NOT_LABELLED` where nothing is known.
      predicted: Class ids of the model, [height, width].
      num_classes: The number of classes.
    """
    labelled = given != NOT_LABELLED
    if len(np.unique(given[labelled])) <= 1:
        return Kind.BLANK
    counts = _confusion(given[labelled], predicted[labelled], num_classes)
    error = 1 - np.trace(counts) / counts.sum()
    left = {Kind.EXCHANGED: _error_exchanged(counts), Kind.SHIFTED: _error_shifted(given, predicted, num_classes)}
    best = min(left, key=left.__getitem__)
    return best if left[best] <= _EXPLAINED * error else Kind.OTHER


def _confusion(given: NDArray[np.uint8], predicted: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    flat = given.astype(np.int64) * num_classes + predicted
    return np.bincount(flat, minlength=num_classes**2).reshape(num_classes, num_classes)


def _error_exchanged(counts: NDArray[np.int64]) -> float:
    """Returns the share of pixels that disagree with the two classes exchanged that are mistaken for each other."""
    right = np.diag(counts)
    mistaken = (counts > right[:, np.newaxis]) & (right < counts.T)  # a is mostly seen as b, and b as a
    gain = np.where(mistaken, counts + counts.T - right - right[:, np.newaxis], 0)
    return float(1 - (right.sum() + gain.max()) / counts.sum())


def _error_shifted(given: NDArray[np.uint8], predicted: NDArray[np.uint8], num_classes: int) -> float:
    """Returns the share of pixels that disagree where the mask is moved to where the most agree.

    For each shift d, the cross-correlation of two indicators counts the pixels x that are in the one and whose x + d is
    in the other; that of all shifts is one product of Fourier transforms.
    """
    step = -(-max(given.shape) // _SEARCHED_SIDE)
    given, predicted = given[::step, ::step], predicted[::step, ::step]
    size = [2 * side for side in given.shape]

    def spectrum(indicator: NDArray[np.bool_]) -> NDArray[np.complex128]:
        return np.fft.rfft2(indicator, size)

    def counts(spectra: NDArray[np.complex128]) -> NDArray[np.float64]:
        return np.round(np.fft.irfft2(spectra, size))

    labelled = given != NOT_LABELLED
    if not labelled.any():
        return 1.0  # none of the pixels that are left of a finer mask
    foreground = labelled & (given != np.bincount(given[labelled]).argmax())
    everywhere = spectrum(np.ones_like(labelled))
    agreeing = counts(
        sum(
            (np.conj(spectrum(given == k)) * spectrum(predicted == k) for k in range(num_classes)),
            np.zeros_like(everywhere),
        )
    )
    overlap, kept = (counts(np.conj(spectrum(part)) * everywhere) for part in (labelled, foreground))
    possible = (kept >= _KEPT_FOREGROUND * foreground.sum()) & (overlap >= _LEAST_OVERLAP * labelled.sum())
    return float(1 - (agreeing[possible] / overlap[possible]).max())
