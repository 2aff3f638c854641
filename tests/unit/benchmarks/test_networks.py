"""The count of multiply-adds, by which shares of a peak are told."""

import keras
from keras import layers


def test_depthwise_convolutions_and_those_of_an_encoder_count():
    from networks import multiply_adds

    image = keras.Input((8, 8, 3))
    encoder = keras.Model(image, layers.DepthwiseConv2D(3, strides=2, padding="same")(layers.Conv2D(4, 1)(image)))
    outer = keras.Input((8, 8, 3))
    network = keras.Model(outer, layers.Conv2D(2, 3, padding="same")(encoder(outer)))
    assert multiply_adds(encoder) == 8 * 8 * 3 * 4 + 4 * 4 * 9 * 4
    assert multiply_adds(network) == multiply_adds(encoder) + 4 * 4 * 9 * 4 * 2
