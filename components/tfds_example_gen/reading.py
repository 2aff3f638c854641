"""The splits of a data set as they are read, for whoever looks at them outside of Beam."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import tensorflow as tf
import tensorflow_datasets as tfds

from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.shards import split_identities
from components.tfds_example_gen.source import TfdsSource, open_dataset
from components.tfds_example_gen.window import DatesRead, read_dates


@dataclass(frozen=True)
class SplitReader:
    """A data set and which of its examples belong to each split, with the window that is wanted."""

    builder: tfds.core.DatasetBuilder
    source: TfdsSource
    splits: Mapping[str, str]
    """Split name to TFDS slice."""

    dates: DatesRead

    @classmethod
    def open(cls, source: TfdsSource, splits: Mapping[str, str]) -> Self:
        """Opens the data set, which is prepared where that is wanted.

        Raises:
          ConfigError, DataError: As `open_dataset` and `read_dates` say.
        """
        builder = open_dataset(source, splits)
        return cls(builder, source, splits, read_dates(builder, source, splits))

    @property
    def name(self) -> str:
        """Of the data set, with its configuration: `tiles/small`."""
        config = self.builder.builder_config
        return f"{self.builder.name}/{config.name}" if config else str(self.builder.name)

    @property
    def version(self) -> str:
        return str(self.builder.version)

    def counts(self) -> dict[str, int]:
        """Returns split to the number of its examples."""
        slices = self.builder.info.splits
        return self.dates.counts({split: slices[slice_].num_examples for split, slice_ in self.splits.items()})

    def digests(self) -> dict[str, str]:
        """Returns split to a digest of what is read; each file is read once."""
        return self.dates.digests(split_identities(self.builder, self.splits))

    def examples(self, split: str) -> Iterator[tf.train.Example]:
        """Yields the examples of a split as TfdsExampleGen writes them, in order."""
        convert, is_wanted = ExampleConverter(self.source, self.builder.info.features), self.dates.since(split)
        records = self.builder.as_dataset(split=self.splits[split], **encoded_reading(self.source))
        yield from (convert(record) for record in tfds.as_numpy(records) if is_wanted(record))
