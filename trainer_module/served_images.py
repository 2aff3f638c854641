"""What a model does with encoded images around its network, and what of its answers the metrics are sums of.

Before the network an image is checked, after it the mask gets the image's size. For the evaluation, confusion,
boundaries and calibration of each example are counted inside the graph. And there are the requests that TensorFlow
Serving plays when it loads a model, so that the first user does not wait.
"""

import io
import math
from typing import Final

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from trainer_module import features
from trainer_module.decoding import decoded_size
from trainer_module.encoded_images import MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE, PNG_START, TOO_LARGE, UNREADABLE
from trainer_module.segmentation_metrics import CALIBRATION_BINS

BATCH_SIZES: Final = (1, 8)
"""One image at a time, and a batch as a server gathers them: each size is planned for anew on a GPU."""

_DRAWN_SIZE: Final = (375, 500)
_DRAWN_RADIUS: Final = 120

_BOUNDARY_SHARE_OF_DIAGONAL: Final = 0.02
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


def confusion_matrices(class_ids: tf.Tensor, predicted: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Counts the labelled pixels of each example by true and predicted class.

    Args:
      class_ids: Integers [batch, height, width], true class of each pixel, or `features.NOT_LABELLED`.
      predicted: Integers of the same shape.
      num_classes: Number of classes.

    Returns:
      int64 [batch, num_classes²]: row-major matrices, true class by row.
    """
    return _pair_counts(class_ids, predicted, num_classes, _is_labelled(class_ids))


def boundary_width(image_size: int) -> int:
    """Returns how near an outline is boundary, in pixels: 2 % of the diagonal, at least 1 (Cheng et al. 2021)."""
    return max(1, round(_BOUNDARY_SHARE_OF_DIAGONAL * math.hypot(image_size, image_size)))


def boundary_counts(class_ids: tf.Tensor, predicted: tf.Tensor, num_classes: int, width: int) -> dict[str, tf.Tensor]:
    """Counts what Boundary IoU is made of (Cheng et al., CVPR 2021).

    The boundary region of a class is its mask without the mask's erosion: its pixels that have another class, or the
    edge of the image or a pixel that is not labelled, within `width` pixels to the side, up, down or diagonally.

    Args:
      class_ids: Integers [batch, height, width], true class of each pixel, or `features.NOT_LABELLED`.
      predicted: Integers of the same shape.
      num_classes: Number of classes.
      width: How near is boundary, in pixels.

    Returns:
      `boundary_intersection` and `boundary_union`, int64 [batch, num_classes]: pixels that are in the boundary region
      of the class both in truth and prediction, and in at least one of them.
    """
    class_ids = tf.cast(class_ids, tf.int32)
    predicted = tf.where(_is_labelled(class_ids), tf.cast(predicted, tf.int32), features.NOT_LABELLED)
    true_region, predicted_region = (_boundary_region(ids, num_classes, width) for ids in (class_ids, predicted))
    matrices = _pair_counts(true_region, predicted_region, num_classes + 1, _is_labelled(class_ids))
    matrices = tf.reshape(matrices, [-1, num_classes + 1, num_classes + 1])
    intersection = tf.linalg.diag_part(matrices)
    union = tf.reduce_sum(matrices, 1) + tf.reduce_sum(matrices, 2) - intersection
    return {
        features.BOUNDARY_INTERSECTION: intersection[:, :num_classes],
        features.BOUNDARY_UNION: union[:, :num_classes],
    }


def calibration_counts(class_ids: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
    """Counts what a reliability diagram and the expected calibration error are made of (Guo et al. 2017).

    Bin k of n holds the labelled pixels whose predicted class has a probability in (k / n, (k + 1) / n].

    Args:
      class_ids: Integers [batch, height, width], true class of each pixel, or `features.NOT_LABELLED`.
      logits: [batch, height, width, num_classes].

    Returns:
      `calibration_pixels` and `calibration_correct`, int64, and `calibration_confidence`, float64, the sums of the
      probability: all [batch, CALIBRATION_BINS].
    """
    probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
    confidence = tf.reduce_max(probabilities, axis=-1)
    correct = tf.equal(tf.argmax(logits, -1, output_type=tf.int32), tf.cast(class_ids, tf.int32))
    bins = tf.cast(tf.math.ceil(confidence * CALIBRATION_BINS), tf.int32) - 1
    batch = tf.shape(bins)[0]
    bins = tf.clip_by_value(bins, 0, CALIBRATION_BINS - 1)
    bins += tf.range(batch)[:, tf.newaxis, tf.newaxis] * CALIBRATION_BINS
    bins, right, confidence = (
        tf.boolean_mask(values, _is_labelled(class_ids)) for values in (bins, tf.cast(correct, tf.int32), confidence)
    )
    size = batch * CALIBRATION_BINS
    by_verdict = tf.reshape(tf.math.bincount(bins * 2 + right, minlength=2 * size, dtype=tf.int64), [-1, 2])
    sums = tf.math.unsorted_segment_sum(tf.cast(confidence, tf.float64), bins, size)
    return {
        features.CALIBRATION_PIXELS: tf.reshape(tf.reduce_sum(by_verdict, -1), [-1, CALIBRATION_BINS]),
        features.CALIBRATION_CORRECT: tf.reshape(by_verdict[:, 1], [-1, CALIBRATION_BINS]),
        features.CALIBRATION_CONFIDENCE: tf.reshape(sums, [-1, CALIBRATION_BINS]),
    }


def write_warmup_requests(file: str) -> None:
    """Writes requests of several batch sizes as a TFRecord of `PredictionLog`, in the way TensorFlow Serving reads."""
    with tf.io.TFRecordWriter(file) as writer:
        for size in BATCH_SIZES:
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = features.SERVING_SIGNATURE
            request.inputs[features.IMAGE].CopyFrom(tf.make_tensor_proto([drawn_image()] * size))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def drawn_image() -> bytes:
    """Returns a JPEG of 500×375 pixels: a bright disc before a gradient."""
    height, width = _DRAWN_SIZE
    row, column = np.mgrid[:height, :width]
    pixels = np.stack([row * 255 // height, column * 255 // width, np.full_like(row, 90)], axis=-1)
    pixels[np.hypot(row - height / 2, column - width / 2) < _DRAWN_RADIUS] = (250, 240, 220)
    encoded: bytes = tf.io.encode_jpeg(pixels.astype(np.uint8)).numpy()
    return encoded


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


def _pair_counts(rows: tf.Tensor, columns: tf.Tensor, size: int, is_counted: tf.Tensor) -> tf.Tensor:
    """Counts the pixels of each example by two numbers below `size`, all [batch, height, width]: [batch, size²]."""
    pairs = tf.cast(rows, tf.int64) * size + tf.cast(columns, tf.int64)
    batch = tf.shape(pairs, tf.int64)[0]
    pairs += tf.range(batch)[:, tf.newaxis, tf.newaxis] * size**2
    counts = tf.math.bincount(
        tf.boolean_mask(tf.cast(pairs, tf.int32), is_counted),
        minlength=tf.cast(batch * size**2, tf.int32),
        dtype=tf.int64,
    )
    return tf.reshape(counts, [-1, size**2])


def _is_labelled(class_ids: tf.Tensor) -> tf.Tensor:
    return tf.not_equal(class_ids, features.NOT_LABELLED)


def _boundary_region(class_ids: tf.Tensor, num_classes: int, width: int) -> tf.Tensor:
    """Replaces the id of each pixel that is in no class's boundary region by `num_classes`.

    A window lies inside one class where its least and its greatest id are the same; -1 stands outside the image. One
    pooling so erodes the masks of all classes.
    """
    padded = tf.pad(tf.cast(class_ids, tf.float32), [[0, 0], [width, width], [width, width]], constant_values=-1)
    extremes = tf.stack([padded, -padded], axis=-1)
    for window in ((2 * width + 1, 1), (1, 2 * width + 1)):
        extremes = tf.nn.max_pool2d(extremes, window, strides=1, padding="VALID")
    inside = tf.equal(extremes[..., 0], -extremes[..., 1])
    return tf.where(inside | ~_is_labelled(class_ids), num_classes, tf.cast(class_ids, tf.int32))
