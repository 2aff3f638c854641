"""The U-Net (Ronneberger, Fischer and Brox 2015, https://arxiv.org/abs/1505.04597) in plain Keras 3 layers.

Variants are named in `MODELS`; every one maps normalized images to logits at the same resolution.
"""

from collections.abc import Callable

import keras
from keras import layers

from trainer_module.errors import ConfigError


def build_model(name: str, image_size: int, num_classes: int) -> keras.Model:
    """Builds a variant.

    Args:
      name: A key of `MODELS`.
      image_size: Side of the square input, in pixels.
      num_classes: Number of classes.

    Returns:
      A model from float32 [batch, image_size, image_size, 3] to float32 logits
      [batch, image_size, image_size, num_classes].

    Raises:
      ConfigError: The variant is unknown, or cannot take the image size.
    """
    if name not in MODELS:
        raise ConfigError(f"trainer.model: there is no {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name](image_size, num_classes)


def _conv(filters: int, padding: str = "valid") -> layers.Layer:
    return layers.Conv2D(filters, 3, padding=padding, activation="relu")


def _transposed_conv(filters: int, padding: str = "valid") -> layers.Layer:
    return layers.Conv2DTranspose(filters, 3, padding=padding, activation="relu")


def blog_model(image_size: int, num_classes: int) -> keras.Model:
    """Builds the network of the blog post, exactly: 5,460,163 parameters for three classes at any size.

    Unpadded convolutions shrink the encoder's maps and transposed ones grow the decoder's back to the same sizes. The
    logits pass a ReLU, as published. Shapes in the comments are those of image_size 128.
    """
    image = keras.Input((image_size, image_size, 3), name="image")

    x = _conv(64)(image)  # 126
    skip_64 = _conv(64)(x)  # 124
    x = layers.MaxPooling2D()(skip_64)  # 62
    x = _conv(128)(x)  # 60
    skip_128 = _conv(128, "same")(x)  # 60
    x = layers.MaxPooling2D()(skip_128)  # 30
    x = _conv(256)(x)  # 28
    skip_256 = _conv(256)(x)  # 26
    x = layers.MaxPooling2D()(skip_256)  # 13

    bottleneck = _conv(512)(x)  # 11

    x = _transposed_conv(256)(bottleneck)  # 13
    x = layers.Concatenate()([layers.UpSampling2D()(x), skip_256])  # 26
    x = _transposed_conv(256)(x)  # 28
    x = _transposed_conv(128)(x)  # 30
    x = layers.Concatenate()([layers.UpSampling2D()(x), skip_128])  # 60
    x = _transposed_conv(128, "same")(x)  # 60
    x = _transposed_conv(64)(x)  # 62
    x = layers.Concatenate()([layers.UpSampling2D()(x), skip_64])  # 124
    x = _transposed_conv(64)(x)  # 126
    x = _transposed_conv(64)(x)  # 128
    logits = layers.Conv2D(num_classes, 1, activation="relu", name="logits")(x)
    return keras.Model(image, logits, name="blog")


MODELS: dict[str, Callable[[int, int], keras.Model]] = {"blog": blog_model}
