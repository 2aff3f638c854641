"""The networks by the names that `trainer.model` takes."""

import functools
from collections.abc import Callable
from typing import Final

import keras

from trainer_module.encoder_catalogue import MODEL_ENCODERS, UNET_ENCODER
from trainer_module.encoder_unet import encoder_unet, seen_size
from trainer_module.encoders.encoder import build_encoder
from trainer_module.errors import ConfigError
from trainer_module.unet import blog_unet, paper_unet, unet


def _on_encoder(encoder: str, image_size: int, num_classes: int, synchronized: bool) -> keras.Model:
    built = build_encoder(encoder, seen_size(image_size), synchronized=synchronized)
    names = {of_model: model for model, of_model in MODEL_ENCODERS.items()}
    name = names.get(encoder, f"unet_{encoder}")
    return encoder_unet(built, image_size, num_classes, name, synchronized=synchronized)


MODELS: Final[dict[str, Callable[[int, int, bool], keras.Model]]] = {
    "unet": unet,
    "blog": lambda image_size, num_classes, _: blog_unet(image_size, num_classes),
    "blog_bn": lambda image_size, num_classes, synchronized: blog_unet(
        image_size, num_classes, normalized=True, synchronized=synchronized
    ),
    "paper": lambda image_size, num_classes, _: paper_unet(image_size, num_classes),
    **{model: functools.partial(_on_encoder, encoder) for model, encoder in MODEL_ENCODERS.items()},
}
"""Builders by name, without `unet_encoder`; the last argument is `synchronized`, for those that normalize."""


def build_model(
    name: str, image_size: int, num_classes: int, *, encoder: str | None = None, synchronized: bool = False
) -> keras.Model:
    """Builds a network with random weights.

    Args:
      name: A key of `MODELS`, or `unet_encoder`.
      image_size: Side of the square input, in pixels.
      num_classes: Number of classes.
      encoder: For `unet_encoder`, the name of its encoder.
      synchronized: Whether batch normalization is over the replicas of a distribution strategy together.

    Returns:
      A model from float32 [batch, image_size, image_size, 3] to float32 logits
      [batch, image_size, image_size, num_classes].

    Raises:
      ConfigError: The network or the encoder is unknown.

    Example:
      >>> network = build_model("unet", image_size=32, num_classes=3)
      >>> network.output_shape, network.count_params()
      ((None, 32, 32, 3), 5120211)
    """
    if name == UNET_ENCODER:
        if encoder is None:
            raise ConfigError(f"trainer.model is {name!r}, and trainer.encoder names no encoder")
        return _on_encoder(encoder, image_size, num_classes, synchronized)
    if name not in MODELS:
        raise ConfigError(f"trainer.model: there is no {name!r}; there are {', '.join([*MODELS, UNET_ENCODER])}")
    return MODELS[name](image_size, num_classes, synchronized)
