"""A rolling window over a data set that grows: the days that its examples are of, and which of them are read.

The window is counted back from the newest example that any of the splits has, and not from today, so that the same data
give the same examples, and TFX's cache holds.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from components.days import day_text
from components.tfds_example_gen.source import TfdsSource, has_dates
from trainer_module.errors import DataError
from trainer_module.features import DATE

_DAYS: Final = {"d": 1, "w": 7}


@dataclass(frozen=True)
class Since:
    """Tells records of a day or later; all, where there is no such day."""

    first_day: int | None

    def __call__(self, record: Mapping[str, Any]) -> bool:
        return self.first_day is None or int(record[DATE]) >= self.first_day


@dataclass(frozen=True)
class DatesRead:
    """What days the examples of each split are of that are read."""

    dates: Mapping[str, NDArray[np.int64]]
    """Split name to the days of its examples in the window, since 1970-01-01; empty of data without dates."""

    first_days: Mapping[str, int]
    """Split name to the day that the window begins with; only of splits that it is for."""

    def since(self, split: str) -> "Since":
        """Returns what says of a record of a split whether it is read."""
        return Since(self.first_days.get(split))

    def counts(self, all_counts: Mapping[str, int]) -> dict[str, int]:
        """Returns split to the number of examples that are read, where `all_counts` are there."""
        return {split: len(self.dates[split]) if split in self.first_days else n for split, n in all_counts.items()}

    def ranges(self) -> dict[str, tuple[int, int]]:
        """Returns split to the first and the last day of its examples."""
        return {split: (int(days.min()), int(days.max())) for split, days in self.dates.items()}

    def digests(self, whole: Mapping[str, str]) -> dict[str, str]:
        """Returns split to a digest of what is read, of those of the whole splits."""
        return {
            split: hashlib.sha256(f"{digest} from {self.first_days[split]}".encode()).hexdigest()
            if split in self.first_days
            else digest
            for split, digest in whole.items()
        }


def read_dates(builder: tfds.core.DatasetBuilder, source: TfdsSource, splits: Mapping[str, str]) -> DatesRead:
    """Reads the days of all examples, and nothing else of them.

    Args:
      builder: The data set.
      source: Whose window is wanted.
      splits: Split name to TFDS slice.

    Raises:
      DataError: A split has no example in the window.
    """
    if not has_dates(builder):
        return DatesRead({}, {})
    return in_window({split: _days(builder, slice_string) for split, slice_string in splits.items()}, source)


def in_window(dates: Mapping[str, NDArray[np.int64]], source: TfdsSource) -> DatesRead:
    """Returns what is read of the examples of each split.

    Args:
      dates: Split name to the days of all its examples.
      source: Whose window is wanted.

    Raises:
      DataError: A split has no example in the window.
    """
    if source.window is None:
        return DatesRead(dates, {})
    newest = max(int(days.max()) for days in dates.values())
    first = newest - int(source.window[:-1]) * _DAYS[source.window[-1]] + 1
    first_days = {split: first for split in dates if split in source.window_splits}
    within = {split: days[days >= first_days[split]] if split in first_days else days for split, days in dates.items()}
    for split, days in within.items():
        if not len(days):
            raise DataError(
                f"data.window = {source.window!r}: of the {len(dates[split])} examples of the split {split!r} none is "
                f"of the days {day_text(first)} to {day_text(newest)}; its newest is of "
                f"{day_text(int(dates[split].max()))}. Choose a longer window, or take the split out of "
                "data.window_splits."
            )
    return DatesRead(within, first_days)


def _days(builder: tfds.core.DatasetBuilder, slice_string: str) -> NDArray[np.int64]:
    examples = builder.as_dataset(
        split=slice_string, decoders=tfds.decode.PartialDecoding({DATE: True}), shuffle_files=False
    )
    return np.fromiter((record[DATE] for record in tfds.as_numpy(examples)), np.int64)
