"""What two runs differ in: settings, metrics, and the single images that one does better than the other.

Accuracy and mean IoU are compared by a paired bootstrap over the images that both runs evaluated. Nothing here imports
TensorFlow.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from components.model_evaluator.sums import empty_replicates, replicate_counts, replicate_metrics
from components.tfds_example_gen.example_names import is_tfds_id, shown_names
from pipeline.report.facts import RunFacts, flat_settings, run_facts
from pipeline.report.image_scores import SCORES_FILE, ImageDifference, ImageScore, read_scores
from pipeline.runs.record import RunRecord
from trainer_module.segmentation_metrics import difference_metrics, pixel_accuracy_and_mean_iou

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
    """Those that both evaluated, the largest change first."""

    evaluated: tuple[int, int]
    """Images that each run evaluated, as far as their scores are known."""

    same_data: bool
    """Whether both evaluated the same split of the same version of a data set."""

    @property
    def unpaired(self) -> tuple[int, int]:
        """Images of each run that are not known to be among those of the other."""
        first, second = (count - len(self.images) for count in self.evaluated)
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
        evaluated=(len(scores[0]), len(scores[1])),
        same_data=same_data,
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
    ours, theirs = (_unique(scores, _id if by_id else _file_name) for scores in (first, second))
    return [(score, theirs[key]) for key, score in sorted(ours.items()) if key in theirs]


def _id(score: ImageScore) -> str:
    return score.example_id


def _file_name(score: ImageScore) -> str | None:
    return None if is_tfds_id(score.file_name) else score.file_name


def _unique(scores: list[ImageScore], key: Callable[[ImageScore], str | None]) -> dict[str, ImageScore]:
    counts = Counter(map(key, scores))
    return {name: score for score in scores if (name := key(score)) is not None and counts[name] == 1}


def _image_differences(pairs: list[_Pair]) -> list[ImageDifference]:
    names = shown_names({first.example_id: first.file_name for first, _ in pairs})
    return [
        ImageDifference(
            name=names[first.example_id] if first.example_id else first.file_name,
            file_name=first.file_name,
            example_id=first.example_id,
            first=first.mean_iou,
            second=second.mean_iou,
        )
        for first, second in pairs
    ]


def _setting_differences(first: RunRecord, second: RunRecord) -> list[SettingDifference]:
    ours, theirs = flat_settings(first.settings), flat_settings(second.settings)
    found = (SettingDifference(key, ours.get(key, _UNSET), theirs.get(key, _UNSET)) for key in {**ours, **theirs})
    return [setting for setting in found if setting.first != setting.second and setting.key not in _NOT_COMPARED]


def _metric_differences(
    first: RunRecord, second: RunRecord, paired: Mapping[str, tuple[float, float]]
) -> list[MetricDifference]:
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
        if not name.endswith(_BOUNDS_OF_INTERVALS)
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
