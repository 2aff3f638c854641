"""What a data set holds, added up from a look at every example: what pages and proposals are made of."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from components.data_statistics import DataStatistics, SplitSummary, total
from components.segmentation_validator.examination import MaskMeaning
from components.segmentation_validator.kinds import Kind
from components.tfds_example_gen.source import TfdsSource
from pipeline.data.description.looking import (
    VALUES,
    Example,
    Looked,
    look,
    mapped_in_order,
    scalar_features,
    stored_examples,
)

SAMPLE: Final = 24
"""Examples of the contact sheet."""

KEPT_FINDINGS: Final = 500
"""Of one kind that are kept by name; the others are counted."""

SHOWN_FINDINGS: Final = 4
"""Of one kind that are kept with their pictures."""

_SEED: Final = 0
_BINS_PER_DOUBLING: Final = 8
_THICKNESS_BINS: Final = 12 * _BINS_PER_DOUBLING
"""From 1/4096 of the image's side to the whole of it."""


@dataclass(frozen=True)
class Meaning:
    """What the values of the masks mean, as far as anybody says."""

    class_names: tuple[str, ...]
    mask_values: tuple[int, ...]
    ignore_values: tuple[int, ...]
    class_colors: tuple[tuple[int, int, int], ...] = ()
    is_known: bool = True

    @classmethod
    def unknown(cls) -> "Meaning":
        """Returns every value as a class of its own."""
        return cls(tuple(f"value {value}" for value in range(VALUES)), tuple(range(VALUES)), (), is_known=False)

    @property
    def of_masks(self) -> MaskMeaning:
        """What an examination goes by."""
        background = self.class_names.index("background") if "background" in self.class_names else None
        names = self.class_names if self.is_known else ()
        return MaskMeaning(self.mask_values, self.ignore_values, names, background)


@dataclass(frozen=True)
class FoundExample:
    """An example that something is wrong with."""

    split: str
    file_name: str
    detail: str


