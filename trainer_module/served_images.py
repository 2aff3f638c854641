"""What serving does with an encoded image before and after the network: checks it, and gives the mask its size."""

import io
from typing import Final

import tensorflow as tf
from PIL import Image

from trainer_module.decoding import decoded_size
from trainer_module.encoded_images import MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE, PNG_START, TOO_LARGE, UNREADABLE

_PNG_SIZE_AT: Final = 16
_FAST_COMPRESSION: Final = 1
"""Of masks, which are small anyhow: a third of the time of zlib's default."""

_STRIP_VALUES: Final = 2**22
"""Probabilities that are resized at a time."""


def _blank(encoding: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, encoding)
    return file.getvalue()


_BLANK_PNG: Final = _blank("PNG")
_BLANK_JPEG: Final = _blank("JPEG")


def readable_sizes(images: tf.Tensor) -> tf.Tensor:
    """Returns the sizes of encoded images, and fails where one is no JPEG or PNG that can be decoded, or is too large.

    A failing decoder does not say which image of the batch it was, nor does it leave anything to ask. A dataset that
    ignores errors does: what is missing from it failed.

    Args:
      images: string [batch].

    Returns:
      int32 [batch, 2]: heights and widths, as a viewer shows them. Evaluating it raises InvalidArgumentError
      with the index of the first image that cannot be used, counted from 0.
    """
    count = tf.shape(images, tf.int64)[0]
    # One image is always readable, for a dataset without elements is an error of its own.
    found = tf.data.Dataset.from_tensor_slices(tf.concat([images, [_BLANK_PNG]], 0)).enumerate()
    found = found.map(lambda index, encoded: (index, _readable_size(encoded))).ignore_errors()
    indices, sizes = found.batch(count + 1).get_single_element()
    sizes = tf.scatter_nd(indices[:, tf.newaxis], sizes, tf.stack([count + 1, 2]))[:count]
    checks = [
        _check_all(tf.reduce_all(sizes > 0, axis=1), UNREADABLE),
        _check_all(_is_allowed(sizes), TOO_LARGE),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(sizes)


def _check_all(usable: tf.Tensor, otherwise: str) -> tf.Operation:
    """Fails with the index of the first image that is not usable, and what is wrong with it."""
    index = tf.argmin(tf.cast(tf.concat([usable, [False]], 0), tf.int32))
    message = tf.strings.join(["image ", tf.strings.as_string(index), f" of the batch {otherwise}"])
    return tf.debugging.Assert(tf.reduce_all(usable), [message])


def _readable_size(encoded: tf.Tensor) -> tf.Tensor:
    """Returns height and width as int32 [2]; fails where the image cannot be decoded. A giant is not decoded.

    Blank images stand in for what an operation must not see. Branches (`tf.cond`) would do as well, but setting them up
    for each request takes ten times as long as decoding a photo.
    """
    is_png = tf.equal(tf.strings.substr(encoded, 0, len(PNG_START)), PNG_START)
    of_jpeg = tf.image.extract_jpeg_shape(tf.where(is_png, _BLANK_JPEG, encoded))[:2]
    declared = tf.where(is_png, _png_size(tf.where(is_png, encoded, _BLANK_PNG)), of_jpeg)
    allowed = _is_allowed(declared)
    return tf.where(allowed, decoded_size(tf.where(allowed, encoded, _BLANK_PNG)), declared)


def _png_size(encoded: tf.Tensor) -> tf.Tensor:
    """Reads height and width, which a PNG begins with as big-endian integers, the width first."""
    width_and_height = tf.io.decode_raw(tf.strings.substr(encoded, _PNG_SIZE_AT, 8), tf.int32, little_endian=False)
    return tf.ensure_shape(width_and_height, [2])[::-1]


def _is_allowed(sizes: tf.Tensor) -> tf.Tensor:
    """Returns whether images of those heights and widths, int32 [..., 2], are small enough."""
    few_pixels = tf.reduce_prod(tf.cast(sizes, tf.int64), -1) <= MAX_IMAGE_PIXELS
    return tf.logical_and(few_pixels, tf.reduce_max(sizes, -1) <= MAX_IMAGE_SIDE)


def mask_png(probabilities: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns the most probable class of each pixel of the original image, as a PNG of one channel of class ids.

    The probabilities, not the class ids, are interpolated (bilinearly, with antialiasing), so that outlines stay
    smooth. It goes in strips of rows: at no time are there probabilities for more than a few million values.

    Args:
      probabilities: float32 [height, width, num_classes], at the size of the network.
      size: int32 [2], height and width of the original image.

    Returns:
      A scalar string.
    """
    height, width = size[0], size[1]
    rows = tf.clip_by_value(_STRIP_VALUES // (width * probabilities.shape[-1]), 1, height)
    scale = tf.cast(size, tf.float32) / tf.cast(tf.shape(probabilities)[:2], tf.float32)

    def strip(start: tf.Tensor) -> tf.Tensor:
        resized = tf.raw_ops.ScaleAndTranslate(
            images=probabilities[tf.newaxis],
            size=tf.stack([rows, width]),
            scale=scale,
            translation=tf.stack([-tf.cast(start, tf.float32), 0.0]),
            kernel_type="triangle",
            antialias=True,
        )
        return tf.cast(tf.argmax(resized[0], axis=-1), tf.uint8)

    spec = tf.TensorSpec([None, None], tf.uint8)
    strips = tf.map_fn(strip, tf.range(0, height, rows), fn_output_signature=spec, parallel_iterations=1)
    return tf.io.encode_png(tf.reshape(strips, [-1, width, 1])[:height], compression=_FAST_COMPRESSION)
