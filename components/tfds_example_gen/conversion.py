"""From one TFDS record, with its images still encoded, to a `tf.train.Example` with the names of the data contract.

Image and mask stay as they came, and are not looked at: that is SegmentationValidator's.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from components.tfds_example_gen.source import TfdsSource
from trainer_module import features

_TFDS_ID: Final = "tfds_id"


def encoded_reading(source: TfdsSource) -> dict[str, Any]:
    """Returns the arguments of `as_dataset` that leave images encoded, identify each record, and read in order."""
    return {
        "decoders": {
            source.image_feature: tfds.decode.SkipDecoding(),
            source.mask_feature: tfds.decode.SkipDecoding(),
        },
        "read_config": tfds.ReadConfig(add_tfds_id=True, interleave_cycle_length=1),
        "shuffle_files": False,
    }


class ExampleConverter:
    """Converts the records of one data set."""

    def __init__(
        self,
        source: TfdsSource,
        feature_connectors: Mapping[str, tfds.features.FeatureConnector],
        id_prefix: str = "",
    ) -> None:
        """Constructs the converter.

        Args:
          source: Which data set, and which of its features.
          feature_connectors: Of all its features.
          id_prefix: What the ids begin with, where examples of another data set could have the same.
        """
        self._source = source
        self._id_prefix = id_prefix.encode()
        self._class_labels = {
            name: feature_connectors[name]
            for name in source.slice_features
            if isinstance(feature_connectors[name], tfds.features.ClassLabel)
        }

    def __call__(self, record: Mapping[str, Any]) -> tf.train.Example:
        """Converts one record.

        Args:
          record: Feature name to NumPy value; image and mask as encoded bytes, and `tfds_id`.

        Returns:
          The example, with the features of `trainer_module.features` and the slice features: image and mask as they
          came. Class labels become their names. The id is that of TFDS, shard file and position; a data set without
          file names gets it for one.
        """
        example_id = self._id_prefix + record[_TFDS_ID]
        name = record.get(features.FILE_NAME, example_id)
        values = {name: record[name] for name in self._source.slice_features}
        values |= {name: label.int2str(int(record[name])).encode() for name, label in self._class_labels.items()}
        values |= {
            features.IMAGE: record[self._source.image_feature],
            features.SEGMENTATION_MASK: record[self._source.mask_feature],
            features.EXAMPLE_ID: example_id,
            features.FILE_NAME: name,
        }
        return tf.train.Example(
            features=tf.train.Features(feature={name: feature_of(value) for name, value in sorted(values.items())})
        )


def feature_of(value: Any) -> tf.train.Feature:
    """Returns a value of a record as an example has it: bytes, a whole number or a number."""
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if np.issubdtype(np.asarray(value).dtype, np.integer):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[float(value)]))
