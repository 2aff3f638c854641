"""The splits of a data set as they are read, for whoever looks at them outside of Beam."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import tensorflow as tf
import tensorflow_datasets as tfds

from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.parting import PartedExamples, Parting, parted_examples
from components.tfds_example_gen.reference import ReferenceSet
from components.tfds_example_gen.shards import check_shards, first_line, split_identities
from components.tfds_example_gen.source import TfdsSource, open_dataset
from components.tfds_example_gen.window import DatesRead, in_window, read_dates
from trainer_module.errors import DataError
from trainer_module.features import REFERENCE_SPLIT


@dataclass(frozen=True)
class SplitReader:
    """A data set and which of its examples belong to each split, with the window that is wanted."""

    builder: tfds.core.DatasetBuilder
    source: TfdsSource
    splits: Mapping[str, str]
    """Split name to TFDS slice, without the reference set's."""

    dates: DatesRead
    parted: PartedExamples | None = None
    """What a hash made of the slice; None where each split is a slice of its own."""

    reference: ReferenceSet | None = None
    """None where there is none."""

    @classmethod
    def open(cls, source: TfdsSource, splits: Mapping[str, str]) -> Self:
        """Opens the data set, which is prepared where that is wanted.

        Raises:
          ConfigError, DataError: As `open_dataset`, `of` and `check_shards` say; or the data set cannot be read.
        """
        builder = open_dataset(source, splits)
        try:
            return cls.of(builder, source, splits)
        except tf.errors.OpError as error:
            check_shards(builder, splits.values())
            raise DataError(
                f"{builder.info.full_name} cannot be read: {first_line(error)}. Copy it again, or remove its directory "
                "and let it be prepared again."
            ) from error

    @classmethod
    def of(cls, builder: tfds.core.DatasetBuilder, source: TfdsSource, splits: Mapping[str, str]) -> Self:
        """Looks which examples of a data set that is open belong to each split, and opens the reference set.

        Raises:
          ConfigError, DataError: As `parted_examples`, `read_dates` and `ReferenceSet.open` say.
        """
        reference = ReferenceSet.open(source, builder)
        if source.hash_split is None:
            return cls(builder, source, splits, read_dates(builder, source, splits), reference=reference)
        parted = parted_examples(builder, source, source.hash_split)
        dates = in_window(parted.days, source) if parted.days else DatesRead({}, {})
        return cls(builder, source, splits, dates, parted, reference)

    @property
    def name(self) -> str:
        """Of the data set, with its configuration: `tiles/small`."""
        config = self.builder.builder_config
        return f"{self.builder.name}/{config.name}" if config else str(self.builder.name)

    @property
    def version(self) -> str:
        return str(self.builder.version)

    @cached_property
    def parting(self) -> Parting | None:
        """Tells of a record which split it is in; None where each split is a slice of its own."""
        split = self.source.hash_split
        return None if split is None else Parting(split, self.source.image_feature, self.builder.info.features)

    @property
    def converter(self) -> ExampleConverter:
        """What makes examples of records."""
        return ExampleConverter(self.source, self.builder.info.features)

    def counts(self) -> dict[str, int]:
        """Returns split to the number of its examples."""
        slices = self.builder.info.splits
        whole = (
            {split: slices[slice_].num_examples for split, slice_ in self.splits.items()}
            if self.parted is None
            else {split: len(contents) for split, contents in self.parted.contents.items()}
        )
        return {**self.dates.counts(whole), **({REFERENCE_SPLIT: self.reference.count} if self.reference else {})}

    def digests(self) -> dict[str, str]:
        """Returns split to a digest of what is read.

        Of a split that is a slice, it is of the files; each is read once. Of one that a hash made, and of the reference
        set, it is of the examples themselves, whatever files and order they are in.
        """
        own = (
            self.dates.digests(split_identities(self.builder, self.splits))
            if self.parted is None
            else self.parted.digests(self.dates.first_days)
        )
        return {**own, **({REFERENCE_SPLIT: self.reference.digest()} if self.reference else {})}

    def examples(self, split: str) -> Iterator[tf.train.Example]:
        """Yields the examples of a split as TfdsExampleGen writes them, in order."""
        if split == REFERENCE_SPLIT and self.reference is not None:
            reference = self.reference
            records = reference.builder.as_dataset(split=reference.slice, **encoded_reading(reference.source))
            yield from map(reference.converter, tfds.as_numpy(records))
            return
        part, is_wanted, convert = self.parting, self.dates.since(split), self.converter
        records = self.builder.as_dataset(split=self.splits[split], **encoded_reading(self.source))
        for record in tfds.as_numpy(records):
            if (part is None or part(record) == split) and is_wanted(record):
                yield convert(record)
