"""What a data set holds, added up from a look at every example: what pages and proposals are made of."""

import itertools
import random
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.data_statistics import DataStatistics, SplitSummary, total
from components.segmentation_validator.comparison import Defect, ExamplePlace, Roster, equal_images, near_images
from components.segmentation_validator.examination import Limits
from components.segmentation_validator.kinds import Kind
from components.tfds_example_gen.splits import SplitPair
from pipeline.data.description.looking import (
    Example,
    Looked,
    look,
    mapped_in_order,
    scalar_features,
    stored_examples,
)
from pipeline.data.description.opening import VALUES, Meaning, OpenedDataset

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
class FoundExample:
    """An example that something is wrong with."""

    split: str
    file_name: str
    detail: str


@dataclass(frozen=True)
class FlawedExample:
    """An example that something is wrong with, with its pictures."""

    split: str
    example: Example
    kind: Kind
    partner: Example | None = None
    """The other one of a pair."""


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
    troubled: dict[str, set[int]] = field(default_factory=dict)
    """TFDS slice to the positions of the examples that a run refuses or drops: unusable, or there twice."""

    sample: list[tuple[str, Example]] = field(default_factory=list)
    """Split and example, for the contact sheet: the same ones whenever the same data is looked at."""

    flawed: "list[FlawedExample]" = field(default_factory=list)
    """The first ones of each kind of finding."""

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
            if self.note(finding.kind, FoundExample(split, example.file_name, finding.detail)):
                self.flawed.append(FlawedExample(split, example, finding.kind))
        if examination.height:
            self.heights[examination.height] += 1
            self.widths[examination.width] += 1
        if examination.canonical_mask is None:
            self.troubled.setdefault(split, set()).add(self.splits[split] - 1)
            return
        self.statistics.add(split, examination, example.labels)
        met = looked.value_pixels > 0
        self.value_pixels += looked.value_pixels
        self.value_images += met
        places = np.log2(np.maximum(looked.thickness[met], 2.0**-12)) + _THICKNESS_BINS // _BINS_PER_DOUBLING
        self.thickness[met, np.minimum(places * _BINS_PER_DOUBLING, _THICKNESS_BINS - 1).astype(int)] += 1

    def note(self, kind: Kind, finding: FoundExample) -> bool:
        """Adds a finding; returns whether it is one of those whose pictures are shown."""
        self.finding_counts[kind] += 1
        kept = self.findings.setdefault(kind, [])
        if len(kept) < KEPT_FINDINGS:
            kept.append(finding)
        return self.finding_counts[kind] <= SHOWN_FINDINGS


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


def survey(opened: OpenedDataset, on_progress: Callable[[int], None]) -> Survey:
    """Looks at every example.

    Args:
      opened: The data set.
      on_progress: Called with the number of examples done.
    """
    source = opened.source.model_copy(update={"slice_features": scalar_features(opened.builder)})
    found = Survey(
        name=opened.name,
        version=str(opened.builder.version),
        data_dir=source.data_dir,
        size_bytes=int(opened.builder.info.dataset_size),
        meaning=opened.meaning,
        statistics=DataStatistics(opened.meaning.class_names),
    )
    meaning = opened.meaning.of_masks(opened.validation.background)
    limits = Limits(**opened.validation.model_dump(include=set(Limits.__dataclass_fields__)))
    generator = random.Random(_SEED)
    rosters = {split: _Roster(split) for split in opened.splits}
    done = 0
    for split in opened.splits:
        examples = stored_examples(opened.builder, source, split)
        for looked in mapped_in_order(partial(look, meaning=meaning, limits=limits), examples):
            found.add(split, looked)
            rosters[split].add(looked)
            position = done if done < SAMPLE else generator.randint(0, done)
            if position < SAMPLE:
                found.sample[position : position + 1] = [(split, looked.example)]
            done += 1
            on_progress(done)
    _add_duplicates(found, opened, {split: roster.finished() for split, roster in rosters.items()})
    return found


class _Roster:
    """What is kept of each example of a split, to find those that are there twice."""

    def __init__(self, split: str) -> None:
        self._split = split
        self._example_ids: list[str] = []
        self._file_names: list[str] = []
        self._digests, self._hashes, self._contrasts = array("Q"), array("Q"), array("f")

    def add(self, looked: Looked) -> None:
        self._example_ids.append(looked.example.example_id)
        self._file_names.append(looked.example.file_name)
        self._digests.append(int.from_bytes(looked.examination.digest, "little"))
        self._hashes.append(looked.examination.perceptual_hash)
        self._contrasts.append(looked.examination.contrast)

    def finished(self) -> Roster:
        return Roster(
            self._split,
            self._example_ids,
            self._file_names,
            np.array(self._digests, np.uint64),
            np.array(self._hashes, np.uint64),
            np.array(self._contrasts, np.float32),
        )


def _add_duplicates(found: Survey, opened: OpenedDataset, rosters: Mapping[str, Roster]) -> None:
    """Adds the images that are the same as another, or look like it, with their pictures, for which they are read."""
    pairs = [SplitPair(one, other, "", is_strict=False) for one, other in itertools.combinations(rosters, 2)]
    near = near_images(rosters, pairs, opened.validation.near_duplicate_distance)
    shown: dict[ExamplePlace, Defect] = {}
    equal = [*equal_images(rosters, pairs)]
    for split in {defect.split for defect in equal}:
        ids = {defect.example_id for defect in equal if defect.split == split}
        positions = {index for index, each in enumerate(rosters[split].example_ids) if each in ids}
        found.troubled.setdefault(split, set()).update(positions)
    for defect in (*equal, *near):
        if found.note(defect.kind, FoundExample(defect.split, defect.file_name, defect.detail)):
            shown[defect.place] = defect
    wanted = {*shown, *(defect.partner for defect in shown.values() if defect.partner)}
    read = {
        ExamplePlace(split, example.example_id): example
        for split in {place.split for place in wanted}
        for example in stored_examples(opened.builder, opened.source, split)
        if ExamplePlace(split, example.example_id) in wanted
    }
    for place, defect in shown.items():
        partner = read[defect.partner] if defect.partner else None
        found.flawed.append(FlawedExample(defect.split, read[place], defect.kind, partner))
