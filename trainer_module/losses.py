"""The losses to train with, and the one that every model is evaluated with.

Each is a mean over what of the batch is labelled: pixels in the cross-entropy, examples in Dice. Pixels that are not
(`features.NOT_LABELLED`) have neither loss nor gradient, and a batch without any other has the loss 0. No loss depends
on how replicas share a batch.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from trainer_module.config import TrainerConfig
from trainer_module.features import NOT_LABELLED


class PlainCrossEntropy(keras.losses.Loss):
    """`CrossEntropy` of classes that weigh alike and labels as they are, without one-hot labels."""

    def __init__(self) -> None:
        super().__init__(name="cross_entropy")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """As `CrossEntropy.call`."""
        loss = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True, ignore_class=NOT_LABELLED)
        return _over_labelled(loss, _is_labelled(y_true))


class CrossEntropy(keras.losses.Loss):
    """Cross-entropy from logits with weighted classes and smoothed labels, in nats.

    The mean over labelled pixels of -w_t Σ_c g_c log p_c, with t the true class, w its weight, p the probabilities, and
    labels g_c = (1 - ε) [c = t] + ε / C (Szegedy et al. 2016, equation 7; ε 0 leaves -w_t log p_t).
    """

    def __init__(self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__(name="cross_entropy")
        self._class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
        self._label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Maps class ids [batch, …] and logits [batch, …, classes] to values [batch, …] whose mean is the loss."""
        is_labelled = _is_labelled(y_true)
        labels = _smoothed(y_true, y_pred, self._label_smoothing)
        loss = ops.categorical_crossentropy(labels, y_pred, from_logits=True)
        if self._class_weights is not None:
            class_ids = ops.where(is_labelled, ops.cast(y_true, "int32"), 0)
            loss = loss * ops.take(ops.convert_to_tensor(self._class_weights, y_pred.dtype), class_ids)
        return _over_labelled(loss, is_labelled)


class Dice(keras.losses.Loss):
    """Dice loss (Milletari et al. 2016, https://arxiv.org/abs/1606.04797) from logits, in [0, 1].

    Of each example 1 - D, with D the mean of 2 Σ p g / (Σ p² + Σ g²) over the classes that its mask holds; p are the
    probabilities and g the labels of a class, sums are over labelled pixels. A class that the mask lacks has no true
    pixel whose overlap could grow; its false ones count against the classes that they belong to.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__(name="dice")
        self._label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Maps class ids [batch, height, width] and logits [batch, height, width, classes] to values [batch].

        The mean of the values is the loss; examples without labelled pixels have none.
        """
        pixels = (1, 2)
        is_labelled = _is_labelled(y_true)
        counts = ops.cast(is_labelled, y_pred.dtype)[..., None]
        probabilities = ops.softmax(y_pred, axis=-1) * counts
        labels = _smoothed(y_true, y_pred, self._label_smoothing) * counts
        overlap = 2 * ops.sum(probabilities * labels, pixels)
        both = ops.sum(ops.square(probabilities), pixels) + ops.sum(ops.square(labels), pixels)
        dice = ops.divide_no_nan(overlap, both)  # a class that is neither true nor at all probable
        is_present = ops.cast(ops.any(_smoothed(y_true, y_pred, 0.0) > 0, pixels), dice.dtype)
        mean = ops.divide_no_nan(ops.sum(dice * is_present, axis=-1), ops.sum(is_present, axis=-1))
        return _over_labelled(1 - mean, ops.any(is_labelled, pixels))


class CrossEntropyDice(keras.losses.Loss):
    """The sum of `CrossEntropy` and `Dice`."""

    def __init__(self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__(name="cross_entropy_dice")
        self._cross_entropy = CrossEntropy(class_weights, label_smoothing)
        self._dice = Dice(label_smoothing)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Maps class ids [batch, height, width] and logits [batch, height, width, classes] to values [batch]."""
        return ops.mean(self._cross_entropy.call(y_true, y_pred), (1, 2)) + self._dice.call(y_true, y_pred)


def training_loss(config: TrainerConfig, class_weights: Sequence[float] | None = None) -> keras.losses.Loss:
    """Returns the loss to train with.

    Args:
      config: Names it.
      class_weights: Weight of the pixels of each class in the cross-entropy; None: all alike.

    Example:
      >>> loss = training_loss(TrainerConfig())
      >>> class_ids, logits = np.array([[[0, 1]]]), np.zeros((1, 1, 2, 2))
      >>> round(float(loss(class_ids, logits)), 3)
      0.693
    """
    if config.loss == "dice":
        return Dice(config.label_smoothing)
    if config.loss == "cross_entropy_dice":
        return CrossEntropyDice(class_weights, config.label_smoothing)
    if class_weights is None and not config.label_smoothing:
        return PlainCrossEntropy()
    return CrossEntropy(class_weights, config.label_smoothing)


def balanced_weights(class_pixels: NDArray[np.integer]) -> list[float]:
    """Returns a weight of each class inverse to its share of the pixels; the mean over all pixels is 1.

    Args:
      class_pixels: [num_classes] pixels of each class, none of them 0.

    Example:
      >>> balanced_weights(np.array([1, 1, 2, 4]))
      [2.0, 2.0, 1.0, 0.5]
    """
    counts = class_pixels.astype(np.float64)
    return [float(weight) for weight in counts.sum() / (len(counts) * counts)]


def _is_labelled(class_ids: Any) -> Any:
    return ops.not_equal(class_ids, NOT_LABELLED)


def _over_labelled(values: Any, is_labelled: Any) -> Any:
    """Scales what is labelled, and makes the rest 0, so that the mean over all is the mean over what is labelled.

    Keras does so by the share of its own replica that is labelled, and a pixel would weigh the more the fewer there are
    with it; here it is the share of the whole batch. Where nothing is labelled, all is 0.

    Args:
      values: float32 of any shape.
      is_labelled: Booleans of the same shape.
    """
    counts = tf.stack([tf.math.count_nonzero(is_labelled), tf.size(is_labelled, tf.int64)])
    context = tf.distribute.get_replica_context()
    if context is not None and context.num_replicas_in_sync > 1:
        counts = context.all_reduce(tf.distribute.ReduceOp.SUM, counts)
    labelled, total = tf.unstack(tf.cast(counts, tf.float64))
    share = ops.cast(ops.divide_no_nan(labelled, total), values.dtype)
    return ops.divide_no_nan(ops.where(is_labelled, values, 0.0), share)


def _smoothed(class_ids: Any, logits: Any, label_smoothing: float) -> Any:
    """Returns the share of each class in each pixel's label, [batch, …, classes]."""
    num_classes = logits.shape[-1]
    labels = ops.one_hot(ops.cast(class_ids, "int32"), num_classes, dtype=logits.dtype)
    return labels if not label_smoothing else labels * (1 - label_smoothing) + label_smoothing / num_classes


def example_loss(class_ids: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy of each example, float32 [batch]: the mean over its labelled pixels, 0 without any.

    Args:
      class_ids: Integers [batch, height, width].
      logits: float32 [batch, height, width, num_classes].
    """
    pixels = (1, 2)
    is_labelled = _is_labelled(class_ids)
    known = tf.where(is_labelled, tf.cast(class_ids, tf.int32), 0)
    per_pixel = tf.where(is_labelled, tf.nn.sparse_softmax_cross_entropy_with_logits(known, logits), 0.0)
    share = tf.reduce_mean(tf.cast(is_labelled, tf.float32), pixels)
    return tf.math.divide_no_nan(tf.reduce_mean(per_pixel, pixels), share)
