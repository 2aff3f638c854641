"""Reads TFDS splits on Beam and writes them as examples of the data contract."""

import json
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf import wrappers_pb2
from tfx import types
from tfx.components.example_gen import base_example_gen_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from components.artifact_properties import DATASET_NAME, DATASET_VERSION, DATE_RANGES, SPLIT_COUNTS, SPLIT_DIGESTS
from components.example_counts import check_count, count_records
from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.shards import check_shards, split_identities
from components.tfds_example_gen.source import TfdsSource, open_dataset
from components.tfds_example_gen.window import DatesRead, read_dates
from trainer_module.errors import DataError


def source_message(source: TfdsSource) -> example_gen_pb2.CustomConfig:
    """Packs the data set as TFX carries it."""
    custom_config = example_gen_pb2.CustomConfig()
    custom_config.custom_config.Pack(wrappers_pb2.StringValue(value=source.model_dump_json()))
    return custom_config


def source_from_message(custom_config: str) -> TfdsSource:
    """Unpacks what `source_message` packed, from the JSON text that TFX makes of the message."""
    message, source = example_gen_pb2.CustomConfig(), wrappers_pb2.StringValue()
    proto_utils.json_to_proto(custom_config, message)
    message.custom_config.Unpack(source)
    return TfdsSource.model_validate_json(source.value)


def source_and_splits(exec_properties: dict[str, Any]) -> tuple[TfdsSource, dict[str, str]]:
    """Returns what the component was given: the data set, and split name to TFDS slice."""
    input_config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], input_config)
    source = source_from_message(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
    return source, {split.name: split.pattern for split in input_config.splits}


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """TfdsExampleGen's executor. It opens the data set once, and reads every split from what it opened."""

    _source: TfdsSource
    _builder: tfds.core.DatasetBuilder
    _splits: dict[str, str]
    _dates: DatesRead

    def GetInputSourceToExamplePTransform(self) -> Callable[..., beam.PTransform]:  # noqa: N802 (TFX's name)
        """Returns the function from execution properties and a split's TFDS slice to what reads it."""
        builder, source = self._builder, self._source
        convert = ExampleConverter(source, builder.info.features)
        dates, split_of = self._dates, {pattern: split for split, pattern in self._splits.items()}
        return lambda _, pattern: (
            tfds.beam.ReadFromTFDS(builder, pattern, **encoded_reading(source))
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
        self._source, splits = source_and_splits(exec_properties)
        builder = self._builder = open_dataset(self._source, splits)
        self._splits = splits
        try:
            self._dates = read_dates(builder, self._source, splits)
            super().Do(input_dict, output_dict, exec_properties)
        except Exception:
            check_shards(builder, splits.values())
            raise

        artifact = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        directories = {split: artifact_utils.get_split_uri([artifact], split) for split in splits}
        for split, directory in directories.items():
            if not tf.io.gfile.glob(f"{directory}/*"):
                raise DataError(f"split {split!r} of {builder.info.full_name}: no file was written to {directory}.")
        counts = self._dates.counts({name: builder.info.splits[slice_].num_examples for name, slice_ in splits.items()})
        for split, directory in directories.items():
            check_count(f"records written of the split {split!r}", count_records(directory), counts[split])
        config = builder.builder_config
        facts = {
            DATASET_NAME: f"{builder.name}/{config.name}" if config else builder.name,
            DATASET_VERSION: str(builder.version),
            SPLIT_COUNTS: counts,
            SPLIT_DIGESTS: self._dates.digests(split_identities(builder, splits)),
            DATE_RANGES: self._dates.ranges(),
        }
        for name, fact in facts.items():
            artifact.set_string_custom_property(name, fact if isinstance(fact, str) else json.dumps(fact))
