"""The U-Net on an encoder that was made to tell images apart, in plain Keras 3 layers."""

import functools
from typing import Final

import keras
from keras import layers, ops

DECODER_FILTERS: Final = (160, 96, 64, 64)
_EDGE_FILTERS: Final = 16
_SUBPIXELS: Final = 2

_PRETRAINED_SIZE: Final = 224
"""Side of the images of ImageNet that encoders are trained on, in pixels."""

_GREATEST_ENLARGEMENT: Final = 1.5
_SIZE_MULTIPLE: Final = 32


def seen_size(image_size: int) -> int:
    """Returns the side of the images that the encoder sees: smaller ones are enlarged towards what it was trained on.

    At 128×128 a pet's features are finer than those that the weights know: half as large again costs two thirds more
    time and is worth 0.035 of mean IoU in the first half epoch.

    Example:
      >>> [seen_size(side) for side in (64, 128, 160, 256)]
      [96, 192, 224, 256]
    """
    enlarged = min(int(image_size * _GREATEST_ENLARGEMENT), max(image_size, _PRETRAINED_SIZE))
    return -(-enlarged // _SIZE_MULTIPLE) * _SIZE_MULTIPLE


def encoder_unet(
    encoder: keras.Model, image_size: int, num_classes: int, name: str, *, synchronized: bool = False
) -> keras.Model:
    """Draws the way up from an encoder's maps to logits at the size of the image.

    The decoder ends at half of the resolution, where a convolution costs a quarter, and each of its pixels says the
    logits of the four that it covers (sub-pixel convolution, Shi et al. 2016, https://arxiv.org/abs/1609.05158). What
    lies between them comes from a convolution of the image itself.

    Args:
      encoder: From images [batch, size, size, 3] to five maps, at a half, a quarter, … of the size; `seen_size` of the
        network's image size.
      image_size: Side of the square input, in pixels: a multiple of 32.
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

    def resize(x: keras.KerasTensor, size: int) -> keras.KerasTensor:
        # Not by the layer Resizing: where a call does not say, it has all layers after it train (Keras 3.15).
        if x.shape[1] == size:
            return x
        return ops.image.resize(x, (size, size), interpolation="bilinear", data_format="channels_last")

    image = keras.Input((image_size, image_size, 3), name="image")
    *skips, x = encoder(resize(image, encoder.input_shape[1]))
    half = image_size // _SUBPIXELS
    skips[0] = layers.Concatenate()([resize(skips[0], half), conv(image, _EDGE_FILTERS, strides=2)])
    for count, skip in zip(DECODER_FILTERS, reversed(skips), strict=True):
        x = conv(layers.Concatenate()([resize(conv(x, count, 1), skip.shape[1]), skip]), count)
    x = layers.Conv2D(_SUBPIXELS**2 * num_classes, 1, name="subpixel_logits", dtype="float32")(x)
    logits = ops.depth_to_space(x, _SUBPIXELS, data_format="channels_last")
    return keras.Model(image, logits, name=name)
