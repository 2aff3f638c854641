"""What a data set is like, in numbers that can be added up: sums and histograms of each split, of any number of images.

SegmentationValidator computes them; they travel with the model, and other data is compared with them. They take the
same memory whatever the number of examples. Nothing here imports TensorFlow.
"""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from trainer_module.errors import DataError

VERSION: Final = 1
STATISTICS_FILE: Final = "statistics.json"
"""Of the findings of SegmentationValidator, what `DataStatistics.to_json` returned."""

MOST_VALUES: Final = 1000
"""Of one slice feature that are told apart; all others are counted as `OTHER_VALUES`."""

OTHER_VALUES: Final = "(other values)"

_SIDES: Final = tuple(2.0 ** (power / 4) for power in range(12, 61))

EDGES: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "height": _SIDES,
        "width": _SIDES,
        "aspect": tuple(2.0 ** (power / 4) for power in range(-16, 17)),
        "brightness": tuple(step / 50 for step in range(51)),
        "contrast": tuple(step / 100 for step in range(51)),
        "sharpness": tuple(10.0 ** (power / 8) for power in range(-48, 9)),
    }
)
"""Quantity to the edges of its bins, ascending: bin i holds what is at least edge i and less than edge i + 1; the first
and the last hold also what is beyond. Height and width are in pixels, aspect is width by height, the others are as in
`components.segmentation_validator.examination.Examination`. Bins of equal ratio but for brightness and contrast."""

SHARE_EDGES: Final = tuple(step / 20 for step in range(21))
"""Of the bins of a class's share of an image's labelled pixels, after a first bin for images without the class."""


