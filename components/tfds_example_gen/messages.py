"""The data set and its splits, as TFX carries them through the properties of an execution."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import wrappers_pb2
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from components.tfds_example_gen.source import TfdsSource

_PARTED: Final = "parted"
"""What the one input of ExampleGen is called whose examples a hash parts."""


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


def split_configs(
    source: TfdsSource, splits: Mapping[str, str]
) -> tuple[example_gen_pb2.Input, example_gen_pb2.Output | None]:
    """Returns what TFX's ExampleGen is told of splits: what it reads, and how it parts that by a hash, if it does.

    Args:
      source: The data set.
      splits: Split name to TFDS slice.
    """
    parted = source.hash_split
    if parted is None:
        inputs = [example_gen_pb2.Input.Split(name=name, pattern=pattern) for name, pattern in splits.items()]
        return example_gen_pb2.Input(splits=inputs), None
    outputs = [
        example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=count) for name, count in parted.buckets.items()
    ]
    output = example_gen_pb2.SplitConfig(splits=outputs, partition_feature_name=parted.by)
    return (
        example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name=_PARTED, pattern=parted.of)]),
        example_gen_pb2.Output(split_config=output),
    )


def source_and_splits(exec_properties: dict[str, Any]) -> tuple[TfdsSource, dict[str, str]]:
    """Returns what the component was given: the data set, and split name to TFDS slice."""
    input_config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], input_config)
    source = source_from_message(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
    if source.hash_split is not None:
        return source, dict.fromkeys(source.hash_split.shares, source.hash_split.of)
    return source, {split.name: split.pattern for split in input_config.splits}
