"""From encoded images and masks to what the network reads: the one path of training, evaluation and serving.

`preprocessing_fn` is what Transform traces into the transform graph; `decode_image_xf`, `decode_mask_xf` and
`normalize` take its results further inside tf.data and inside the exported signatures. Pixels travel as uint8 between
the two, because a float image takes four times the space and reads at half the speed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from trainer_module import features
from trainer_module.config import DataConfig
from trainer_module.decoding import decode_image, decode_mask
from trainer_module.encoder_catalogue import NORMALIZATIONS

_LARGEST_MASK_VALUE = 255


def resize_image(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Resizes uint8 [height, width, 3] bilinearly, with antialiasing, to uint8 [image_size, image_size, 3]."""
    resized = tf.image.resize(image, (image_size, image_size), method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def resize_mask(mask: tf.Tensor, image_size: int) -> tf.Tensor:
    """Resizes [height, width, 1] to [image_size, image_size, 1] by nearest neighbour: no value is invented."""
    return tf.image.resize(mask, (image_size, image_size), method="nearest")


def to_class_ids(mask: tf.Tensor, mask_values: Sequence[int]) -> tf.Tensor:
    """Maps raw mask values (integers) to class ids (uint8): the position of each value in `mask_values`.

    All other values become `features.NOT_LABELLED`. SegmentationValidator finds those that are not in
    `data.ignore_values` either, and masks whose values cannot be told: an assertion here would be a side effect, and
    keep the whole mask branch alive in the serving signature, where there is no mask.

    Example:
      >>> to_class_ids(np.array([[1, 2], [3, 7]]), mask_values=(1, 2, 3)).numpy().tolist()
      [[0, 1], [2, 255]]
    """
    table = np.full(_LARGEST_MASK_VALUE + 2, features.NOT_LABELLED, np.uint8)
    table[list(mask_values)] = np.arange(len(mask_values))
    return tf.gather(tf.constant(table), tf.minimum(tf.cast(mask, tf.int32), _LARGEST_MASK_VALUE + 1))


def preprocessing_fn(inputs: Mapping[str, tf.Tensor], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Transform's entry point.

    Args:
      inputs: Raw features by name, string [batch, 1] each.
      custom_config: `data`: the fields of `DataConfig`.

    Returns:
      The `_xf` features, [batch, …] each; types and ranges are those of `trainer_module.features`.
    """
    data = DataConfig.model_validate(custom_config["data"])

    def image_xf(encoded: tf.Tensor) -> tf.Tensor:
        return resize_image(decode_image(encoded), data.image_size)

    def mask_xf(encoded: tf.Tensor) -> tf.Tensor:
        mask = resize_mask(decode_mask(encoded), data.image_size)
        return tf.io.serialize_tensor(to_class_ids(mask, data.mask_values)[..., 0])

    shape = (data.image_size, data.image_size, 3)
    images = tf.map_fn(
        image_xf, tf.reshape(inputs[features.IMAGE], [-1]), fn_output_signature=tf.TensorSpec(shape, tf.uint8)
    )
    offset, scale = _normalization(images, data)
    batch_size = tf.shape(images)[0]
    return {
        features.IMAGE_XF: tf.map_fn(tf.io.serialize_tensor, images, fn_output_signature=tf.string),
        features.SEGMENTATION_MASK_XF: tf.map_fn(
            mask_xf, tf.reshape(inputs[features.SEGMENTATION_MASK], [-1]), fn_output_signature=tf.string
        ),
        features.IMAGE_OFFSET_XF: tf.tile(offset[tf.newaxis], [batch_size, 1]),
        features.IMAGE_SCALE_XF: tf.tile(scale[tf.newaxis], [batch_size, 1]),
    }


def _normalization(images: tf.Tensor, data: DataConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns offset and scale, float32 [3]: constants, or full-pass moments of each channel of uint8 [batch, …, 3]."""
    if data.normalization in NORMALIZATIONS:
        offset, scale = NORMALIZATIONS[data.normalization]
        return tf.constant(offset, tf.float32), tf.constant(scale, tf.float32)
    pixels = tf.cast(images, tf.float64)
    mean = tft.mean(tf.reduce_mean(pixels, axis=(1, 2)), reduce_instance_dims=False)
    mean_square = tft.mean(tf.reduce_mean(tf.square(pixels), axis=(1, 2)), reduce_instance_dims=False)
    deviation = tf.sqrt(tf.maximum(mean_square - tf.square(mean), 1.0))
    return tf.cast(mean, tf.float32), tf.cast(1 / deviation, tf.float32)


def decode_image_xf(serialized: tf.Tensor, image_size: int) -> tf.Tensor:
    """Restores one transformed image (scalar string): uint8 [image_size, image_size, 3]."""
    return tf.ensure_shape(tf.io.parse_tensor(serialized, tf.uint8), (image_size, image_size, 3))


def decode_mask_xf(serialized: tf.Tensor, image_size: int) -> tf.Tensor:
    """Restores one transformed mask (scalar string): class ids and `NOT_LABELLED`, uint8 [image_size, image_size]."""
    return tf.ensure_shape(tf.io.parse_tensor(serialized, tf.uint8), (image_size, image_size))


def normalize(image: tf.Tensor, offset: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Returns (image - offset) · scale in float32, channel by channel.

    Args:
      image: uint8 or float32 [batch, height, width, 3], pixels from 0 to 255.
      offset: float32 [batch, 3], from the transform graph.
      scale: float32 [batch, 3], from the transform graph.
    """
    _, height, width, channels = image.shape

    def of_row(values: tf.Tensor) -> tf.Tensor:
        return tf.tile(values, (1, width))[:, tf.newaxis]

    # Row by row: TensorFlow broadcasts over an axis of three numbers at a quarter of the speed.
    rows = tf.reshape(tf.cast(image, tf.float32), (-1, height, width * channels))
    return tf.reshape((rows - of_row(offset)) * of_row(scale), (-1, height, width, channels))
