"""Statistics of made-up data, without images."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from components.data_statistics import DataStatistics
from components.drift_detector.comparison import Sample, compare
from components.drift_detector.report import Comparison
from trainer_module.drift_config import DriftThresholds

CLASS_NAMES = ("pet", "background", "border")


def made_statistics(
    examples: int = 200,
    *,
    brightness: float = 0.5,
    dogs: float = 0.5,
    class_names: Sequence[str] = CLASS_NAMES,
    shares: Sequence[float] = (0.3, 0.6, 0.1),
    seed: int = 0,
    split: str = "train",
) -> DataStatistics:
    """Returns the statistics of a split whose images vary as photos do.

    Args:
      examples: Their number.
      brightness: Mean of it.
      dogs: Share of the label `Dog` of `species`; the others are `Cat`.
      class_names: The classes.
      shares: Of each class in the pixels of each image.
      seed: Of the variation.
      split: Name of the split.
    """
    random = np.random.default_rng(seed)
    statistics = DataStatistics(tuple(class_names))
    for index in range(examples):
        measured = SimpleNamespace(
            height=100,
            width=int(random.integers(80, 160)),
            class_pixels=tuple(int(1000 * share) for share in shares),
            ignored_pixels=0,
            brightness=float(np.clip(random.normal(brightness, 0.1), 0, 1)),
            contrast=float(np.clip(random.normal(0.2, 0.05), 0, 0.5)),
            sharpness=float(10 ** random.normal(-2, 0.3)),
        )
        statistics.add(split, measured, {"species": "Dog" if index < dogs * examples else "Cat"})
    return statistics


def compared(reference: DataStatistics, current: DataStatistics, **thresholds: float) -> Comparison:
    """Compares the splits `train`, by the default thresholds but for those that are given."""
    all_thresholds = DriftThresholds(**thresholds).model_dump()
    return compare(Sample.of(reference, "train"), Sample.of(current, "train"), all_thresholds)
