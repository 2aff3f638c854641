"""Reads TFDS splits on Beam and writes them as examples of the data contract."""

import json
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_datasets as tfds
from tfx import types
from tfx.components.example_gen import base_example_gen_executor
from tfx.types import artifact_utils, standard_component_specs

from components.artifact_properties import DATASET_NAME, DATASET_VERSION, DATE_RANGES, SPLIT_COUNTS, SPLIT_DIGESTS
from components.example_counts import check_count, count_records
from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.messages import source_and_splits
from components.tfds_example_gen.reading import SplitReader
from components.tfds_example_gen.shards import check_shards
from components.tfds_example_gen.source import open_dataset
from components.tfds_example_gen.window import read_dates
from trainer_module.errors import DataError


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """TfdsExampleGen's executor. It opens the data set once, and reads every split from what it opened."""

    _read: SplitReader

    def GetInputSourceToExamplePTransform(self) -> Callable[..., beam.PTransform]:  # noqa: N802 (TFX's name)
        """Returns the function from execution properties and a split's TFDS slice to what reads it."""
        read, source = self._read, self._read.source
        convert = ExampleConverter(source, read.builder.info.features)
        dates, split_of = read.dates, {pattern: split for split, pattern in read.splits.items()}
        return lambda _, pattern: (
            tfds.beam.ReadFromTFDS(read.builder, pattern, **encoded_reading(source))
            | "AsNumpy" >> beam.Map(tfds.as_numpy)
            | "InWindow" >> beam.Filter(dates.since(split_of[pattern]))
            | "ToExample" >> beam.Map(convert).with_output_types(tf.train.Example)
        )

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the splits, and records on the artifact what they are of and what they hold.

        Raises:
          ConfigError, DataError: As `open_dataset` and `check_shards` say; or a split was not written as a whole.
        """
        source, splits = source_and_splits(exec_properties)
        builder = open_dataset(source, splits)
        try:
            self._read = SplitReader(builder, source, splits, read_dates(builder, source, splits))
            super().Do(input_dict, output_dict, exec_properties)
        except Exception:
            check_shards(builder, splits.values())
            raise

        artifact = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        directories = {split: artifact_utils.get_split_uri([artifact], split) for split in splits}
        for split, directory in directories.items():
            if not tf.io.gfile.glob(f"{directory}/*"):
                raise DataError(f"split {split!r} of {builder.info.full_name}: no file was written to {directory}.")
        counts = self._read.counts()
        for split, directory in directories.items():
            check_count(f"records written of the split {split!r}", count_records(directory), counts[split])
        facts = {
            DATASET_NAME: self._read.name,
            DATASET_VERSION: self._read.version,
            SPLIT_COUNTS: counts,
            SPLIT_DIGESTS: self._read.digests(),
            DATE_RANGES: self._read.dates.ranges(),
        }
        for name, fact in facts.items():
            artifact.set_string_custom_property(name, fact if isinstance(fact, str) else json.dumps(fact))
