"""How a network is trained: precision, optimizer and learning rate, the average of the weights, steps in one call.

In mixed precision (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740) layers compute in 16 bits, and weights,
logits and loss stay float32.

The exponential moving average of the weights over the steps (Polyak and Juditsky 1992) is a network of its own: nothing
is swapped before validation and back after it, so a checkpoint at any moment holds both as they are. Keras' own average
lives in the optimizer, fails with more than one replica, and leaves out what batch normalization has gathered.

Keras runs `steps_per_execution` steps in one call of TensorFlow, and as many whole calls as cover the epoch: of an
epoch of 7 steps at 5 an execution it would make 10. Here the last call of an epoch runs what is left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import keras
import tensorflow as tf
from absl import logging

from trainer_module.config import TrainerConfig
from trainer_module.fine_tuning import FineTuning

FLOAT16: Final = "mixed_float16"
EXPORTED: Final = "float32"
"""What an exported model computes in, whatever it was trained in."""

_OPTIMIZERS: Final[dict[str, tuple[type[keras.optimizers.Optimizer], dict[str, Any]]]] = {
    "adam": (keras.optimizers.Adam, {}),
    "adamw": (keras.optimizers.AdamW, {}),
    "sgd": (keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
}
"""Name to Keras' class and what is its own."""

_STEPS_OF_START: Final = 8
"""How slowly the average of the weights leaves those of before the training behind."""


@contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Gives the layers that are made in the block a policy: one process runs the trainings of more than one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def warn_of_slowness(precision: str, gpus: int | None) -> None:
    """Says in the log that mixed precision makes a training on a CPU slower.

    Args:
      precision: That of the training.
      gpus: How many GPUs to use; None: all that TensorFlow sees, 0: the CPU.
    """
    if precision != EXPORTED and (gpus == 0 or not tf.config.get_visible_devices("GPU")):
        logging.warning(
            "trainer.precision is %s, but the training runs on a CPU, which emulates it: expect less than half of the "
            "speed of float32.",
            precision,
        )


def build_optimizer(
    config: TrainerConfig, network: keras.Model, steps_per_epoch: int, fine_tuning: FineTuning | None = None
) -> keras.optimizers.Optimizer:
    """Returns the optimizer for a network; to be called in the strategy's scope.

    For float16 it scales the loss, so that small gradients do not vanish.

    Args:
      config: The settings.
      network: Its kernels decay.
      steps_per_epoch: Batches in an epoch.
      fine_tuning: Of the network's encoder, where it has one.
    """
    kind, own = _OPTIMIZERS[config.optimizer]
    made = _of_whole_batch(kind)
    if fine_tuning is not None and (fine_tuning.share_of_rate != 1 or fine_tuning.frozen_epochs):
        made = _with_encoder(made, fine_tuning, steps_per_epoch)
    optimizer = made(
        learning_rate=learning_rate(config, steps_per_epoch),
        weight_decay=config.weight_decay or None,
        global_clipnorm=config.gradient_clip_norm,
        **own,
    )
    others = [variable for variable in network.trainable_variables if "kernel" not in variable.name]
    optimizer.exclude_from_weight_decay(var_list=others)
    return keras.optimizers.LossScaleOptimizer(optimizer) if config.precision == FLOAT16 else optimizer


