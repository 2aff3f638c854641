"""ImportSchema: writes the schema that it is given, with the features that the configuration adds to every example.

TFX's ImportSchemaGen takes a path: a pod has not the files of the machine that compiled the pipeline, and the cache
would not notice an edited file.
"""

import json
from collections.abc import Iterable
from typing import Final

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples, Schema
from tfx.utils import io_utils

from trainer_module import features

SCHEMA_FILE_NAME: Final = "schema.pbtxt"

_TYPES: Final = {
    "bytes_list": schema_pb2.FeatureType.BYTES,
    "int64_list": schema_pb2.FeatureType.INT,
    "float_list": schema_pb2.FeatureType.FLOAT,
}


@component
def ImportSchema(  # noqa: N802 (the component's name)
    schema: OutputArtifact[Schema],
    schema_text: Parameter[str],
    examples: InputArtifact[Examples] = None,
    slice_features: Parameter[str] = "[]",
    code_digest: Parameter[str] = "",  # noqa: ARG001 (for the cache)
) -> None:
    """Writes the schema as `schema.pbtxt`, formatted as the other components write it.

    The id of each example and the slice features belong to the schema. Those that it does not declare itself are added,
    of the type that they have in the examples; whatever else the examples have is an anomaly for ExampleValidator.

    Args:
      schema: `Schema` with `schema.pbtxt`.
      schema_text: A `tensorflow_metadata` Schema in protobuf's text format.
      examples: The raw examples; without them nothing is added.
      slice_features: JSON: the scalar features that they have beside those of `trainer_module.features`.
      code_digest: Identifies the component's code, so that a change to it re-runs the component.
    """
    message = text_format.Parse(schema_text, schema_pb2.Schema())
    if examples:
        declare(message, (features.EXAMPLE_ID, *json.loads(slice_features)), _first_example(examples))
    io_utils.write_pbtxt_file(f"{schema.uri}/{SCHEMA_FILE_NAME}", message)


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
