"""Builds an encoder by its name."""

import keras

from trainer_module.encoder_catalogue import ENCODERS, LITE0
from trainer_module.encoders.efficientnet_lite import efficientnet_lite0
from trainer_module.encoders.keras_applications import application_encoder
from trainer_module.errors import ConfigError


def build_encoder(name: str, image_size: int, *, synchronized: bool = False) -> keras.Model:
    """Builds an encoder with random weights.

    Args:
      name: A key of `trainer_module.encoder_catalogue.ENCODERS`.
      image_size: Side of the square input, in pixels: a multiple of 32.
      synchronized: Whether batch normalization is over all replicas.

    Returns:
      A model named `encoder`, from float32 [batch, image_size, image_size, 3] to five maps at a half, a quarter, … of
      the image's size.

    Raises:
      ConfigError: There is no such encoder.
    """
    if name == LITE0:
        return efficientnet_lite0(image_size, synchronized=synchronized)
    if name in ENCODERS:
        return application_encoder(name, image_size, synchronized=synchronized)
    raise ConfigError(f"trainer.encoder: there is no {name!r}; there are {', '.join(ENCODERS)}")
