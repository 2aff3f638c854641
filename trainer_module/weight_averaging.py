"""An exponential moving average of a network's weights over the steps of its training (Polyak and Juditsky 1992).

The average is a network of its own: nothing is swapped before validation and back after it, so a checkpoint at any
moment holds both as they are. Keras' own average lives in the optimizer, fails with more than one replica, and leaves
out what batch normalization has gathered.
"""

from typing import Any, Final

import keras
import tensorflow as tf

_STEPS_OF_START: Final = 8


class AveragedNetwork:
    """A copy of a network whose weights follow those of the original."""

    def __init__(self, network: keras.Model, momentum: float) -> None:
        """Starts from the network's weights; to be called in the strategy's scope.

        Args:
          network: The network that is trained.
          momentum: Share of the old average in the new one, from 0 to 1.
        """
        self.network: keras.Model = keras.models.clone_model(network)
        self.network.set_weights(network.get_weights())
        self.network.trainable = False
        self._momentum = momentum
        self._pairs = [
            (average.value, weight.value)
            for average, weight in zip(self.network.weights, network.weights, strict=True)
            if average.dtype.startswith("float")
        ]

    def update(self, step: Any) -> None:
        """Moves the averages towards the weights; to be called on each replica.

        After step n, counted from 1, the share of the old average is min(momentum, (n - 1) / (n + 8)): else the first
        epochs would have mostly the weights of before the training.

        Args:
          step: Number of the step that has just been taken, an integer tensor.
        """
        number = tf.cast(step, tf.float32)
        share = 1 - tf.minimum(self._momentum, (number - 1) / (number + _STEPS_OF_START))
        mirrored = [pair for pair in self._pairs if not _is_of_replica(pair[0])]
        tf.distribute.get_replica_context().merge_call(_update_all, args=(mirrored, share))
        for average, weight in self._pairs:
            if _is_of_replica(average):
                _move(average, weight, share)


def _update_all(strategy: tf.distribute.Strategy, pairs: list[tuple[Any, Any]], share: Any) -> None:
    for average, weight in pairs:
        strategy.extended.update(average, _move, args=(weight, share), group=False)


def _move(average: Any, weight: Any, share: Any) -> None:
    average.assign_add((weight - average) * tf.cast(share, average.dtype))


def _is_of_replica(variable: Any) -> bool:
    """Returns whether each replica has a value of its own, as of batch normalization."""
    return variable.synchronization == tf.VariableSynchronization.ON_READ
