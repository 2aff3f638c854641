"""What of an encoder that brings weights from before is trained, and when.

Batch normalization either stays as it came with the weights (statistics, gamma and beta), or it is trained and follows
the new images. Kept, it multiplies and adds constants: that takes a fifth less time in a step, and depends neither on
the size of a batch nor on what is in it.
"""

import keras
from absl import logging

from trainer_module.config import KEEP, TrainerConfig


class FineTuning:
    """Holds and releases an encoder; each traced step trains what is released when it is traced."""

    def __init__(self, encoder: keras.Model, config: TrainerConfig, *, is_pretrained: bool) -> None:
        """Releases it as after the frozen epochs.

        Args:
          encoder: The encoder in the network that is trained.
          config: The settings.
          is_pretrained: Whether it brings weights; random ones are neither frozen nor have they statistics to keep.
        """
        if config.freeze_epochs and not is_pretrained:
            logging.warning(
                "trainer.freeze_epochs is %d, but the encoder starts from random weights; it is trained from the first "
                "step.",
                config.freeze_epochs,
            )
        self._encoder = encoder
        self._keeps_statistics = is_pretrained and config.encoder_statistics == KEEP
        self.frozen_epochs: int = config.freeze_epochs if is_pretrained else 0
        self.share_of_rate: float = (config.encoder_learning_rate or config.learning_rate) / config.learning_rate
        """The encoder's learning rate as a share of the decoder's."""

        self.hold(False)
        self.weights: list[keras.Variable] = encoder.trainable_variables

    def hold(self, is_frozen: bool) -> None:
        """Holds the encoder as it is, statistics included, or releases it.

        Dropout, which some of `keras.applications` have, goes on in both.
        """
        self._encoder.trainable = not is_frozen
        for layer in self._encoder.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = not (is_frozen or self._keeps_statistics)


class FrozenEpochs(keras.callbacks.Callback):
    """Holds the encoder in the first epochs, also where a training is taken up."""

    def __init__(self, fine_tuning: FineTuning) -> None:
        """Takes what to hold, and for how long."""
        super().__init__()
        self._fine_tuning = fine_tuning

    def on_epoch_begin(self, epoch: int, logs: dict[str, object] | None = None) -> None:
        """Holds or releases it for the epoch to come."""
        self._fine_tuning.hold(epoch < self._fine_tuning.frozen_epochs)
