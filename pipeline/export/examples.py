"""The examples that forms are measured and calibrated on."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from components.tfds_example_gen.source import TfdsSource, open_dataset
from pipeline.dataset_evaluation import raw_examples
from pipeline.export.original import Original, Prepared
from pipeline.export.request import ExportData

_BATCH_SIZE = 32


@dataclass(frozen=True)
class Examples:
    """A data set, opened, whose masks mean what the model's card says."""

    builder: tfds.core.DatasetBuilder
    source: TfdsSource
    data: ExportData
    original: Original

    @classmethod
    def open(cls, data: ExportData, original: Original) -> "Examples":
        """Opens the data set.

        Raises:
          ConfigError: It does not exist, or has no such split or feature.
          DataError: It is not prepared, or a split is empty.
        """
        settings = data.config.data
        source = TfdsSource(
            dataset=data.dataset,
            data_dir=data.data_dir,
            download=False,
            builder_modules=settings.builder_modules,
            image_feature=settings.image_feature,
            mask_feature=settings.mask_feature,
            slice_features=(),
            mask_values=tuple(original.card["mask_values"]),
        )
        builder = open_dataset(source, {"measured": data.split, "calibration": data.calibration_split})
        return cls(builder, source, data, original)

    def measured(self, on_progress: Callable[[int, int], None]) -> Iterator[Prepared]:
        """Yields the split to measure on, prepared, in batches; tells how many are done, of how many."""
        total, done = self.builder.info.splits[self.data.split].num_examples, 0
        examples = raw_examples(self.builder, self.source, self.data.split)
        for batch in iter(lambda: list(itertools.islice(examples, _BATCH_SIZE)), []):
            yield self.original.prepare([example.SerializeToString() for example in batch])
            done += len(batch)
            on_progress(done, total)

    def calibration(self, count: int, seed: int) -> NDArray[np.float32]:
        """Returns prepared images that a generator with this seed draws: so many, or all where there are fewer."""
        split = self.data.calibration_split
        total = self.builder.info.splits[split].num_examples
        drawn = np.random.default_rng(seed).choice(total, size=min(count, total), replace=False)
        chosen = raw_examples(self.builder, self.source, split, set(drawn.tolist()))
        return self.original.prepare([example.SerializeToString() for example in chosen]).images

    def describe(self, split: str) -> dict[str, Any]:
        """Returns name and version of the data set, and the slice."""
        return {"name": self.builder.name, "version": str(self.builder.version), "split": split}
