"""What two runs differ in: settings, metrics, and the single images that one does better than the other; and in words.

Accuracy and mean IoU are compared by a paired bootstrap over the images that both runs evaluated. Nothing here imports
TensorFlow or matplotlib.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from components.model_evaluator.sums import empty_replicates, replicate_counts, replicate_metrics
from components.tfds_example_gen.example_names import is_tfds_id, shown_names
from pipeline.report.blocks import Cell, Note, Table
from pipeline.report.facts import RunFacts, flat_settings, run_facts
from pipeline.report.image_scores import SCORES_FILE, ImageDifference, ImageScore, read_scores
from pipeline.runs.record import RunRecord
from pipeline.terminal.tables import is_partly_labelled, metric_value, readable_metric
from trainer_module.segmentation_metrics import DATA_METRICS, difference_metrics, pixel_accuracy_and_mean_iou

_NOT_COMPARED: Final = ("preset", "pipeline.root")
_BOUNDS_OF_INTERVALS: Final = ("_low", "_high")
_UNSET: Final = "(no such setting)"


@dataclass(frozen=True)
class SettingDifference:
    """A setting that differs."""

    key: str
    first: str
    second: str


@dataclass(frozen=True)
class MetricDifference:
    """A metric of both runs."""

    name: str
    first: float | None
    second: float | None
    first_interval: tuple[float, float] | None
    second_interval: tuple[float, float] | None
    difference: float | None
    """Second minus first; None where either is undefined."""

    difference_interval: tuple[float, float] | None
    """95 % interval of the difference, paired by image; None where the runs did not evaluate the same images."""

    @property
    def verdict(self) -> str:
        """Whether the difference is more than the choice of the images explains, in words."""
        return {True: "within noise", False: "more than noise", None: ""}[self.within_noise]

    @property
    def within_noise(self) -> bool | None:
        """Whether the choice of the images may explain the difference; None where there are no intervals."""
        if self.difference_interval is not None:
            low, high = self.difference_interval
            return low <= 0 <= high
        if self.first_interval is None or self.second_interval is None:
            return None
        return self.first_interval[0] <= self.second_interval[1] and self.second_interval[0] <= self.first_interval[1]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side."""

    first: RunFacts
    second: RunFacts
    settings: list[SettingDifference]
    metrics: list[MetricDifference]
    images: list[ImageDifference]
    """Those that both evaluated and that have labelled pixels, the largest change first."""

    paired: int
    """Images that both evaluated, labelled or not."""

    evaluated: tuple[int, int]
    """Images that each run evaluated, as far as their scores are known."""

    same_data: bool
    """Whether both evaluated the same split of the same version of a data set."""

    @property
    def unpaired(self) -> tuple[int, int]:
        """Images of each run that are not known to be among those of the other."""
        first, second = (count - self.paired for count in self.evaluated)
        return first, second

    def as_json(self, most_images: int) -> dict[str, Any]:
        """Returns the comparison for a machine, with the images that changed most."""
        return {
            "runs": [self.first.record.run_id, self.second.record.run_id],
            "same_data": self.same_data,
            "unpaired_images": self.unpaired,
            "settings": [vars(setting) for setting in self.settings],
            "metrics": [vars(metric) | {"within_noise": metric.within_noise} for metric in self.metrics],
            "images": [vars(image) | {"difference": image.difference} for image in self.images[:most_images]],
        }