@dataclass
class Survey:
    """What a data set holds."""

    name: str
    version: str
    data_dir: str
    size_bytes: int
    meaning: Meaning
    statistics: DataStatistics
    """Of each split; of the examples whose mask can be used, by the classes of `meaning`."""

    splits: dict[str, int] = field(default_factory=dict)
    """TFDS slice to its number of examples, the unusable ones included."""

    heights: Counter[int] = field(default_factory=Counter)
    """Height in pixels to images."""

    widths: Counter[int] = field(default_factory=Counter)
    value_pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(VALUES, np.int64))
    """[256]: pixels of each mask value, of all splits."""

    value_images: NDArray[np.int64] = field(default_factory=lambda: np.zeros(VALUES, np.int64))
    """[256]: images in which each value is met."""

    thickness: NDArray[np.int64] = field(default_factory=lambda: np.zeros((VALUES, _THICKNESS_BINS), np.int64))
    """[256, bins]: images by how thick the areas of each value are in them."""

    findings: dict[Kind, list[FoundExample]] = field(default_factory=dict)
    """At most `KEPT_FINDINGS` of a kind."""

    finding_counts: Counter[Kind] = field(default_factory=Counter)
    sample: list[tuple[str, Example]] = field(default_factory=list)
    """Split and example, for the contact sheet: the same ones whenever the same data is looked at."""

    flawed: list[tuple[str, Example, str]] = field(default_factory=list)
    """Split, example and what was found, of the first ones of each kind."""

    @property
    def full_name(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def whole(self) -> SplitSummary:
        """All splits together."""
        return total(self.statistics.splits.values(), len(self.meaning.class_names))

    @property
    def classes(self) -> list[int]:
        """The ids of the classes to show: all that are declared, or all values that are met where none is."""
        declared = range(len(self.meaning.class_names))
        return [*declared] if self.meaning.is_known else [each for each in declared if self.value_pixels[each]]

    @property
    def undeclared(self) -> list[int]:
        """The mask values that are met, and neither a class nor ignored."""
        declared = {*self.meaning.mask_values, *self.meaning.ignore_values}
        return [value for value in np.flatnonzero(self.value_pixels).tolist() if value not in declared]

    def median_thickness(self, mask_value: int) -> float | None:
        """Returns the median over the images that have a value of how thick its areas are.

        As a share of the square root of an image's area, to within 5 %; None where no image has it.
        """
        counts = self.thickness[mask_value]
        if not counts.sum():
            return None
        middle = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        return float(2.0 ** ((middle + 0.5) / _BINS_PER_DOUBLING - _THICKNESS_BINS // _BINS_PER_DOUBLING))

    def add(self, split: str, looked: Looked) -> None:
        """Adds one example of a split."""
        self.splits[split] = self.splits.get(split, 0) + 1
        examination, example = looked.examination, looked.example
        for finding in examination.findings:
            self.note(split, example, finding.kind, finding.detail)
        if examination.height:
            self.heights[examination.height] += 1
            self.widths[examination.width] += 1
        if examination.canonical_mask is None:
            return
        self.statistics.add(split, examination, example.labels)
        met = looked.value_pixels > 0
        self.value_pixels += looked.value_pixels
        self.value_images += met
        places = np.log2(np.maximum(looked.thickness[met], 2.0**-12)) + _THICKNESS_BINS // _BINS_PER_DOUBLING
        self.thickness[met, np.minimum(places * _BINS_PER_DOUBLING, _THICKNESS_BINS - 1).astype(int)] += 1

    def note(self, split: str, example: Example, kind: Kind, detail: str) -> None:
        """Adds a finding."""
        self.finding_counts[kind] += 1
        kept = self.findings.setdefault(kind, [])
        if len(kept) < KEPT_FINDINGS:
            kept.append(FoundExample(split, example.file_name, detail))
        if len(kept) <= SHOWN_FINDINGS:
            self.flawed.append((split, example, kind.value.replace("_", " ")))


def median(counts: Mapping[int, int]) -> int:
    """Returns the lower median of values that are counted; 0 without any.

    Example:
      >>> median({10: 1, 30: 2, 20: 1})
      20
    """
    half, seen = (sum(counts.values()) + 1) // 2, 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= half:
            return value
    return 0


def survey(
    builder: tfds.core.DatasetBuilder,
    source: TfdsSource,
    meaning: Meaning,
    splits: Sequence[str],
    on_progress: Callable[[int], None],
) -> Survey:
    """Looks at every example.

    Args:
      builder: The data set, prepared.
      source: How to read it.
      meaning: What its masks mean.
      splits: TFDS slices to look at.
      on_progress: Called with the number of examples done.
    """
    source = source.model_copy(update={"slice_features": scalar_features(builder)})
    found = Survey(
        name=_name(builder),
        version=str(builder.version),
        data_dir=source.data_dir,
        size_bytes=int(builder.info.dataset_size),
        meaning=meaning,
        statistics=DataStatistics(meaning.class_names),
    )
    duplicates = _Duplicates(found)
    generator = random.Random(_SEED)
    done = 0
    for split in splits:
        examples = stored_examples(builder, source, split)
        for looked in mapped_in_order(partial(look, meaning=meaning.of_masks), examples):
            found.add(split, looked)
            duplicates.add(split, looked)
            position = done if done < SAMPLE else generator.randint(0, done)
            if position < SAMPLE:
                found.sample[position : position + 1] = [(split, looked.example)]
            done += 1
            on_progress(done)
    return found


class _Duplicates:
    """Images that are there twice, byte by byte; of each only the digest and the place of the first are kept."""

    def __init__(self, found: Survey) -> None:
        self._found = found
        self._first: dict[bytes, tuple[str, str, str]] = {}

    def add(self, split: str, looked: Looked) -> None:
        example = looked.example
        place = (split, example.example_id, example.file_name)
        first = self._first.setdefault(looked.examination.digest, place)
        if first != place:
            kind = Kind.DUPLICATE if first[0] == split else Kind.SHARED_IMAGE
            self._found.note(split, example, kind, f"the image is that of {first[2]!r} in {first[0]!r}")


def _name(builder: tfds.core.DatasetBuilder) -> str:
    config = builder.builder_config
    return f"{builder.name}/{config.name}" if config is not None and config.name else str(builder.name)
