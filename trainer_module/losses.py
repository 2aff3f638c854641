"""The loss, in one place for training and for the exported evaluation signature."""

import keras
import tensorflow as tf


def training_loss() -> keras.Loss:
    """Returns the mean over all pixels of the cross-entropy -log p(true class), in nats, from logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def example_loss(class_ids: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy of each example, float32 [batch]: the mean over its pixels.

    Args:
      class_ids: Integers [batch, height, width].
      logits: float32 [batch, height, width, num_classes].
    """
    per_pixel = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(class_ids, tf.int32), logits)
    return tf.reduce_mean(per_pixel, axis=(1, 2))
