"""Reads TFDS splits on Beam and writes them as examples of the data contract."""

import json
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

from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.duplicates import shared_images
from components.tfds_example_gen.source import TfdsSource, check_shards, open_dataset, split_identities
from trainer_module.errors import DataError

DATASET_NAME_PROPERTY = "dataset_name"
DATASET_VERSION_PROPERTY = "dataset_version"
SPLIT_COUNTS_PROPERTY = "split_counts"
SPLIT_DIGESTS_PROPERTY = "split_digests"
DUPLICATES_PROPERTY = "duplicates"

_TRAINED_SPLIT = "train"
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
        """Writes the splits, and records data set, version, counts and digests on the artifact.

        Raises:
          ConfigError, DataError: As `open_dataset`, `ExampleConverter` and `check_shards` say; or the evaluated split
            has images of the training split, which is refused.
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
        artifact.set_string_custom_property(DATASET_NAME_PROPERTY, _name_with_config(builder))
        artifact.set_string_custom_property(DATASET_VERSION_PROPERTY, str(builder.version))
        artifact.set_string_custom_property(SPLIT_COUNTS_PROPERTY, json.dumps(counts))
        artifact.set_string_custom_property(SPLIT_DIGESTS_PROPERTY, json.dumps(split_identities(builder, splits)))
        artifact.set_int_custom_property(DUPLICATES_PROPERTY, check_duplicates(artifact, source))


def check_duplicates(artifact: types.Artifact, source: TfdsSource) -> int:
    """Returns how many images of the training split are in the evaluated split, too.

    Raises:
      DataError: There are some, and that is refused.
    """
    split = source.evaluation_split
    if split in ("", _TRAINED_SPLIT):
        return 0
    trained, evaluated = (artifact_utils.get_split_uri([artifact], name) for name in (_TRAINED_SPLIT, split))
    shared = shared_images(trained, evaluated)
    if not shared:
        return 0
    shown = ", ".join(map(repr, shared[:_SHOWN_DUPLICATES])) + (", …" if len(shared) > _SHOWN_DUPLICATES else "")
    message = (
        f"{len(shared)} images of the split {split!r} are in the split {_TRAINED_SPLIT!r} too, bytes for bytes: {shown}"
    )
    if source.duplicates == "error":
        raise DataError(
            f"{message}. A model must not be judged by what it was trained on: take them out of one split, or accept "
            'them with data.duplicates = "warn"'
        )
    logging.warning("%s", message)
    return len(shared)


def _name_with_config(builder: tfds.core.DatasetBuilder) -> str:
    return f"{builder.name}/{builder.builder_config.name}" if builder.builder_config else builder.name
