"""What the statistics of two samples of examples differ in, and whether that is drift.

The distance of each quantity is that of `components.drift_detector.distance`. It is drift where it is above a threshold,
which says what matters, and above what chance explains in samples of these sizes. Nothing here imports TensorFlow.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from components.data_statistics import EDGES, SHARE_EDGES, DataStatistics, SplitSummary
from components.drift_detector.distance import Counts, distance, distance_by_chance, grouped

CLASS_SHARES: Final = "class_shares"
LABELS: Final = "labels"
_PIXELS: Final = ("height", "width")


class QuantityDrift(BaseModel):
    """How far one quantity is apart in two samples."""

    model_config = ConfigDict(frozen=True)

    name: str
    """For people, such as `brightness`, `share of 'pet'` or the name of a slice feature."""

    setting: str
    """The threshold that it has: its name in `data.drift.thresholds`."""

    distance: float
    """Jensen–Shannon, 0…1."""

    threshold: float
    chance: float
    """What chance alone exceeds once in a thousand times."""

    value: str = ""
    """Of a slice feature, the value whose share changed most."""

    before: float
    """Mean of the quantity in the reference; of a class its share of all labelled pixels, of a slice feature the share
    of `value`."""

    now: float
    """The same in the compared sample."""

    bins: tuple[str, ...]
    """What to call each bin of the histograms."""

    reference: tuple[int, ...]
    """Examples of the reference in each bin."""

    current: tuple[int, ...]
    """Those of the compared sample."""

    @property
    def drifted(self) -> bool:
        return self.distance > self.bound

    @property
    def bound(self) -> float:
        """The distance from which on it is drift."""
        return max(self.threshold, self.chance)

    @property
    def change(self) -> str:
        """What changed, in words: `0.48 → 0.34`."""
        label = f"{self.value} " if self.value else ""
        return f"{label}{self._written(self.before)} → {self._written(self.now)}"

    @property
    def words(self) -> str:
        """Distance and bound: `brightness 0.530 > 0.15`."""
        return f"{self.name} {self.distance:.3f} {'>' if self.drifted else '≤'} {self.bound:.3g}"

    def _written(self, number: float) -> str:
        if self.setting in (CLASS_SHARES, LABELS):
            return f"{number:.1%}"
        return f"{number:,.0f}" if self.setting in _PIXELS else f"{number:.3g}"


class Sample(NamedTuple):
    """Examples of which statistics are known."""

    class_names: tuple[str, ...]
    summary: SplitSummary

    @classmethod
    def of(cls, statistics: DataStatistics, split: str) -> "Sample":
        """Returns a split; one without examples where the statistics have no such split."""
        names = statistics.class_names
        return cls(names, statistics.splits.get(split, SplitSummary(len(names))))


class Comparison(BaseModel):
    """Two samples side by side."""

    model_config = ConfigDict(frozen=True)

    reference_examples: int = 0
    current_examples: int = 0
    quantities: tuple[QuantityDrift, ...] = ()
    not_compared: tuple[str, ...] = ()
    """Classes and slice features that only one of the two has, in words."""

    @property
    def drifted(self) -> list[QuantityDrift]:
        """What drifted, the farthest beyond its bound first."""
        return sorted((one for one in self.quantities if one.drifted), key=lambda one: one.bound - one.distance)


def compare(reference: Sample, current: Sample, thresholds: Mapping[str, float]) -> Comparison:
    """Compares two samples.

    Args:
      reference: What is compared with.
      current: What is compared.
      thresholds: `QuantityDrift.setting` to the greatest distance that is no drift, of every setting.
    """
    pairs = [*_measured(reference, current), *_shares(reference, current), *_labels(reference, current)]
    return Comparison(
        reference_examples=reference.summary.examples,
        current_examples=current.summary.examples,
        quantities=tuple(
            _quantity(pair, thresholds[pair.setting]) for pair in pairs if pair.reference.any() and pair.current.any()
        ),
        not_compared=(
            *_only_in_one("class", reference.class_names, current.class_names),
            *_only_in_one("slice feature", reference.summary.values, current.summary.values),
        ),
    )


class _Pair(NamedTuple):
    """One quantity of two samples; fields as those of `QuantityDrift`."""

    name: str
    setting: str
    bins: tuple[str, ...]
    reference: Counts
    current: Counts
    value: str
    before: float
    now: float
    is_ordered: bool = True
    """Whether neighbouring bins are similar."""


def _quantity(pair: _Pair, threshold: float) -> QuantityDrift:
    samples = pair.reference, pair.current
    compared = grouped(*samples) if pair.is_ordered else samples
    return QuantityDrift(
        name=pair.name,
        setting=pair.setting,
        distance=distance(*compared),
        threshold=threshold,
        chance=distance_by_chance(*compared),
        value=pair.value,
        before=pair.before,
        now=pair.now,
        bins=pair.bins,
        reference=tuple(pair.reference.tolist()),
        current=tuple(pair.current.tolist()),
    )


def _measured(reference: Sample, current: Sample) -> Iterator[_Pair]:
    for name, edges in EDGES.items():
        bins = tuple(f"{low:.3g} to {high:.3g}" for low, high in zip(edges, edges[1:], strict=False))
        histograms = (sample.summary.histograms[name] for sample in (reference, current))
        means = (sample.summary.mean(name) or 0.0 for sample in (reference, current))
        yield _Pair(name, name, bins, *histograms, "", *means)


def _shares(reference: Sample, current: Sample) -> Iterator[_Pair]:
    """Yields the distribution of each common class's share of an image."""
    bins = ("none", *(f"{low:.0%} to {high:.0%}" for low, high in zip(SHARE_EDGES, SHARE_EDGES[1:], strict=False)))
    for name in reference.class_names:
        if name not in current.class_names:
            continue
        ids = [(sample.summary, sample.class_names.index(name)) for sample in (reference, current)]
        counts = (summary.shares[class_id] for summary, class_id in ids)
        shares = (summary.class_pixels[class_id] / max(1, summary.labelled_pixels) for summary, class_id in ids)
        yield _Pair(f"share of {name!r}", CLASS_SHARES, bins, *counts, "", *map(float, shares))


def _labels(reference: Sample, current: Sample) -> Iterator[_Pair]:
    """Yields the values of each common slice feature."""
    before, now = reference.summary.values, current.summary.values
    for feature in before:
        if feature not in now:
            continue
        bins = tuple(sorted(before[feature].keys() | now[feature].keys()))
        counts = (before[feature], now[feature])
        first, second = (np.array([of_values[value] for value in bins], np.int64) for of_values in counts)
        shares = first / max(1, first.sum()), second / max(1, second.sum())
        most = int(np.abs(shares[0] - shares[1]).argmax())
        yield _Pair(feature, LABELS, bins, first, second, bins[most], *(float(each[most]) for each in shares), False)


def _only_in_one(what: str, reference: Collection[str], current: Collection[str]) -> list[str]:
    gone = [f"the {what} {name!r}, which this data has not" for name in reference if name not in current]
    new = [f"the {what} {name!r}, which the model was not trained with" for name in current if name not in reference]
    return gone + new
