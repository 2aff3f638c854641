"""The kinds of findings: what may be wrong with an example, or between examples. Nothing here imports TensorFlow."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Kind(StrEnum):
    """What was found; the value is the name of its policy in the configuration (`data.validation`)."""

    UNREADABLE_IMAGE = "unreadable_image"
    UNREADABLE_MASK = "unreadable_mask"
    SIZE_MISMATCH = "size_mismatch"
    UNDECLARED_VALUES = "undeclared_values"
    NO_LABELLED_PIXEL = "no_labelled_pixel"
    BLANK_MASK = "blank_mask"
    """The background only."""

    NEARLY_BLANK_MASK = "nearly_blank_mask"
    """Almost one class only."""

    ONE_CLASS_MASK = "one_class_mask"
    """One class only, and not the background."""

    EXTREME_SIZE = "extreme_size"
    SHARED_IMAGE = "shared_image"
    """An image, byte by byte, in two splits that must not share any; its policy is `data.duplicates`."""

    DUPLICATE = "duplicate"
    """An image, byte by byte, twice in one split."""

    NEAR_SHARED_IMAGE = "near_shared_image"
    """An image that looks like one in a split that must not share any with its own."""

    NEAR_DUPLICATE = "near_duplicate"
    """An image that looks like another in its split."""

    ABSENT_CLASS = "absent_class"
    """A class without any pixel in a split; a finding of the split, not of an example."""


UNUSABLE: Final = frozenset({Kind.UNREADABLE_IMAGE, Kind.UNREADABLE_MASK, Kind.SIZE_MISMATCH, Kind.UNDECLARED_VALUES})
"""What an example has that no metric can be computed of."""

_WORDS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.UNREADABLE_IMAGE: ("unreadable image", "unreadable images"),
    Kind.UNREADABLE_MASK: ("unreadable mask", "unreadable masks"),
    Kind.SIZE_MISMATCH: ("mask of another size than its image", "masks of another size than their images"),
    Kind.UNDECLARED_VALUES: ("mask with undeclared values", "masks with undeclared values"),
    Kind.NO_LABELLED_PIXEL: ("mask without a labelled pixel", "masks without a labelled pixel"),
    Kind.BLANK_MASK: ("blank mask", "blank masks"),
    Kind.NEARLY_BLANK_MASK: ("nearly blank mask", "nearly blank masks"),
    Kind.ONE_CLASS_MASK: ("mask of one class", "masks of one class"),
    Kind.EXTREME_SIZE: ("image of extreme size", "images of extreme size"),
    Kind.SHARED_IMAGE: ("image in two splits", "images in two splits"),
    Kind.DUPLICATE: ("duplicate", "duplicates"),
    Kind.NEAR_SHARED_IMAGE: ("near duplicate in another split", "near duplicates in another split"),
    Kind.NEAR_DUPLICATE: ("near duplicate", "near duplicates"),
    Kind.ABSENT_CLASS: ("class absent from a split", "classes absent from a split"),
}


def plural(kind: Kind) -> str:
    """Returns what to call several findings of a kind."""
    return _WORDS[kind][1]


def counted(kind: Kind, count: int) -> str:
    """Returns a number of findings in words.

    Example:
      >>> counted(Kind.BLANK_MASK, 1), counted(Kind.BLANK_MASK, 1200)
      ('1 blank mask', '1,200 blank masks')
    """
    singular, plural = _WORDS[kind]
    return f"{count:,} {singular if count == 1 else plural}"


class Finding(NamedTuple):
    """Something wrong with one example."""

    kind: Kind
    detail: str
    """What exactly, and what to do: a clause or more without a full stop at the end, which the example's name goes
    before."""
