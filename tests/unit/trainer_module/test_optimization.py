"""Learning rate, weight decay and clipping, against steps computed by hand."""

import keras
import numpy as np
import pytest
from tiny_training import network_on_encoder

from trainer_module.config import TrainerConfig
from trainer_module.encoder_catalogue import ENCODER
from trainer_module.fine_tuning import FineTuning
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


STEPS_PER_EPOCH = 4


def fine_tuned(steps=1, held=0, gradient=1.0, **settings):
    """Returns the weights, those of the encoder first, before and after each step of equal gradients.

    In the first steps, as many as `held`, the encoder has none.
    """
    config = TrainerConfig(model="unet_lite0", encoder_statistics="adapt", learning_rate=0.1, **settings)
    network = network_on_encoder(16, 3)
    network.set_weights([np.ones(weight.shape) for weight in network.get_weights()])
    fine_tuning = FineTuning(network.get_layer(ENCODER), config, is_pretrained=True)
    optimizer = build_optimizer(config, network, STEPS_PER_EPOCH, fine_tuning)
    everything = network.trainable_variables
    optimizer.build(everything)
    values = [[each.numpy() for each in everything]]
    for step in range(steps):
        fine_tuning.hold(step < held)
        variables = network.trainable_variables
        optimizer.apply([np.full(each.shape, gradient, np.float32) for each in variables], variables)
        values.append([each.numpy() for each in everything])
    return [dict(zip(names(everything), each, strict=True)) for each in values]


def names(variables):
    """Returns what the weights are called, each after its part of the network: Keras numbers the decoder's layers."""
    return [f"{'encoder' if index < 3 else 'decoder'}/{index}/{each.name}" for index, each in enumerate(variables)]


def changes(before, after):
    return {name: (after[name] - before[name]).ravel()[0] for name in before}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_encoder_learns_and_decays_at_its_own_rate(optimizer):
    settings = {"optimizer": optimizer, "weight_decay": 0.5, "encoder_learning_rate": 0.02}
    for gradient in (0.0, 1.0):
        found = changes(*fine_tuned(gradient=gradient, **settings))
        learned = gradient * (1.9 if optimizer == "sgd" else 1)  # Nesterov's first step is 1 + 0.9 long
        for name, change in found.items():
            rate, decay = 0.02 if name.startswith("encoder") else 0.1, 0.5 * name.endswith("kernel")
            assert change == pytest.approx(-rate * (learned + decay), rel=1e-4), name


def test_the_encoder_is_clipped_by_the_norm_over_all_weights():
    values = fine_tuned(optimizer="sgd", gradient_clip_norm=2.0, encoder_learning_rate=0.02)
    norm = np.sqrt(sum(value.size for value in values[0].values()))
    for name, change in changes(*values).items():
        rate = 0.02 if name.startswith("encoder") else 0.1
        assert change == pytest.approx(-rate * 1.9 * 2 / norm, rel=1e-4), name


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_encoder_that_was_held_goes_on_as_one_whose_training_begins(optimizer):
    """Adam's correction of its bias would else make updates of more than six times the learning rate."""
    settings = {"optimizer": optimizer, "weight_decay": 0.01}
    held = fine_tuned(2 * STEPS_PER_EPOCH, held=STEPS_PER_EPOCH, freeze_epochs=1, **settings)
    plain = fine_tuned(2 * STEPS_PER_EPOCH, **settings)
    for step in range(2 * STEPS_PER_EPOCH + 1):
        for name, value in held[step].items():
            number = max(0, step - STEPS_PER_EPOCH) if name.startswith("encoder") else step
            np.testing.assert_allclose(value, plain[number][name], rtol=1e-4, err_msg=f"{name} after {step} steps")
