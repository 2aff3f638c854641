"""What the metrics are sums of, counted for each example inside the graph: confusion, boundaries, calibration."""

import math

import tensorflow as tf

from trainer_module import features
from trainer_module.segmentation_metrics import CALIBRATION_BINS

_BOUNDARY_SHARE_OF_DIAGONAL = 0.02


def confusion_matrices(class_ids: tf.Tensor, predicted: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Counts the pixels of each example by true and predicted class.

    Args:
      class_ids: Integers [batch, height, width], true class of each pixel.
      predicted: Integers of the same shape.
      num_classes: Number of classes.

    Returns:
      int64 [batch, num_classes²]: row-major matrices, true class by row.
    """
    pairs = tf.cast(class_ids, tf.int64) * num_classes + tf.cast(predicted, tf.int64)
    batch = tf.shape(pairs, tf.int64)[0]
    pairs += tf.range(batch)[:, tf.newaxis, tf.newaxis] * num_classes**2
    counts = tf.math.bincount(
        tf.reshape(tf.cast(pairs, tf.int32), [-1]),
        minlength=tf.cast(batch * num_classes**2, tf.int32),
        dtype=tf.int64,
    )
    return tf.reshape(counts, [-1, num_classes**2])


def boundary_width(image_size: int) -> int:
    """Returns how near an outline is boundary, in pixels: 2 % of the diagonal, at least 1 (Cheng et al. 2021)."""
    return max(1, round(_BOUNDARY_SHARE_OF_DIAGONAL * math.hypot(image_size, image_size)))


def boundary_counts(class_ids: tf.Tensor, predicted: tf.Tensor, num_classes: int, width: int) -> dict[str, tf.Tensor]:
    """Counts what Boundary IoU is made of (Cheng et al., CVPR 2021).

    The boundary region of a class is its mask without the mask's erosion: its pixels that have another class, or the
    edge of the image, within `width` pixels to the side, up, down or diagonally.

    Args:
      class_ids: Integers [batch, height, width], true class of each pixel.
      predicted: Integers of the same shape.
      num_classes: Number of classes.
      width: How near is boundary, in pixels.

    Returns:
      `boundary_intersection` and `boundary_union`, int64 [batch, num_classes]: pixels that are in the boundary region
      of the class both in truth and prediction, and in at least one of them.
    """
    true_region, predicted_region = (_boundary_region(ids, num_classes, width) for ids in (class_ids, predicted))
    matrices = confusion_matrices(true_region, predicted_region, num_classes + 1)
    matrices = tf.reshape(matrices, [-1, num_classes + 1, num_classes + 1])
    intersection = tf.linalg.diag_part(matrices)
    union = tf.reduce_sum(matrices, 1) + tf.reduce_sum(matrices, 2) - intersection
    return {
        features.BOUNDARY_INTERSECTION: intersection[:, :num_classes],
        features.BOUNDARY_UNION: union[:, :num_classes],
    }


def _boundary_region(class_ids: tf.Tensor, num_classes: int, width: int) -> tf.Tensor:
    """Replaces the id of each pixel that is in no boundary region by `num_classes`.

    A window lies inside one class where its least and its greatest id are the same; -1 stands outside the image. One
    pooling so erodes the masks of all classes.
    """
    padded = tf.pad(tf.cast(class_ids, tf.float32), [[0, 0], [width, width], [width, width]], constant_values=-1)
    extremes = tf.stack([padded, -padded], axis=-1)
    for window in ((2 * width + 1, 1), (1, 2 * width + 1)):
        extremes = tf.nn.max_pool2d(extremes, window, strides=1, padding="VALID")
    inside = tf.equal(extremes[..., 0], -extremes[..., 1])
    return tf.where(inside, num_classes, tf.cast(class_ids, tf.int32))


def calibration_counts(class_ids: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
    """Counts what a reliability diagram and the expected calibration error are made of (Guo et al. 2017).

    Bin k of n holds the pixels whose predicted class has a probability in (k / n, (k + 1) / n].

    Args:
      class_ids: Integers [batch, height, width], true class of each pixel.
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
    bins = tf.reshape(bins + tf.range(batch)[:, tf.newaxis, tf.newaxis] * CALIBRATION_BINS, [-1])
    right = tf.reshape(tf.cast(correct, tf.int32), [-1])
    size = batch * CALIBRATION_BINS
    by_verdict = tf.reshape(tf.math.bincount(bins * 2 + right, minlength=2 * size, dtype=tf.int64), [-1, 2])
    sums = tf.math.unsorted_segment_sum(tf.cast(tf.reshape(confidence, [-1]), tf.float64), bins, size)
    return {
        features.CALIBRATION_PIXELS: tf.reshape(tf.reduce_sum(by_verdict, -1), [-1, CALIBRATION_BINS]),
        features.CALIBRATION_CORRECT: tf.reshape(by_verdict[:, 1], [-1, CALIBRATION_BINS]),
        features.CALIBRATION_CONFIDENCE: tf.reshape(sums, [-1, CALIBRATION_BINS]),
    }
