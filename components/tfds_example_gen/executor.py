"""Reads TFDS splits on Beam and writes them as examples of the data contract."""

import json
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from google.protobuf import wrappers_pb2
from tfx import types
from tfx.components.example_gen import base_example_gen_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from components.artifact_properties import (
    CLASS_PIXELS,
    DATASET_NAME,
    DATASET_VERSION,
    SHARED_IMAGES,
    SPLIT_COUNTS,
    SPLIT_DIGESTS,
)
from components.tfds_example_gen.contents import SplitContents, read_contents
from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.source import TfdsSource, check_shards, open_dataset, split_identities
from components.tfds_example_gen.splits import separate_splits
from trainer_module.errors import DataError

_SHOWN_DUPLICATES = 5


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
    return TfdsSource.from_json(source.value)


def source_and_splits(exec_properties: dict[str, Any]) -> tuple[TfdsSource, dict[str, str]]:
    """Returns what the component was given: the data set, and split name to TFDS slice."""
    input_config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], input_config)
    source = source_from_message(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
    return source, {split.name: split.pattern for split in input_config.splits}


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(tf.train.Example)
def _TfdsToExample(  # noqa: N802 (a PTransform)
    pipeline: beam.Pipeline, exec_properties: dict[str, Any], split_pattern: str
) -> beam.pvalue.PCollection:
    source, splits = source_and_splits(exec_properties)
    builder = open_dataset(source, splits)
    return (
        pipeline
        | "ReadFromTFDS" >> tfds.beam.ReadFromTFDS(builder, split_pattern, **encoded_reading(source))
        | "AsNumpy" >> beam.Map(tfds.as_numpy)
        | "ToExample" >> beam.Map(ExampleConverter(source, builder.info.features))
    )


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """TfdsExampleGen's executor."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802 (TFX's name)
        return _TfdsToExample

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the splits, and records on the artifact what they are of and what they hold.

        Raises:
          ConfigError, DataError: As `open_dataset`, `ExampleConverter` and `check_shards` say; or splits share images
            that must not, which is refused.
        """
        source, splits = source_and_splits(exec_properties)
        builder = open_dataset(source, splits)
        try:
            super().Do(input_dict, output_dict, exec_properties)
        except Exception:
            check_shards(builder, splits.values())
            raise

        artifact = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        for split in splits:
            uri = artifact_utils.get_split_uri([artifact], split)
            if not tf.io.gfile.glob(f"{uri}/*"):
                raise DataError(f"split {split!r} of {builder.info.full_name}: no file was written to {uri}.")
        counts = {split: builder.info.splits[pattern].num_examples for split, pattern in splits.items()}
        artifact.set_string_custom_property(DATASET_NAME, _name_with_config(builder))
        artifact.set_string_custom_property(DATASET_VERSION, str(builder.version))
        artifact.set_string_custom_property(SPLIT_COUNTS, json.dumps(counts))
        artifact.set_string_custom_property(SPLIT_DIGESTS, json.dumps(split_identities(builder, splits)))
        contents = {
            split: read_contents(artifact_utils.get_split_uri([artifact], split), source.mask_values)
            for split in splits
        }
        pixels = {split: found.class_pixels for split, found in contents.items()}
        artifact.set_string_custom_property(CLASS_PIXELS, json.dumps(pixels))
        artifact.set_string_custom_property(SHARED_IMAGES, json.dumps(check_shared_images(contents, source)))


def check_shared_images(contents: Mapping[str, SplitContents], source: TfdsSource) -> list[tuple[str, str, int]]:
    """Returns which splits share images that must not: two splits, and how many images of the second are in the first.

    Args:
      contents: Split name to what was written.
      source: What was read.

    Raises:
      DataError: There are some, and that is refused.
    """
    found = []
    for first, second, reason, _ in separate_splits(source.evaluation_split):
        if first not in contents or second not in contents:
            continue
        names = contents[second].shared_with(contents[first])
        if not names:
            continue
        shown = ", ".join(map(repr, names[:_SHOWN_DUPLICATES])) + (", …" if len(names) > _SHOWN_DUPLICATES else "")
        message = (
            f"{len(names)} images of the split {second!r} are in the split {first!r} too, bytes for bytes: {shown}; "
            f"{reason}"
        )
        if source.duplicates == "error":
            raise DataError(f'{message}. Take them out of one split, or accept them with data.duplicates = "warn"')
        logging.warning("%s", message)
        found.append((first, second, len(names)))
    return found


def _name_with_config(builder: tfds.core.DatasetBuilder) -> str:
    return f"{builder.name}/{builder.builder_config.name}" if builder.builder_config else builder.name
