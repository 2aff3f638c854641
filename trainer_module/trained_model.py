"""A network with what `fit` needs to train it, on one replica or several, and to take it up again.

Keras 3.15 on TensorFlow 2.21 needs help with several replicas, in ways that were found by running two on CPUs:

- The logs of several workers are averaged over axis 0, and a scalar has none. Here they are vectors of one number.
- The last batch of a split may have fewer examples than there are replicas, and a convolution of oneDNN refuses a batch
  of none. Here such a replica computes one black image and forgets it.
- The mean loss over no example is NaN, which nothing takes away from a running sum. Here it is 0.
- An epoch gets as many whole executions of `steps_per_execution` as cover it. Here the last is cut to what is left.
- Metrics that are given to `compile` get their variables in the first step, which fails where replicas are threads, and
  is too late to restore them from a checkpoint. Here they have them from the start.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainer_module.features import NOT_LABELLED
from trainer_module.optimization import AveragedNetwork


class TrainedModel(keras.Model):
    """Trains and evaluates a network; the numbers do not depend on how many replicas share a batch, but for rounding.

    To be created outside of the strategy's scope, inside of which the network was: else Keras draws a batch ahead.
    """

    train_function: Callable[[Any], Any] | None
    """What Keras calls for each execution; None before it is made."""

    def __init__(
        self,
        network: keras.Model,
        strategy: tf.distribute.Strategy,
        optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        averaging_momentum: float | None = None,
        *,
        xla: bool = False,
        steps_per_execution: int = 1,
    ) -> None:
        """Compiles the network.

        Args:
          network: Maps images to logits; made in the strategy's scope, as the optimizer was.
          strategy: Over which replicas it is spread.
          optimizer: To train with.
          loss: To train with.
          averaging_momentum: Of the average of the weights that is validated; None: the weights themselves are.
          xla: Whether to compile the training step with XLA; with one replica only.
          steps_per_execution: Steps that run without a return to Python.
        """
        super().__init__(name=network.name)
        self.network = network
        self.evaluated_network = network
        self._num_replicas = strategy.num_replicas_in_sync
        self._averages_logs = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        with strategy.scope():
            self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
            self.mean_iou = keras.metrics.MeanIoU(
                network.output_shape[-1], name="mean_iou", sparse_y_pred=False, ignore_class=NOT_LABELLED
            )
            self._average = None if averaging_momentum is None else AveragedNetwork(network, averaging_momentum)
            if self._average is not None:
                self.evaluated_network = self._average.network
            self.compile(optimizer, loss, jit_compile=xla, steps_per_execution=steps_per_execution)
            optimizer.build(network.trainable_variables)

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Maps float32 [batch, image_size, image_size, 3] to logits: those of the average, if any, but in training."""
        network = self.network if training else self.evaluated_network
        if self._num_replicas == 1:
            return network(images, training=training)
        count = tf.shape(images)[0]
        padded = tf.pad(images, [[0, tf.maximum(1 - count, 0)], [0, 0], [0, 0], [0, 0]])
        return network(padded, training=training)[:count]

    def make_train_function(self, force: bool = False) -> None:
        """Makes what `fit` calls for each execution: it runs `steps_per_execution` steps, whatever that is at the call.

        Keras' own is traced, at its first call, for that number and the layers that are trainable at that moment; so
        there is one for each.
        """
        if self.train_function is not None and not force:
            return
        make = super().make_train_function
        made: dict[Any, Any] = {}

        def train(iterator: Any) -> Any:
            traced_for = (self.steps_per_execution, *(layer.trainable for layer in self.network.layers))
            if traced_for not in made:
                current = self.train_function
                make(force=True)
                made[traced_for], self.train_function = self.train_function, current
            return made[traced_for](iterator)

        self.train_function = train

    def count_params(self) -> int:
        """Returns the network's, also before the first step."""
        return self.network.count_params()

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> tf.Tensor:
        """Returns the mean over the replica's examples; 0 when it has none."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss if self._num_replicas == 1 else tf.where(tf.shape(y)[0] > 0, loss, tf.zeros_like(loss))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, tf.Tensor]:
        """Adds the labelled pixels of a batch; returns loss, accuracy and mean IoU of the epoch so far."""
        self.accuracy.update_state(y, y_pred, sample_weight=tf.not_equal(y, NOT_LABELLED))
        self.mean_iou.update_state(y, y_pred)
        return self.get_metrics_result()

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Trains on the replica's share of a batch."""
        results = super().train_step(data)
        if self._average is not None:
            self._average.update(self.optimizer.iterations)
        return self._as_logs(results)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Evaluates the replica's share of a batch."""
        return self._as_logs(super().test_step(data))

    def _as_logs(self, results: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if not self._averages_logs:
            return results
        return {name: tf.reshape(value, [1]) for name, value in results.items()}
