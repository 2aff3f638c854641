"""EfficientNet-Lite0 in plain Keras 3 layers: an encoder without squeeze-and-excitation and with ReLU6 throughout.

EfficientNet (Tan and Le 2019, https://arxiv.org/abs/1905.11946), as its authors cut it down for processors that take
whole numbers (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite).
"""

from typing import Final, NamedTuple

import keras
from keras import layers

from trainer_module.encoder_catalogue import ENCODER


class _Stage(NamedTuple):
    repeats: int
    kernel_size: int
    strides: int
    expansion: int
    filters: int


_STEM_FILTERS: Final = 32
_STAGES: Final = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_MOMENTUM: Final = 0.99
_EPSILON: Final = 1e-3


def efficientnet_lite0(image_size: int, *, synchronized: bool = False) -> keras.Model:
    """Builds the network without its classifier.

    Args:
      image_size: Side of the square input, in pixels: a multiple of 32.
      synchronized: Whether batch normalization is over all replicas.

    Returns:
      A model from float32 [batch, image_size, image_size, 3], pixels normalized as (p - 127) / 128, to maps of 16, 24,
      40, 112 and 320 channels at a half, a quarter, … of the image's size.
    """

    def normalize(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return layers.BatchNormalization(
            momentum=_MOMENTUM, epsilon=_EPSILON, synchronized=synchronized, name=f"{name}_bn"
        )(x)

    def conv(x: keras.KerasTensor, filters: int, size: int, strides: int, name: str) -> keras.KerasTensor:
        convolution = layers.Conv2D(
            filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
        )
        return normalize(convolution(x), name)

    def depthwise(x: keras.KerasTensor, size: int, strides: int, name: str) -> keras.KerasTensor:
        convolution = layers.DepthwiseConv2D(
            size, strides, padding="same", use_bias=False, depthwise_initializer="he_normal", name=name
        )
        return normalize(convolution(x), name)

    def relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return layers.ReLU(6.0, name=f"{name}_relu6")(x)

    def block(x: keras.KerasTensor, stage: _Stage, strides: int, name: str) -> keras.KerasTensor:
        shortcut, channels = x, x.shape[-1]
        if stage.expansion > 1:
            x = relu6(conv(x, channels * stage.expansion, 1, 1, f"{name}_expand"), f"{name}_expand")
        x = relu6(depthwise(x, stage.kernel_size, strides, f"{name}_depthwise"), f"{name}_depthwise")
        x = conv(x, stage.filters, 1, 1, f"{name}_project")
        return layers.Add(name=f"{name}_add")([x, shortcut]) if strides == 1 and channels == stage.filters else x

    image = keras.Input((image_size, image_size, 3), name="image")
    x = relu6(conv(image, _STEM_FILTERS, 3, 2, "stem"), "stem")
    maps = []
    number = 0
    for index, stage in enumerate(_STAGES):
        for repeat in range(stage.repeats):
            x = block(x, stage, stage.strides if repeat == 0 else 1, f"block{number}")
            number += 1
        is_last_of_size = index + 1 == len(_STAGES) or _STAGES[index + 1].strides == 2
        if is_last_of_size:
            maps.append(x)
    return keras.Model(image, maps, name=ENCODER)