def compare_runs(first: RunRecord, second: RunRecord, directories: tuple[Path, Path]) -> Comparison:
    """Compares two runs.

    Args:
      first: The record of one.
      second: The record of the other.
      directories: Of the runs, where the scores of single images are, if there are any.

    Raises:
      PetsegError: A file of scores is damaged.
    """
    facts = run_facts(first), run_facts(second)
    files = [directory / SCORES_FILE for directory in directories]
    scores = [read_scores(file) if file.is_file() else [] for file in files]
    same_data = _evaluated_data(first) == _evaluated_data(second)
    digests = _evaluated_digest(first), _evaluated_digest(second)
    if None not in digests:
        same_data = same_data and digests[0] == digests[1]
    pairs = _pairs(*scores, by_id=same_data and None not in digests)
    is_paired = same_data and bool(pairs) and all(len(of_run) == len(pairs) for of_run in scores)
    return Comparison(
        *facts,
        settings=_setting_differences(first, second),
        metrics=_metric_differences(first, second, _paired_differences(pairs) if is_paired else {}),
        images=sorted(_image_differences(pairs), key=lambda image: -abs(image.difference)),
        paired=len(pairs),
        evaluated=(len(scores[0]), len(scores[1])),
        same_data=same_data,
    )


def headline(comparison: Comparison) -> str:
    """Says in one sentence what became of the mean IoU."""
    found = next((metric for metric in comparison.metrics if metric.name == "mean_iou"), None)
    if found is None or found.difference is None:
        return "The mean IoU cannot be compared: it is not known of both runs."
    words = f"Mean IoU {signed(found.difference)}, from {metric_value(found.first)} to {metric_value(found.second)}"
    return f"{words}: {found.verdict}."


def unpaired_note(comparison: Comparison) -> str:
    """Says how many images could not be compared, and why; empty where all were, or no scores are known."""
    first, second = comparison.unpaired
    if not any(comparison.unpaired) or not all(comparison.evaluated):
        return ""
    return (
        f"Not compared: {first:,} of the {comparison.evaluated[0]:,} images of the first run and {second:,} of the "
        f"{comparison.evaluated[1]:,} of the second. Where two runs did not read the very same data, their images are "
        "paired by file names that one image alone has."
    )


def signed(value: float | None) -> str:
    """Writes a difference with its sign."""
    return "" if value is None else f"{value:+.4f}".replace("-", "−")


def settings_block(comparison: Comparison) -> Table | Note:
    """Returns the settings that differ."""
    rows = [[setting.key, setting.first, setting.second] for setting in comparison.settings]
    if not rows:
        return Note("Both runs have the same settings.")
    return Table(["setting", "first", "second"], rows, words=("first", "second"))


def metrics_block(comparison: Comparison) -> Table | Note:
    """Returns the metrics of both runs side by side."""
    rows: list[list[str | Cell]] = [
        [
            Cell(readable_metric(metric.name), metric.verdict),
            Cell(metric_value(metric.first, metric.name), _interval_words(metric.first_interval)),
            Cell(metric_value(metric.second, metric.name), _interval_words(metric.second_interval)),
            Cell(signed(metric.difference), _interval_words(metric.difference_interval, is_signed=True)),
        ]
        for metric in comparison.metrics
    ]
    if not rows:
        return Note("Neither run evaluated its model.")
    paired = any(metric.difference_interval for metric in comparison.metrics)
    how = "of the difference excludes 0, paired by image" if paired else "of the two runs do not overlap"
    columns = ["metric", "first", "second", "difference"]
    return Table(
        columns,
        rows,
        f"With 95 % intervals. A difference is more than noise where the 95 % interval {how}.",
    )


def _evaluated_data(record: RunRecord) -> tuple[object, ...]:
    data = (record.dataset.name, record.dataset.version) if record.dataset else (None, None)
    split = record.settings.get("evaluation", {}).get("split")
    return (*data, record.settings.get("data", {}).get("splits", {}).get(split))


def _evaluated_digest(record: RunRecord) -> str | None:
    """Returns the digest of the evaluated split; None in the records of earlier versions."""
    split = record.settings.get("evaluation", {}).get("split")
    return record.dataset.digests.get(split) if record.dataset else None


_Pair = tuple[ImageScore, ImageScore]


