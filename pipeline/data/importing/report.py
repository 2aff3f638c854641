"""What an import tells when it is done."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from components.dataset_card import DatasetCard
from pipeline.data.importing.entries import Entry

_SHOWN: Final = 5
"""Files that are named with a reason; the list beside the data set has all."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ClassCount(_Part):
    """How much of the data set a class is."""

    name: str
    value: int
    """In the masks."""

    pixels: int
    share: float
    """Of all pixels that are labelled."""

    images: int


class Reason(_Part):
    """Why files were dropped, or what was done to them."""

    text: str
    count: int
    names: tuple[str, ...]
    """Of the first few."""


class ImportReport(_Part):
    """What came in and what became of it."""

    name: str
    version: str
    directory: str
    format_name: str
    found: int
    """Files that could have become an example; each is either kept or dropped."""

    kept: int
    dropped: int
    read: int
    """Of the kept, those that were read by this import; the others are those of the version before."""

    splits: dict[str, int]
    classes: tuple[ClassCount, ...]
    not_labelled_pixels: int
    met: dict[str, int]
    """All that the masks had, as the source writes it, to its pixels."""

    first_date: int
    """In days since 1970-01-01."""

    last_date: int
    reasons: tuple[Reason, ...]
    """Why files were dropped."""

    done: tuple[Reason, ...]
    """What was done to files that were kept."""

    removed: tuple[str, ...]
    """Names of what the version before had, and its source has no more."""

    changed: tuple[str, ...]
    """Names of what the version before has in another form."""

    notes: tuple[str, ...]


def class_counts(entries: Iterable[Entry], card: DatasetCard) -> tuple[tuple[ClassCount, ...], int]:
    """Returns how much of the data set each class is, and how many pixels are not labelled."""
    pixels: Counter[str] = Counter()
    images: Counter[str] = Counter()
    for entry in entries:
        pixels.update(entry.pixels)
        images.update(entry.pixels.keys())
    of_classes = [pixels[str(value)] for value in card.mask_values]
    labelled = sum(of_classes)
    counts = tuple(
        ClassCount(
            name=name, value=value, pixels=count, share=count / labelled if labelled else 0.0, images=images[str(value)]
        )
        for name, value, count in zip(card.class_names, card.mask_values, of_classes, strict=True)
    )
    return counts, sum(pixels[str(value)] for value in card.ignore_values)


def values_met(entries: Iterable[Entry]) -> dict[str, int]:
    """Returns all that the masks had to its number of pixels, numbers in their order and before names."""
    met: Counter[str] = Counter()
    for entry in entries:
        met.update(entry.met)
    return dict(
        sorted(met.items(), key=lambda item: (not item[0].isdigit(), int(item[0]) if item[0].isdigit() else 0, item))
    )


def reasons_of(named: Iterable[tuple[str, str]]) -> tuple[Reason, ...]:
    """Gathers names by reason, the most frequent reason first.

    Args:
      named: Name and reason.
    """
    by_reason: dict[str, list[str]] = {}
    for name, reason in named:
        by_reason.setdefault(reason, []).append(name)
    return tuple(
        Reason(text=reason, count=len(names), names=tuple(names[:_SHOWN]))
        for reason, names in sorted(by_reason.items(), key=lambda item: -len(item[1]))
    )


def shared_images(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Returns the names of images that are, bytes for bytes, in two splits: of each its name and the other's."""
    first: dict[str, Entry] = {}
    found = []
    for entry in entries:
        other = first.setdefault(entry.image, entry)
        if other.split != entry.split:
            found.append((f"{entry.name} ({entry.split})", f"{other.name} ({other.split})"))
    return found
