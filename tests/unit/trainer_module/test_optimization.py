"""Learning rate, weight decay and clipping, against steps computed by hand."""

import keras
import numpy as np
import pytest

from trainer_module.config import TrainerConfig
from trainer_module.optimization import build_optimizer, learning_rate


@pytest.fixture
def network():
    image = keras.Input((4, 4, 3))
    x = keras.layers.BatchNormalization(beta_initializer="ones")(image)
    return keras.Model(image, keras.layers.Conv2D(2, 3, bias_initializer="ones")(x))


def rates(**settings):
    rate = learning_rate(TrainerConfig(epochs=4, learning_rate=0.8, **settings), steps_per_epoch=10)
    return [float(rate(step)) for step in range(40)]


def test_the_learning_rate_is_constant_by_default():
    assert learning_rate(TrainerConfig(learning_rate=0.8), 10) == 0.8


def test_the_learning_rate_rises_in_a_line_and_stays():
    expected = [0.8 * step / 5 for step in range(5)] + [0.8] * 35
    assert rates(warmup_epochs=0.5) == pytest.approx(expected)


def test_the_learning_rate_falls_as_a_cosine_to_0():
    expected = 0.4 * (1 + np.cos(np.pi * np.arange(40) / 40))
    assert rates(learning_rate_schedule="cosine") == pytest.approx(expected, abs=1e-6)
    assert expected[-1] < 0.002


def test_the_cosine_begins_after_the_warmup():
    expected = [0.08 * step for step in range(10)] + list(0.4 * (1 + np.cos(np.pi * np.arange(30) / 30)))
    assert rates(learning_rate_schedule="cosine", warmup_epochs=1) == pytest.approx(expected, abs=1e-6)


def test_a_training_may_be_all_warmup():
    assert rates(learning_rate_schedule="cosine", warmup_epochs=4) == pytest.approx([0.02 * s for s in range(40)])


def step(network, gradients, **settings):
    """Returns by how much one step changes each weight, by the last part of its name."""
    optimizer = build_optimizer(TrainerConfig(learning_rate=0.1, **settings), network, 10)
    before = {variable.path: variable.numpy() for variable in network.trainable_variables}
    optimizer.build(network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return {each.name: each.numpy() - before[each.path] for each in network.trainable_variables}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_kernels_alone_decay(network, optimizer):
    zeros = [np.zeros(variable.shape, np.float32) for variable in network.trainable_variables]
    kernel = network.layers[-1].kernel.numpy()
    changes = step(network, zeros, optimizer=optimizer, weight_decay=0.5)
    np.testing.assert_allclose(changes.pop("kernel"), -0.1 * 0.5 * kernel, rtol=1e-4)
    assert sorted(changes) == ["beta", "bias", "gamma"]
    assert all((change == 0).all() for change in changes.values())


def test_gradients_are_clipped_by_the_norm_over_all_weights(network):
    ones = [np.ones(variable.shape, np.float32) for variable in network.trainable_variables]
    norm = np.sqrt(network.count_params() - 6)  # but for the moving moments
    changes = step(network, ones, optimizer="sgd", gradient_clip_norm=2.0)
    for change in changes.values():
        np.testing.assert_allclose(change, -0.1 * 1.9 * 2 / norm, rtol=1e-4)  # Nesterov's first step is 1 + 0.9 long
    unclipped = step(network, ones, optimizer="sgd", gradient_clip_norm=100.0)
    for change in unclipped.values():
        np.testing.assert_allclose(change, -0.1 * 1.9, rtol=1e-4)
