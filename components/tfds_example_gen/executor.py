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

from components.artifact_properties import (
    DATASET_NAME,
    DATASET_VERSION,
    DATE_RANGES,
    REFERENCE_DATASET,
    SPLIT_COUNTS,
    SPLIT_DIGESTS,
)
from components.example_counts import check_count, count_records
from components.tfds_example_gen.conversion import encoded_reading
from components.tfds_example_gen.messages import source_and_splits
from components.tfds_example_gen.reading import SplitReader
from components.tfds_example_gen.shards import check_shards
from components.tfds_example_gen.source import TfdsSource, open_dataset
from trainer_module.errors import DataError
from trainer_module.features import REFERENCE_SPLIT


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """TfdsExampleGen's executor. It opens the data set once, and reads every split from what it opened."""

    _read: SplitReader

    _examples: types.Artifact

    def GetInputSourceToExamplePTransform(self) -> Callable[..., beam.PTransform]:  # noqa: N802 (TFX's name)
        """Returns the function from execution properties and a split's TFDS slice to what reads it."""
        read = self._read
        split_of = {pattern: split for split, pattern in read.splits.items()}
        return lambda _, pattern: (
            _records(read.builder, read.source, pattern)
            | "InWindow" >> beam.Filter(read.dates.since(split_of[pattern]))
            | "ToExample" >> beam.Map(read.converter).with_output_types(tf.train.Example)
        )

    def GenerateExamplesByBeam(  # noqa: N802 (TFX's name)
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """Returns the examples of each split: those of slices as TFX reads them, parted by a hash, and the reference's.

        TFX parts examples; here records are parted, since the window and the hash may go by what examples have not.
        """
        read, part = self._read, self._read.parting
        if part is None:
            splits = super().GenerateExamplesByBeam(pipeline, exec_properties)
        else:
            records = pipeline | _records(read.builder, read.source, part.slice)
            parts = records | beam.Partition(lambda record, _: part.names.index(part(record)), len(part.names))
            splits = {
                name: of_split
                | f"InWindow[{name}]" >> beam.Filter(read.dates.since(name))
                | f"ToExample[{name}]" >> beam.Map(read.converter).with_output_types(tf.train.Example)
                for name, of_split in zip(part.names, parts, strict=True)
            }
        if read.reference is None:
            return splits
        reference = read.reference
        self._examples.split_names = artifact_utils.encode_split_names([*splits, REFERENCE_SPLIT])
        splits[REFERENCE_SPLIT] = (
            pipeline
            | "Reference" >> _records(reference.builder, reference.source, reference.slice)
            | "ToExample[Reference]" >> beam.Map(reference.converter).with_output_types(tf.train.Example)
        )
        return splits

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the splits, and records on the artifact what they are of and what they hold.

        Raises:
          ConfigError, DataError: As `open_dataset`, `SplitReader.of` and `check_shards` say; or a split was not written
            as a whole.
        """
        source, splits = source_and_splits(exec_properties)
        builder = open_dataset(source, splits)
        artifact = self._examples = artifact_utils.get_single_instance(
            output_dict[standard_component_specs.EXAMPLES_KEY]
        )
        try:
            self._read = SplitReader.of(builder, source, splits)
            super().Do(input_dict, output_dict, exec_properties)
        except Exception:
            check_shards(builder, splits.values())
            raise

        counts, reference = self._read.counts(), self._read.reference
        directories = {split: artifact_utils.get_split_uri([artifact], split) for split in counts}
        for split, directory in directories.items():
            if not tf.io.gfile.glob(f"{directory}/*"):
                raise DataError(f"split {split!r} of {builder.info.full_name}: no file was written to {directory}.")
            check_count(f"records written of the split {split!r}", count_records(directory), counts[split])
        facts = {
            DATASET_NAME: self._read.name,
            DATASET_VERSION: self._read.version,
            SPLIT_COUNTS: counts,
            SPLIT_DIGESTS: self._read.digests(),
            DATE_RANGES: self._read.dates.ranges(),
            **({REFERENCE_DATASET: reference.name} if reference else {}),
        }
        for name, fact in facts.items():
            artifact.set_string_custom_property(name, fact if isinstance(fact, str) else json.dumps(fact))


def _records(builder: tfds.core.DatasetBuilder, source: TfdsSource, slice_string: str) -> beam.PTransform:
    """Returns what reads the records of a TFDS slice, with NumPy values."""
    return tfds.beam.ReadFromTFDS(builder, slice_string, **encoded_reading(source)) | "AsNumpy" >> beam.Map(
        tfds.as_numpy
    )
