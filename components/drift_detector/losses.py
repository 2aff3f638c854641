"""What data has lost of what the served model was trained on: classes, in words. Nothing here imports TensorFlow."""

from collections.abc import Collection

import numpy as np

from components.data_statistics import DataStatistics, SplitSummary


def lost_classes(model: str, reference: DataStatistics, current: DataStatistics, splits: Collection[str]) -> list[str]:
    """Returns the classes that a split had when a model was trained, and has no pixel of now, a clause each.

    Args:
      model: What to call the model.
      reference: What it was trained on.
      current: The data.
      splits: Where each class is to stay.
    """
    losses = [
        f"{_absence(name, split, current)}, and {model} had {before.class_pixels[class_id]:,} in "
        f"{before.images_with_class[class_id]:,} of {before.examples:,} images there"
        if name in current.class_names
        else f"data.class_names has no {name!r} any more, which {model} was trained on"
        for split in splits
        for before in ([reference.splits[split]] if split in reference.splits else [])
        for class_id, name in enumerate(reference.class_names)
        if before.class_pixels[class_id] and not _pixels(name, split, current)
    ]
    return list(dict.fromkeys(losses))


def one_class_splits(current: DataStatistics, splits: Collection[str]) -> list[str]:
    """Returns the splits whose masks are of one class alone, as those of a blank upload, a clause each."""
    return [
        f"all {summary.labelled_pixels:,} labelled pixels of the {summary.examples:,} images of {split!r} are "
        f"{current.class_names[int(np.argmax(summary.class_pixels))]!r}"
        for split in splits
        for summary in [_summary(split, current)]
        if np.count_nonzero(summary.class_pixels) == 1
    ]


def _absence(name: str, split: str, current: DataStatistics) -> str:
    return f"no pixel of {name!r} is in the {_summary(split, current).examples:,} images of {split!r}"


def _pixels(name: str, split: str, current: DataStatistics) -> int:
    """Returns how many pixels of a class a split has, also of one that the data does not know."""
    if name not in current.class_names:
        return 0
    return int(_summary(split, current).class_pixels[current.class_names.index(name)])


def _summary(split: str, statistics: DataStatistics) -> SplitSummary:
    return statistics.splits.get(split, SplitSummary(len(statistics.class_names)))
