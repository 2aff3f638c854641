"""The exported model: a SavedModel that TensorFlow Serving can run, with its signatures.

Keras 3's own SavedModel cannot be restored by the session loader that TensorFlow Serving uses, and carries the
optimizer. A plain `tf.Module` that holds the weights' variables and the functions can, and is a third of the size.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from trainer_module import features
from trainer_module.config import DataConfig
from trainer_module.exported_weights import weight_names
from trainer_module.losses import example_loss
from trainer_module.preprocessing import decode_image_xf, decode_mask_xf, normalize
from trainer_module.segmentation_metrics import CALIBRATION_BINS

_MAX_BATCH_SIZE = 32
"""Larger batches pass the network in pieces of this many images: memory does not grow with the request."""

_BOUNDARY_SHARE_OF_DIAGONAL = 0.02


class SegmentationModel(tf.Module):
    """The trained network behind the transform graph.

    Signatures:
      serving_default: `image`, string [batch], encoded JPEG or PNG of any size → `probabilities`, float32
        [batch, image_size, image_size, num_classes], and `mask`, uint8 [batch, image_size, image_size].
      evaluation: `examples`, string [batch], serialized raw examples → what the metrics are sums of, by the names in
        `features.EVALUATION_OUTPUTS`: confusion matrix, loss, boundary and calibration counts, and an id.
    """

    def __init__(self, model: keras.Model, transform_output: tft.TFTransformOutput, data: DataConfig) -> None:
        super().__init__(name="petseg")
        # Behind a function, the Keras model is not tracked: only its weights are saved.
        self._network: Callable[[tf.Tensor], tf.Tensor] = lambda image: model(image, training=False)
        self._data = data
        self._weights = [weight.value for weight in model.weights]
        self._transform = transform_output.transform_features_layer()
        self._raw_feature_spec = {
            name: tf.io.FixedLenFeature([1], tf.string)
            for name in (features.IMAGE, features.SEGMENTATION_MASK, features.FILE_NAME)
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def serving_default(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers encoded images with probabilities and mask."""
        return _in_batches(self._serve, image)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluation(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers raw examples with the numbers that all metrics are sums of."""
        return _in_batches(self._evaluate, examples)

    def _serve(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self._logits(self._transform({features.IMAGE: image[:, tf.newaxis]}))
        return {
            features.PROBABILITIES: tf.nn.softmax(logits),
            features.MASK: tf.cast(tf.argmax(logits, axis=-1), tf.uint8),
        }

    def _evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(examples, self._raw_feature_spec)
        example_id = tf.strings.to_hash_bucket_fast(raw.pop(features.FILE_NAME)[:, 0], tf.int64.max)
        transformed = self._transform(raw)
        class_ids = tf.map_fn(
            lambda serialized: decode_mask_xf(serialized, self._data.image_size),
            transformed[features.SEGMENTATION_MASK_XF],
            fn_output_signature=tf.uint8,
        )
        logits = self._logits(transformed)
        predicted = tf.argmax(logits, -1, output_type=tf.int32)
        num_classes = self._data.num_classes
        return {
            features.EXAMPLE_ID: example_id,
            features.CONFUSION_MATRIX: confusion_matrices(class_ids, predicted, num_classes),
            features.LOSS: example_loss(class_ids, logits),
            **boundary_counts(class_ids, predicted, num_classes, boundary_width(self._data.image_size)),
            **calibration_counts(class_ids, logits),
        }

    def _logits(self, transformed: Mapping[str, tf.Tensor]) -> tf.Tensor:
        image = tf.map_fn(
            lambda serialized: decode_image_xf(serialized, self._data.image_size),
            transformed[features.IMAGE_XF],
            fn_output_signature=tf.uint8,
        )
        offset, scale = transformed[features.IMAGE_OFFSET_XF], transformed[features.IMAGE_SCALE_XF]
        return self._network(normalize(image, offset, scale))


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


def _in_batches(function: Callable[[tf.Tensor], dict[str, tf.Tensor]], inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Applies a function of [batch] tensors piece by piece, and concatenates what it returns."""
    size = tf.shape(inputs)[0]
    first = function(inputs[:_MAX_BATCH_SIZE])

    def next_piece(start: tf.Tensor, done: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        piece = function(inputs[start : start + _MAX_BATCH_SIZE])
        return start + _MAX_BATCH_SIZE, {name: tf.concat([done[name], piece[name]], 0) for name in done}

    shapes = {name: tf.TensorShape([None, *tensor.shape[1:]]) for name, tensor in first.items()}
    _, outputs = tf.while_loop(
        lambda start, _: start < size,
        next_piece,
        (tf.constant(_MAX_BATCH_SIZE), first),
        shape_invariants=(tf.TensorShape([]), shapes),
    )
    return outputs


def export_model(
    model: keras.Model,
    transform_output: tft.TFTransformOutput,
    data: DataConfig,
    directory: str,
) -> None:
    """Writes the SavedModel with its signatures, and an asset that says what its outputs mean."""
    module = SegmentationModel(model, transform_output, data)
    signatures = {
        features.SERVING_SIGNATURE: module.serving_default,
        features.EVALUATION_SIGNATURE: module.evaluation,
    }
    tf.saved_model.save(module, directory, signatures=signatures)
    card: dict[str, Any] = {
        "class_names": data.class_names,
        "mask_values": data.mask_values,
        "image_size": data.image_size,
        "normalization": data.normalization,
        "model": model.name,
        "parameters": model.count_params(),
        "weights": weight_names(model),
    }
    tf.io.gfile.makedirs(f"{directory}/assets.extra")
    with tf.io.gfile.GFile(f"{directory}/assets.extra/{features.MODEL_CARD_ASSET}", "w") as file:
        json.dump(card, file, indent=2)
