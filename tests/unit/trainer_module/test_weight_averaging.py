"""The average of the weights, against its formula in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer_module.optimization import AveragedNetwork


@pytest.fixture
def network():
    image = keras.Input((4, 4, 3))
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(image)))
    return keras.Model(image, x)


def test_the_average_starts_as_the_network(network):
    average = AveragedNetwork(network, 0.99).network
    for one, other in zip(average.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert average.trainable_variables == []


def test_the_average_follows_all_weights_and_leaves_the_start_behind(network):
    averaging = AveragedNetwork(network, 0.3)
    rng = np.random.default_rng(0)
    expected = network.get_weights()
    for step in range(1, 8):
        network.set_weights([rng.random(weight.shape) for weight in network.get_weights()])
        averaging.update(tf.constant(step))
        momentum = min(0.3, (step - 1) / (step + 8))
        expected = [
            momentum * average + (1 - momentum) * weight
            for average, weight in zip(expected, network.get_weights(), strict=True)
        ]
        for found, wanted in zip(averaging.network.get_weights(), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
