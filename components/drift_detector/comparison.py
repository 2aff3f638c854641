"""What the statistics of two samples of examples differ in, and whether that is drift.

The distance of each quantity is that of `components.drift_detector.distance`. It is drift where it is above a
threshold, which says what matters, and above what chance explains in samples of these sizes. Nothing here imports
TensorFlow.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from components.data_statistics import EDGES, SHARE_EDGES, DataStatistics, SplitSummary
from components.drift_detector.distance import Counts, distance, distance_by_chance, grouped
from components.drift_detector.report import CLASS_SHARES, IN_PIXELS, LABELS, Comparison, QuantityDrift


class Sample(NamedTuple):
    """Examples of which statistics are known."""

    class_names: tuple[str, ...]
    summary: SplitSummary

    @classmethod
    def of(cls, statistics: DataStatistics, split: str) -> "Sample":
        """Returns a split; one without examples where the statistics have no such split."""
        names = statistics.class_names
        return cls(names, statistics.splits.get(split, SplitSummary(len(names))))


def compare(reference: Sample, current: Sample, thresholds: Mapping[str, float]) -> Comparison:
    """Compares two samples.

    Args:
      reference: What is compared with.
      current: What is compared.
      thresholds: `QuantityDrift.setting` to the greatest distance that is no drift, of every setting.
    """
    before, now = reference.summary, current.summary
    pairs = [*_measured(before, now), *_shares(reference, current), *_labels(before, now)]
    return Comparison(
        reference_examples=before.examples,
        current_examples=now.examples,
        quantities=tuple(
            _quantity(pair, thresholds[pair.setting])
            for pair in pairs
            if pair.reference.counts.any() and pair.current.counts.any()
        ),
        not_compared=(
            *_only_in_one("class", reference.class_names, current.class_names),
            *_only_in_one("slice feature", before.values, now.values),
        ),
    )


class _Side(NamedTuple):
    """One quantity of one sample."""

    counts: Counts
    number: float
    """See `QuantityDrift.before`."""


class _Pair(NamedTuple):
    """One quantity of two samples; fields as those of `QuantityDrift`."""

    name: str
    setting: str
    bins: tuple[str, ...]
    reference: _Side
    current: _Side
    value: str = ""
    is_ordered: bool = True
    """Whether neighbouring bins are similar."""


def _quantity(pair: _Pair, threshold: float) -> QuantityDrift:
    samples = pair.reference.counts, pair.current.counts
    compared = grouped(*samples) if pair.is_ordered else samples
    return QuantityDrift(
        name=pair.name,
        setting=pair.setting,
        distance=distance(*compared),
        threshold=threshold,
        chance=distance_by_chance(*compared),
        value=pair.value,
        before=pair.reference.number,
        now=pair.current.number,
        bins=pair.bins,
        reference=tuple(pair.reference.counts.tolist()),
        current=tuple(pair.current.counts.tolist()),
    )


def _measured(reference: SplitSummary, current: SplitSummary) -> Iterator[_Pair]:
    def side(summary: SplitSummary, name: str) -> _Side:
        return _Side(summary.histograms[name], summary.mean(name) or 0.0)

    for name, edges in EDGES.items():
        bins = tuple(f"{low:,.0f}" if name in IN_PIXELS else f"{low:.3g}" for low in edges[:-1])
        yield _Pair(name, name, bins, side(reference, name), side(current, name))


def _shares(reference: Sample, current: Sample) -> Iterator[_Pair]:
    """Yields the distribution of each common class's share of an image."""

    def side(sample: Sample, name: str) -> _Side:
        class_id, summary = sample.class_names.index(name), sample.summary
        return _Side(summary.shares[class_id], float(summary.class_pixels[class_id]) / max(1, summary.labelled_pixels))

    bins = ("none", *(f"{low:.0%}" for low in SHARE_EDGES[:-1]))
    for name in reference.class_names:
        if name in current.class_names:
            yield _Pair(f"share of {name!r}", CLASS_SHARES, bins, side(reference, name), side(current, name))


def _labels(reference: SplitSummary, current: SplitSummary) -> Iterator[_Pair]:
    """Yields the values of each common slice feature."""
    for feature, before in reference.values.items():
        if feature not in current.values:
            continue
        now = current.values[feature]
        bins = tuple(sorted(before.keys() | now.keys()))
        first, second = (np.array([counts[value] for value in bins], np.int64) for counts in (before, now))
        shares = first / max(1, first.sum()), second / max(1, second.sum())
        most = int(np.abs(shares[0] - shares[1]).argmax())
        sides = _Side(first, float(shares[0][most])), _Side(second, float(shares[1][most]))
        yield _Pair(feature, LABELS, bins, *sides, value=bins[most], is_ordered=False)


def _only_in_one(what: str, reference: Collection[str], current: Collection[str]) -> list[str]:
    gone = [f"the {what} {name!r}, which this data has not" for name in reference if name not in current]
    new = [f"the {what} {name!r}, which the model was not trained with" for name in current if name not in reference]
    return gone + new
