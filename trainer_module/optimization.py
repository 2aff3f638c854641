"""The optimizer of a training, with its learning rate over the steps."""

from typing import Any, Final

import keras
import tensorflow as tf

from trainer_module.config import TrainerConfig

_OPTIMIZERS: Final[dict[str, tuple[type[keras.optimizers.Optimizer], dict[str, Any]]]] = {
    "adam": (keras.optimizers.Adam, {}),
    "adamw": (keras.optimizers.AdamW, {}),
    "sgd": (keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
}
"""Name to Keras' class and what is its own."""


def build_optimizer(config: TrainerConfig, network: keras.Model, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Returns the optimizer for a network; to be called in the strategy's scope.

    Args:
      config: The settings.
      network: Its kernels decay.
      steps_per_epoch: Batches in an epoch.
    """
    kind, own = _OPTIMIZERS[config.optimizer]
    optimizer = _of_whole_batch(kind)(
        learning_rate=learning_rate(config, steps_per_epoch),
        weight_decay=config.weight_decay or None,
        global_clipnorm=config.gradient_clip_norm,
        **own,
    )
    others = [variable for variable in network.trainable_variables if "kernel" not in variable.name]
    optimizer.exclude_from_weight_decay(var_list=others)
    return optimizer


def learning_rate(
    config: TrainerConfig, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate of each step: it rises in a line from 0, and then stays or falls as a cosine to 0."""
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
