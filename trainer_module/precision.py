"""In which precision a network computes: Keras' dtype policies, and the scaling of the loss that float16 needs.

In mixed precision (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740) layers compute in 16 bits, and weights,
logits and loss stay float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import keras
import tensorflow as tf
from absl import logging

FLOAT16: Final = "mixed_float16"
EXPORTED: Final = "float32"
"""What an exported model computes in, whatever it was trained in."""


@contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Gives the layers that are made in the block a policy: one process runs the trainings of more than one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def scaled_for(precision: str, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Returns the optimizer; for float16 one that scales the loss, so that small gradients do not vanish."""
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == FLOAT16 else optimizer


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
