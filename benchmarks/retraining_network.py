"""The network of the simulated year, in the place of `unet`: its training takes seconds, and it learns something."""

from typing import Final

import keras

_FILTERS: Final = (12, 24, 32)


def small_network(image_size: int, num_classes: int, synchronized: bool = False) -> keras.Model:
    """Returns a U-Net of three levels."""
    del synchronized  # one device
    image = hidden = keras.Input((image_size, image_size, 3))
    skips = []
    for filters in _FILTERS[:-1]:
        hidden = _convolution(hidden, filters)
        skips.append(hidden)
        hidden = keras.layers.MaxPooling2D()(hidden)
    hidden = _convolution(hidden, _FILTERS[-1])
    for filters, skip in zip(reversed(_FILTERS[:-1]), reversed(skips), strict=True):
        hidden = keras.layers.Concatenate()([keras.layers.UpSampling2D()(hidden), skip])
        hidden = _convolution(hidden, filters)
    return keras.Model(image, keras.layers.Conv2D(num_classes, 1, dtype="float32")(hidden), name="small")


def _convolution(hidden: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    convolved = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(hidden)
    return keras.layers.Activation("relu")(keras.layers.BatchNormalization(momentum=0.9)(convolved))
