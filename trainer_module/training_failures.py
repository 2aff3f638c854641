"""What stops a training that cannot go on, and says why and what to do."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import keras
import tensorflow as tf

from trainer_module.config import TrainerConfig
from trainer_module.errors import TrainingError
from trainer_module.optimization import EXPORTED, FLOAT16

_DISK_FULL: Final = "No space left on device"


class FiniteTraining(keras.callbacks.Callback):
    """Ends the training as soon as a loss is NaN or infinite, and at the end of an epoch also when a weight is.

    Keras hands the running loss of the epoch, which keeps a NaN, to callbacks as a number after each execution anyway:
    looking at it costs nothing. A ReLU can make a number of a NaN, so the weights are looked at, too. It comes before
    all that writes, so that nothing of a broken epoch is kept.
    """

    def __init__(self, config: TrainerConfig) -> None:
        super().__init__()
        self._config = config
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the training loss.

        Raises:
          TrainingError: It is not finite.
        """
        self._check("loss", logs, min(batch + 1, self.params["steps"]))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the loss on the `eval` split, which is the first to see the weights of the last step, and at them.

        Raises:
          TrainingError: They are not finite.
        """
        step = self.params["steps"]
        self._check("val_loss", logs, step)
        weights = [weight for weight in self.model.weights if weight.dtype.startswith("float")]
        broken = [weight.path for weight in weights if not tf.reduce_all(tf.math.is_finite(weight.value))]
        if broken:
            raise self._error(f"{len(broken)} of {len(weights)} weights ({broken[0]}, …) are NaN or infinite", step)

    def _check(self, name: str, logs: dict[str, Any] | None, step: int) -> None:
        loss = float((logs or {}).get(name, 0.0))
        if not math.isfinite(loss):
            split = "eval" if name == "val_loss" else "train"
            raise self._error(f"the loss on the {split!r} split is {loss}", step)

    def _error(self, what: str, step: int) -> TrainingError:
        rate = float(self.model.optimizer.learning_rate)
        causes = "; ".join(_causes(self._config))
        return TrainingError(
            f"{what} after step {step} of epoch {self._epoch}, at learning rate {rate:g}; the training ends without a "
            f"model. Likely causes: {causes}"
        )


def _causes(config: TrainerConfig) -> Iterator[str]:
    """Yields what a loss that is not finite comes from under these settings, the likeliest first."""
    clipping = "" if config.gradient_clip_norm else ", or set trainer.gradient_clip_norm = 1"
    yield (
        f"the learning rate is too high (trainer.learning_rate is {config.learning_rate:g}: try "
        f"{config.learning_rate / 10:g}{clipping})"
    )
    if config.precision == FLOAT16:
        yield 'float16 overflowed (set trainer.precision = "mixed_bfloat16" or "float32")'
    if config.class_weights:
        yield "the class weights are extreme (trainer.class_weights)"
    yield "the input is corrupt (look at the statistics of the data and at data.normalization)"


@contextmanager
def explained_memory_errors(config: TrainerConfig, image_size: int) -> Iterator[None]:
    """Says what to do when the block runs out of memory, of the GPU or of the machine.

    Raises:
      TrainingError: It did.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        if _DISK_FULL in str(error):  # TensorFlow's name for that, too
            raise
        advice = "; ".join(_savings(config, image_size))
        raise TrainingError(
            f"the training ran out of memory with trainer.batch_size = {config.batch_size} and images of {image_size}×"
            f"{image_size}; {advice}"
        ) from error


def _savings(config: TrainerConfig, image_size: int) -> Iterator[str]:
    if config.batch_size > 1:
        yield f"set trainer.batch_size = {config.batch_size // 2}"
    if config.precision == EXPORTED:
        yield 'on a GPU, set trainer.precision = "mixed_bfloat16"'
    yield f"make data.image_size smaller than {image_size}, or choose a smaller trainer.model"