def _pairs(first: list[ImageScore], second: list[ImageScore], *, by_id: bool) -> list[_Pair]:
    """Returns the images that both runs evaluated; never two different ones.

    Args:
      first: Scores of one run.
      second: Of the other.
      by_id: Whether both read the very same data, in which ids mean the same. Else, and where scores have no ids, an
        image is known by its file name, if no other of its run has the same.
    """
    by_id = by_id and all(score.example_id for score in (*first, *second))

    def unique(scores: list[ImageScore]) -> dict[str, ImageScore]:
        names = [score.example_id if by_id else score.file_name for score in scores]
        counts = Counter(names)
        named = zip(names, scores, strict=True)
        return {name: score for name, score in named if counts[name] == 1 and (by_id or not is_tfds_id(name))}

    ours, theirs = unique(first), unique(second)
    return [(score, theirs[key]) for key, score in sorted(ours.items()) if key in theirs]


def _image_differences(pairs: list[_Pair]) -> list[ImageDifference]:
    names = shown_names({first.example_id: first.file_name for first, _ in pairs})
    return [
        ImageDifference(
            name=names[first.example_id] if first.example_id else first.file_name,
            file_name=first.file_name,
            example_id=first.example_id,
            first=before,
            second=after,
        )
        for first, second in pairs
        if (before := first.mean_iou) is not None and (after := second.mean_iou) is not None
    ]


def _setting_differences(first: RunRecord, second: RunRecord) -> list[SettingDifference]:
    ours, theirs = flat_settings(first.settings), flat_settings(second.settings)
    found = (SettingDifference(key, ours.get(key, _UNSET), theirs.get(key, _UNSET)) for key in {**ours, **theirs})
    return [setting for setting in found if setting.first != setting.second and setting.key not in _NOT_COMPARED]


def _metric_differences(
    first: RunRecord, second: RunRecord, paired: Mapping[str, tuple[float, float]]
) -> list[MetricDifference]:
    partly = any(is_partly_labelled(record.metrics) for record in (first, second))
    names = dict.fromkeys([*first.metrics, *second.metrics])
    return [
        MetricDifference(
            name,
            ours := first.metrics.get(name),
            theirs := second.metrics.get(name),
            _interval(first, name),
            _interval(second, name),
            None if ours is None or theirs is None else theirs - ours,
            paired.get(name),
        )
        for name in names
        if not name.endswith(_BOUNDS_OF_INTERVALS) and (partly or name not in DATA_METRICS)
    ]


def _interval(record: RunRecord, name: str) -> tuple[float, float] | None:
    low, high = (record.metrics.get(name + end) for end in _BOUNDS_OF_INTERVALS)
    return None if low is None or high is None else (low, high)


def _paired_differences(pairs: list[_Pair]) -> dict[str, tuple[float, float]]:
    """Returns the 95 % interval of second minus first for each metric that is resampled."""
    fingerprints = [first.fingerprint for first, _ in pairs]
    first, second = (_resampled(list(of_run), fingerprints) for of_run in zip(*pairs, strict=True))
    found = difference_metrics(second[0], first[0], second[1], first[1])
    names = ("accuracy", "mean_iou")
    return {name: (found[f"{name}_difference_low"], found[f"{name}_difference_high"]) for name in names}


def _resampled(scores: list[ImageScore], fingerprints: list[int]) -> tuple[tuple[float, float], NDArray[np.float64]]:
    """Returns accuracy and mean IoU over the images, and those of each replicate of the bootstrap."""
    total = np.array([score.statistics for score in scores], np.int64).sum(axis=0)
    replicates = empty_replicates(len(total) // 2)
    for score, fingerprint in zip(scores, fingerprints, strict=True):
        replicates += np.outer(replicate_counts(fingerprint), np.array(score.statistics, np.int64))
    accuracy, mean_iou = pixel_accuracy_and_mean_iou(*np.split(total, 2))
    return (float(accuracy), float(mean_iou)), replicate_metrics(replicates)


def _interval_words(interval: tuple[float, float] | None, *, is_signed: bool = False) -> str:
    """Writes an interval; empty where there is none."""
    if interval is None:
        return ""
    write = signed if is_signed else metric_value
    return f"{write(interval[0])} to {write(interval[1])}"
