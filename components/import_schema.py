"""The contract of ImportSchema.

Writes the schema, with the features that the configuration adds.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils

from trainer_module import features

SCHEMA_KEY = "schema"
EXAMPLES_KEY = "examples"
SCHEMA_TEXT_KEY = "schema_text"
SLICE_FEATURES_KEY = "slice_features"
CODE_DIGEST_KEY = "code_digest"
SCHEMA_FILE_NAME = "schema.pbtxt"

_TYPES: Final = {
    "bytes_list": schema_pb2.FeatureType.BYTES,
    "int64_list": schema_pb2.FeatureType.INT,
    "float_list": schema_pb2.FeatureType.FLOAT,
}


class Executor(base_executor.BaseExecutor):
    """ImportSchema's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `schema.pbtxt`, formatted as the other components write it."""
        schema = text_format.Parse(exec_properties[SCHEMA_TEXT_KEY], schema_pb2.Schema())
        if input_dict.get(EXAMPLES_KEY):
            names = (features.EXAMPLE_ID, *json.loads(exec_properties[SLICE_FEATURES_KEY]))
            declare(schema, names, _first_example(artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])))
        directory = artifact_utils.get_single_uri(output_dict[SCHEMA_KEY])
        io_utils.write_pbtxt_file(f"{directory}/{SCHEMA_FILE_NAME}", schema)


def declare(schema: schema_pb2.Schema, names: Iterable[str], example: tf.train.Example) -> None:
    """Adds features that a schema says nothing of, of the type that they have in an example, one value in each."""
    known = {feature.name for feature in schema.feature}
    for name in dict.fromkeys(names):
        if name in known or name not in example.features.feature:
            continue
        added = schema.feature.add(name=name, type=_TYPES[example.features.feature[name].WhichOneof("kind")])
        added.presence.min_fraction, added.presence.min_count = 1.0, 1
        added.shape.dim.add(size=1)


def _first_example(examples: types.Artifact) -> tf.train.Example:
    split = artifact_utils.decode_split_names(examples.split_names)[0]
    files = sorted(tf.io.gfile.glob(f"{artifact_utils.get_split_uri([examples], split)}/*"))
    [record] = tf.data.TFRecordDataset(files, compression_type="GZIP").take(1).as_numpy_iterator()
    return tf.train.Example.FromString(record)


class ImportSchemaSpec(component_spec.ComponentSpec):
    """ImportSchema's inputs, outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        SCHEMA_TEXT_KEY: component_spec.ExecutionParameter(type=str),
        SLICE_FEATURES_KEY: component_spec.ExecutionParameter(type=str),
        CODE_DIGEST_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS: ClassVar[dict[str, Any]] = {SCHEMA_KEY: component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class ImportSchema(base_component.BaseComponent):
    """Writes the schema that it is given, with the features that the configuration adds to every example.

    TFX's ImportSchemaGen takes a path: a pod has not the files of the machine that compiled the pipeline, and the cache
    would not notice an edited file.

    The id of each example and the slice features belong to the schema. Those that it does not declare itself are added,
    of the type that they have in the examples; whatever else the examples have is an anomaly for ExampleValidator.

    Outputs:
      schema: `Schema` with `schema.pbtxt`.
    """

    SPEC_CLASS = ImportSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        schema_text: str,
        examples: types.BaseChannel,
        slice_features: Sequence[str] = (),
        code_digest: str = "",
    ) -> None:
        """Constructs the component.

        Args:
          schema_text: A `tensorflow_metadata` Schema in protobuf's text format.
          examples: The raw examples.
          slice_features: The scalar features that they have beside those of `trainer_module.features`.
          code_digest: Identifies the component's code, so that a change to it re-runs the component.
        """
        parameters = {
            SCHEMA_TEXT_KEY: schema_text,
            SLICE_FEATURES_KEY: json.dumps(list(slice_features)),
            CODE_DIGEST_KEY: code_digest,
        }
        schema = types.Channel(type=standard_artifacts.Schema)
        super().__init__(spec=ImportSchemaSpec(**parameters, **{EXAMPLES_KEY: examples, SCHEMA_KEY: schema}))