class Measured(Protocol):
    """What is added: one example, as `examine` returns it."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def class_pixels(self) -> tuple[int, ...]: ...
    @property
    def ignored_pixels(self) -> int: ...
    @property
    def brightness(self) -> float: ...
    @property
    def contrast(self) -> float: ...
    @property
    def sharpness(self) -> float: ...


@dataclass(eq=False)
class SplitSummary:
    """One split. Arrays are int64 and count examples, where nothing else is said."""

    num_classes: int
    examples: int = 0
    unlabelled_examples: int = 0
    """Those without any labelled pixel."""

    ignored_pixels: int = 0
    """Pixels that are not labelled."""

    class_pixels: NDArray[np.int64] = field(init=False)
    """[classes]: pixels of each class, of all examples."""

    images_with_class: NDArray[np.int64] = field(init=False)
    """[classes]."""

    shares: NDArray[np.int64] = field(init=False)
    """[classes, 1 + bins of `SHARE_EDGES`]: by each class's share of the labelled pixels, without it in the first;
    of examples with labelled pixels."""

    histograms: dict[str, NDArray[np.int64]] = field(init=False)
    """Quantity (`EDGES`) to [bins]."""

    sums: dict[str, float] = field(init=False)
    """Quantity to the sum of its values."""

    values: dict[str, Counter[str]] = field(default_factory=dict)
    """Slice feature to value to its number of examples, of at most `MOST_VALUES` and `OTHER_VALUES`."""

    def __post_init__(self) -> None:
        self.class_pixels = np.zeros(self.num_classes, np.int64)
        self.images_with_class = np.zeros(self.num_classes, np.int64)
        self.shares = np.zeros((self.num_classes, len(SHARE_EDGES)), np.int64)
        self.histograms = {name: np.zeros(len(edges) - 1, np.int64) for name, edges in EDGES.items()}
        self.sums = dict.fromkeys(EDGES, 0.0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SplitSummary) and self.as_json() == other.as_json()

    @property
    def labelled_pixels(self) -> int:
        return int(self.class_pixels.sum())

    def mean(self, quantity: str) -> float | None:
        """Returns the mean of a quantity over the examples; None without any."""
        return self.sums[quantity] / self.examples if self.examples else None

    def add(self, measured: Measured, labels: Mapping[str, str]) -> None:
        """Adds one example, with the values of its slice features."""
        pixels = np.asarray(measured.class_pixels, np.int64)
        self.examples += 1
        self.ignored_pixels += measured.ignored_pixels
        self.class_pixels += pixels
        self.images_with_class += pixels > 0
        labelled = pixels.sum()
        self.unlabelled_examples += int(labelled == 0)
        if labelled:
            for class_id in np.flatnonzero(pixels).tolist():
                self.shares[class_id, 1 + _bin(pixels[class_id] / labelled, SHARE_EDGES)] += 1
            self.shares[pixels == 0, 0] += 1
        quantities = {
            "height": measured.height,
            "width": measured.width,
            "aspect": measured.width / measured.height,
            "brightness": measured.brightness,
            "contrast": measured.contrast,
            "sharpness": measured.sharpness,
        }
        for name, value in quantities.items():
            self.histograms[name][_bin(value, EDGES[name])] += 1
            self.sums[name] += value
        for name, label in labels.items():
            self._count(name, label, 1)

    def update(self, other: "SplitSummary") -> None:
        """Adds all examples of another summary, of the same classes."""
        self.examples += other.examples
        self.unlabelled_examples += other.unlabelled_examples
        self.ignored_pixels += other.ignored_pixels
        self.class_pixels += other.class_pixels
        self.images_with_class += other.images_with_class
        self.shares += other.shares
        for name in EDGES:
            self.histograms[name] += other.histograms[name]
            self.sums[name] += other.sums[name]
        for name, counts in other.values.items():
            for value, count in counts.items():
                self._count(name, value, count)

    def _count(self, name: str, value: str, count: int) -> None:
        counts = self.values.setdefault(name, Counter())
        counts[value if value in counts or len(counts) < MOST_VALUES else OTHER_VALUES] += count

    def as_json(self) -> dict[str, Any]:
        """Returns what `of_json` reads."""
        return {
            "examples": self.examples,
            "unlabelled_examples": self.unlabelled_examples,
            "ignored_pixels": self.ignored_pixels,
            "class_pixels": self.class_pixels.tolist(),
            "images_with_class": self.images_with_class.tolist(),
            "shares": self.shares.tolist(),
            "histograms": {name: counts.tolist() for name, counts in self.histograms.items()},
            "sums": self.sums,
            "values": {name: dict(counts) for name, counts in self.values.items()},
        }

    @classmethod
    def of_json(cls, found: Mapping[str, Any], num_classes: int) -> Self:
        """Reads what `as_json` returned.

        Raises:
          KeyError, TypeError, ValueError: It is something else.
        """
        summary = cls(num_classes, found["examples"], found["unlabelled_examples"], found["ignored_pixels"])
        summary.class_pixels += np.array(found["class_pixels"], np.int64)
        summary.images_with_class += np.array(found["images_with_class"], np.int64)
        summary.shares += np.array(found["shares"], np.int64)
        for name in EDGES:
            summary.histograms[name] += np.array(found["histograms"][name], np.int64)
            summary.sums[name] = float(found["sums"][name])
        summary.values = {name: Counter(counts) for name, counts in found["values"].items()}
        return summary


@dataclass
class DataStatistics:
    """All splits of a data set.

    Example:
      >>> statistics = DataStatistics(("soil", "crop"))
      >>> statistics == DataStatistics.from_json(statistics.to_json(), "here") == statistics.merged(statistics)
      True
    """

    class_names: tuple[str, ...]
    splits: dict[str, SplitSummary] = field(default_factory=dict)

    def add(self, split: str, measured: Measured, labels: Mapping[str, str] = MappingProxyType({})) -> None:
        """Adds one example, whose mask can be used.

        Args:
          split: The split that it is in.
          measured: What was measured of it; its `class_pixels` are of `class_names`.
          labels: Slice feature to the example's value.
        """
        self._split(split).add(measured, labels)

    def merged(self, other: "DataStatistics") -> "DataStatistics":
        """Returns the statistics of what is in either; a split of both has the examples of both.

        Raises:
          ValueError: They are of different classes.
        """
        if self.class_names != other.class_names:
            raise ValueError(f"statistics of {self.class_names} and of {other.class_names} cannot be merged")
        both = DataStatistics(self.class_names)
        for statistics in (self, other):
            for name, summary in statistics.splits.items():
                both._split(name).update(summary)
        return both

    def to_json(self) -> str:
        """Returns the statistics as JSON; its `version` is `VERSION`."""
        splits = {name: summary.as_json() for name, summary in self.splits.items()}
        return json.dumps({"version": VERSION, "class_names": self.class_names, "splits": splits})

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Self:
        """Reads what `to_json` wrote.

        Args:
          text: The JSON.
          where: What to call the place in the message, as the name of the file.

        Raises:
          DataError: It is something else, or of another version.
        """
        try:
            found = json.loads(text)
            if found["version"] != VERSION:
                raise DataError(
                    f"{where}: statistics of data in version {found['version']!r}, and this petseg reads version "
                    f"{VERSION}; run the pipeline again on the data"
                )
            names = tuple(found["class_names"])
            return cls(names, {name: SplitSummary.of_json(each, len(names)) for name, each in found["splits"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise DataError(f"{where}: no statistics of data, or damaged ones ({reason})") from error

    def _split(self, name: str) -> SplitSummary:
        return self.splits.setdefault(name, SplitSummary(len(self.class_names)))


def total(summaries: Iterable[SplitSummary], num_classes: int) -> SplitSummary:
    """Returns the summary of all examples of some splits."""
    whole = SplitSummary(num_classes)
    for summary in summaries:
        whole.update(summary)
    return whole


def _bin(value: float, edges: Sequence[float]) -> int:
    """Returns in which bin a value is."""
    return min(max(bisect_right(edges, value) - 1, 0), len(edges) - 2)
