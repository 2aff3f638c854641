"""The U-Net on an encoder that was made to tell images apart, in plain Keras 3 layers."""

import functools
from typing import Final

import keras
from keras import layers, ops

DECODER_FILTERS: Final = (160, 96, 64, 64)
_EDGE_FILTERS: Final = 16
_SUBPIXELS: Final = 2


def encoder_unet(encoder: keras.Model, num_classes: int, name: str, *, synchronized: bool = False) -> keras.Model:
    """Draws the way up from an encoder's maps to logits at the size of the image.

    The decoder ends at half of the resolution, where a convolution costs a quarter, and each of its pixels says the
    logits of the four that it covers (sub-pixel convolution, Shi et al. 2016, https://arxiv.org/abs/1609.05158). What
    lies between them comes from a convolution of the image itself.

    Args:
      encoder: From images [batch, size, size, 3] to five maps, at a half, a quarter, … of the size.
      num_classes: Number of classes.
      name: Of the network.
      synchronized: Whether the decoder's batch normalization is over all replicas.
    """
    normalize = functools.partial(layers.BatchNormalization, momentum=0.9, synchronized=synchronized)

    def conv(x: keras.KerasTensor, filters: int, size: int = 3, strides: int = 1) -> keras.KerasTensor:
        convolution = layers.Conv2D(
            filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal"
        )
        return layers.ReLU()(normalize()(convolution(x)))

    def upsample(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        return layers.UpSampling2D(interpolation="bilinear")(conv(x, filters, 1))

    image = keras.Input(encoder.input_shape[1:], name="image")
    *skips, x = encoder(image)
    skips[0] = layers.Concatenate()([skips[0], conv(image, _EDGE_FILTERS, strides=2)])
    for count, skip in zip(DECODER_FILTERS, reversed(skips), strict=True):
        x = conv(layers.Concatenate()([upsample(x, count), skip]), count)
    x = layers.Conv2D(_SUBPIXELS**2 * num_classes, 1, name="subpixel_logits", dtype="float32")(x)
    logits = ops.depth_to_space(x, _SUBPIXELS, data_format="channels_last")
    return keras.Model(image, logits, name=name)