def learning_rate(
    config: TrainerConfig, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate of each step: it rises in a line from 0, and then stays or falls as a cosine to 0.

    Example:
      >>> rate = learning_rate(TrainerConfig(epochs=4, learning_rate=0.8, warmup_epochs=1), steps_per_epoch=10)
      >>> [round(float(rate(step)), 2) for step in (0, 5, 10, 39)]
      [0.0, 0.4, 0.8, 0.8]
    """
    steps = config.epochs * steps_per_epoch
    warmup_steps = round(config.warmup_epochs * steps_per_epoch)
    is_constant = config.learning_rate_schedule == "constant"
    if is_constant and not warmup_steps:
        return config.learning_rate
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else config.learning_rate,
        decay_steps=max(1, steps - warmup_steps),
        alpha=1.0 if is_constant else 0.0,  # the share of the rate at which the decay ends
        warmup_target=config.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


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


class ExactEpochs(keras.callbacks.Callback):
    """Makes the last execution of each epoch as short as it must be, as `TrainedModel.make_train_function` allows."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes how many steps an execution has."""
        self._steps = self.model.steps_per_execution

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the length of the execution to come."""
        self.model.steps_per_execution = min(self._steps, self.params["steps"] - batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Puts the length back, for validation."""
        self.model.steps_per_execution = self._steps


def _of_whole_batch(optimizer: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """Returns the optimizer with gradients clipped as those of the whole batch.

    Keras clips what each replica computed before it adds that up: the training would depend on the number of replicas.
    """

    class OfWholeBatch(optimizer):
        def _clip_gradients(self, grads: list[Any]) -> list[Any]:
            replica = tf.distribute.get_replica_context()
            if self.global_clipnorm is None or replica is None or replica.num_replicas_in_sync == 1:
                return super()._clip_gradients(grads)
            norm = tf.linalg.global_norm(replica.all_reduce(tf.distribute.ReduceOp.SUM, grads))
            return [gradient * (self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)) for gradient in grads]

    OfWholeBatch.__name__ = optimizer.__name__
    return OfWholeBatch


def _with_encoder(
    optimizer: type[keras.optimizers.Optimizer], fine_tuning: FineTuning, steps_per_epoch: int
) -> type[keras.optimizers.Optimizer]:
    """Returns the optimizer with a learning rate of its own for the encoder's weights, by which they also decay.

    Keras' `MultiOptimizer` would clip the gradients of encoder and decoder each by a norm of their own, and has no
    learning rate to tell; Keras' weight decay goes by the one learning rate.

    Adam's moments of weights that were held start at 0 when these are released, and its correction of their bias counts
    all steps. Uncorrected, the first update would be 3 times the learning rate, and some would be more than 6 times of
    it. Here it counts from the release, as if the encoder had an Adam of its own.
    """
    held_steps = fine_tuning.frozen_epochs * steps_per_epoch

    class WithEncoder(optimizer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._encoder = frozenset(self._var_key(weight) for weight in fine_tuning.weights)

        def _apply_weight_decay(self, variables: list[Any]) -> None:
            super()._apply_weight_decay([each for each in variables if self._var_key(each) not in self._encoder])

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            if self._var_key(variable) in self._encoder:
                learning_rate = tf.cast(learning_rate, variable.dtype) * fine_tuning.share_of_rate
                if self.weight_decay is not None and self._use_weight_decay(variable):
                    self.assign_sub(variable, variable * self.weight_decay * learning_rate)
                if held_steps and isinstance(self, keras.optimizers.Adam):
                    learning_rate *= self._correction_since_release(variable.dtype)
            super().update_step(gradient, variable, learning_rate)

        def _correction_since_release(self, dtype: Any) -> Any:
            def correction(number: Any) -> Any:
                return tf.sqrt(1 - tf.pow(self.beta_2, number)) / (1 - tf.pow(self.beta_1, number))

            step = tf.cast(self.iterations + 1, dtype)
            # Steps that a scaled loss made useless are not counted: the release may come before this number of them.
            return correction(tf.maximum(step - held_steps, 1)) / correction(step)

    WithEncoder.__name__ = optimizer.__name__
    return WithEncoder


def _update_all(strategy: tf.distribute.Strategy, pairs: list[tuple[Any, Any]], share: Any) -> None:
    for average, weight in pairs:
        strategy.extended.update(average, _move, args=(weight, share), group=False)


def _move(average: Any, weight: Any, share: Any) -> None:
    average.assign_add((weight - average) * tf.cast(share, average.dtype))


def _is_of_replica(variable: Any) -> bool:
    """Returns whether each replica has a value of its own, as of batch normalization."""
    return variable.synchronization == tf.VariableSynchronization.ON_READ
