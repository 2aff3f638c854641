"""What is said of masks that were spoiled in a known way."""

import numpy as np
import pytest

from components.suspect_finder.kinds import kind_of
from components.suspect_finder.suspects import Kind

SIDE = 96
BACKGROUND, PET, BORDER = 1, 0, 2


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """A disc with a border, left of the middle and above it, as a good model sees it: 3 % of the pixels are wrong."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(rows - 34, columns - 34)
    mask = np.where(radius < 22, PET, np.where(radius < 26, BORDER, BACKGROUND)).astype(np.uint8)
    noise = np.random.default_rng(0).random(mask.shape) < 0.03
    return np.where(noise, (mask + 1) % 3, mask).astype(np.uint8)


def moved(mask, rows, columns):
    shifted = np.full_like(mask, BACKGROUND)
    shifted[max(rows, 0) :, max(columns, 0) :] = mask[: SIDE - rows, : SIDE - columns]
    return shifted


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda mask: np.full_like(mask, BACKGROUND), Kind.BLANK),
        (lambda mask: np.array([BACKGROUND, PET, BORDER], np.uint8)[mask], Kind.EXCHANGED),
        (lambda mask: moved(mask, 24, 0), Kind.SHIFTED),
        (lambda mask: moved(mask, 0, 24), Kind.SHIFTED),
        (lambda mask: moved(mask, 30, 30), Kind.SHIFTED),
        (lambda mask: np.where(np.arange(SIDE) < 34, BACKGROUND, mask).astype(np.uint8), Kind.OTHER),
    ],
)
def test_a_spoiled_mask_is_told(truth, spoil, kind):
    assert kind_of(spoil(truth), truth, 3) is kind


def test_what_is_not_labelled_explains_nothing(truth):
    exchanged = np.array([BACKGROUND, PET, BORDER], np.uint8)[truth]
    exchanged[:, ::2] = 255
    assert kind_of(exchanged, truth, 3) is Kind.EXCHANGED
    half_known = np.full_like(truth, 255)
    half_known[:10] = BACKGROUND
    assert kind_of(half_known, truth, 3) is Kind.BLANK


def test_two_classes_of_many_are_exchanged():
    stripes = (np.arange(SIDE) // 12).astype(np.uint8)[np.newaxis].repeat(SIDE, axis=0)  # 8 classes
    table = np.arange(21, dtype=np.uint8)
    table[[2, 5]] = 5, 2
    assert kind_of(table[stripes], stripes, 21) is Kind.EXCHANGED
