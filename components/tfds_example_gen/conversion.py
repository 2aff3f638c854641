"""From one TFDS record, with its images still encoded, to the `tf.train.Example` of the data contract."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from components.tfds_example_gen.source import TfdsSource
from trainer_module import features
from trainer_module.errors import DataError

_TFDS_ID = "tfds_id"


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
    """Converts the records of one data set, and refuses those that training could not use."""

    def __init__(self, source: TfdsSource, feature_connectors: Mapping[str, tfds.features.FeatureConnector]) -> None:
        self._source = source
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
          The example, with the features of `trainer_module.features` and the slice features. Class labels become
          their names. The id is that of TFDS, shard file and position; a data set without file names gets it for one.

        Raises:
          DataError: Image or mask cannot be decoded, their sizes differ, or the mask has undeclared values.
        """
        example_id = record[_TFDS_ID]
        name = record.get(features.FILE_NAME, example_id)
        image, mask = record[self._source.image_feature], record[self._source.mask_feature]
        self._check(f"record {example_id.decode()!r} (file {name.decode(errors='replace')!r})", image, mask)
        values = {name: self._slice_value(name, record[name]) for name in self._source.slice_features}
        values |= {
            features.IMAGE: image,
            features.SEGMENTATION_MASK: mask,
            features.EXAMPLE_ID: example_id,
            features.FILE_NAME: name,
        }
        return tf.train.Example(
            features=tf.train.Features(feature={name: _feature(value) for name, value in sorted(values.items())})
        )

    def _slice_value(self, name: str, value: Any) -> Any:
        label = self._class_labels.get(name)
        return value if label is None else label.int2str(int(value)).encode()

    def _check(self, record: str, image: bytes, mask: bytes) -> None:
        image_shape = _decode(record, self._source.image_feature, image, tf.io.decode_image).shape
        mask_pixels = _decode(record, self._source.mask_feature, mask, tf.io.decode_png)
        if mask_pixels.shape[-1] != 1:
            raise DataError(
                f"{record}: the mask {self._source.mask_feature!r} has {mask_pixels.shape[-1]} channels; "
                "a mask of class ids has one."
            )
        if image_shape[:2] != mask_pixels.shape[:2]:
            raise DataError(
                f"{record}: the image has {image_shape[0]}×{image_shape[1]} pixels and its mask "
                f"{mask_pixels.shape[0]}×{mask_pixels.shape[1]}; they must be the same."
            )
        undeclared = np.setdiff1d(mask_pixels, self._source.mask_values)
        if undeclared.size:
            raise DataError(
                f"{record}: the mask {self._source.mask_feature!r} has the values {undeclared.tolist()}, not among "
                f"data.mask_values = {list(self._source.mask_values)}. Declare a class for each, or mend the mask."
            )


def _decode(record: str, feature: str, encoded: bytes, decode: Any) -> np.ndarray:
    """Decodes as Transform will (`trainer_module.preprocessing`), so that what passes here passes there."""
    arguments = {"expand_animations": False} if decode is tf.io.decode_image else {}
    try:
        return decode(encoded, **arguments).numpy()
    except tf.errors.OpError as error:
        kind = "JPEG or PNG" if decode is tf.io.decode_image else "PNG"
        raise DataError(
            f"{record}: feature {feature!r} ({len(encoded)} bytes) is no readable {kind}: "
            f"{error.message.splitlines()[0]}. Mend or remove the file and prepare the data set again."
        ) from error


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if np.issubdtype(np.asarray(value).dtype, np.integer):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[float(value)]))
