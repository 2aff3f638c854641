"""What of an encoder with weights from before is trained: nothing at first, and then not its statistics."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf
from tiny_training import STEPS, Killed, fn_args, load_drawn_weights, network_on_encoder, result, train_until

from trainer_module import checkpoints, resumption, trainer
from trainer_module.checkpoints import Checkpoint
from trainer_module.config import TrainerConfig
from trainer_module.encoder_catalogue import ENCODER
from trainer_module.features import BASELINE_FILE
from trainer_module.fine_tuning import FineTuning
from trainer_module.warm_start import ExportedWeights, weight_names

SETTINGS = {"model": "unet_lite0", "freeze_epochs": 1, "encoder_learning_rate": 0.004, "encoder_statistics": "adapt"}


@pytest.fixture
def network():
    return network_on_encoder(16, 3)


def step(network):
    """Returns which weights of the encoder a step of gradient descent changes, statistics included."""
    encoder = network.get_layer(ENCODER)
    before = [weight.numpy() for weight in encoder.weights]
    with tf.GradientTape() as tape:
        logits = network(np.random.default_rng(0).random((2, 16, 16, 3), np.float32), training=True)
        loss = tf.reduce_sum(logits[..., 0])
    for gradient, weight in zip(tape.gradient(loss, network.trainable_weights), network.trainable_weights, strict=True):
        weight.assign_sub(gradient)
    return {each.name for each, old in zip(encoder.weights, before, strict=True) if not np.array_equal(each, old)}


def fine_tuning(network, *, is_pretrained=True, **settings):
    return FineTuning(network.get_layer(ENCODER), TrainerConfig(**settings), is_pretrained=is_pretrained)


def test_normalization_is_kept_while_everything_else_learns(network):
    fine_tuning(network)
    assert step(network) == {"kernel"}


def test_statistics_adapt_when_asked_for(network):
    fine_tuning(network, encoder_statistics="adapt")
    assert step(network) == {"kernel", "gamma", "beta", "moving_mean", "moving_variance"}


def test_a_held_encoder_stays_as_it_is_whatever_its_statistics_do_later(network):
    for statistics in ("keep", "adapt"):
        tuned = fine_tuning(network, encoder_statistics=statistics)
        before = len(network.trainable_weights)
        tuned.hold(True)
        assert step(network) == set()
        tuned.hold(False)
        assert len(network.trainable_weights) == before
    assert step(network) > {"moving_mean"}


def test_random_weights_have_nothing_to_keep(network, caplog):
    tuned = fine_tuning(network, is_pretrained=False, model="unet_lite0", freeze_epochs=2)
    assert tuned.frozen_epochs == 0
    assert "freeze_epochs is 2, but the encoder starts from random weights" in caplog.text
    assert step(network) > {"moving_mean"}


@pytest.fixture
def drawn(network):
    """The weights that the encoder of a tiny training starts from."""
    encoder = network.get_layer(ENCODER)
    load_drawn_weights(encoder, "", "imagenet")
    return encoder.get_weights()


def are_equal(arrays, others):
    return [np.array_equal(array, other.astype(np.float32)) for array, other in zip(arrays, others, strict=True)]


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_encoder", "weights_alone")
@pytest.mark.parametrize("statistics", ["keep", "adapt"])
def test_the_encoder_is_held_for_its_epochs_in_the_weights_and_in_their_average(
    statistics, data, network, drawn, tmp_path, monkeypatch
):
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "checkpoints"))
    written = []
    monkeypatch.setattr(checkpoints.CheckpointStore, "save", lambda _, checkpoint: written.append(checkpoint))
    settings = SETTINGS | {"encoder_statistics": statistics, "epochs": 2}
    trainer.run_fn(fn_args(data, tmp_path, **settings))
    held, released = (checkpoint.variables for checkpoint in written)
    in_average, count = len(network.weights), len(drawn)
    for start in (0, in_average):
        assert are_equal(held[start : start + count], drawn) == [True] * count
        stays = [False, *[statistics == "keep"] * (count - 1)]
        assert are_equal(released[start : start + count], drawn) == stays, "the kernel, and its normalization"
    assert not np.array_equal(held[in_average - 1], released[in_average - 1]), "the decoder learns"


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_encoder", "weights_alone")
def test_a_training_killed_before_at_and_after_the_release_ends_as_an_unbroken_one(data, tmp_path, monkeypatch):
    """With two steps an execution, of which epochs of three have a short one, against one."""
    trainer.run_fn(fn_args(data, tmp_path / "unbroken", **SETTINGS))
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "checkpoints"))
    monkeypatch.setattr(resumption, "_SECONDS_BETWEEN_CHECKPOINTS", 0)
    args = fn_args(data, tmp_path / "run", steps_per_execution=2, **SETTINGS)
    for executions, position in ((1, (0, 2)), (2, (0, STEPS)), (3, (1, 2))):  # counted from the epoch that goes on
        train_until(args, resumption.Resumption, "on_train_batch_end", executions, after=True)
        [file] = (tmp_path / "checkpoints").rglob("*.npz")
        left = Checkpoint.from_bytes(file.read_bytes()).position
        assert (left.epoch, left.step) == position
    trainer.run_fn(args)
    assert result(tmp_path / "run") == result(tmp_path / "unbroken")


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_encoder")
def test_other_encoder_weights_are_another_training(data, tmp_path, monkeypatch):
    """Also where the settings name the same file."""
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "checkpoints"))
    directories = set()

    def noted(self, expected):
        directories.add(self._directory)
        raise Killed

    monkeypatch.setattr(checkpoints.CheckpointStore, "load", noted)
    for content in ("one", "other", "other"):
        load = functools.partial(load_drawn_weights, content=content)
        monkeypatch.setattr(trainer, "load_weights", load)
        with pytest.raises(Killed):
            trainer.run_fn(fn_args(data, tmp_path, **SETTINGS))
    assert len(directories) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_encoder", "weights_alone")
def test_a_warm_start_wins_over_encoder_weights(network, data, tmp_path, monkeypatch):
    """They are not even looked for; and the encoder is held as one with weights of ImageNet is."""
    rng = np.random.default_rng(1)
    arrays = {
        name: rng.random(weight.shape, np.float32)
        for name, weight in zip(weight_names(network), network.weights, strict=True)
    }
    monkeypatch.setattr(trainer, "find_weights", lambda *_: ExportedWeights("/served/7", "unet_lite0", arrays))
    monkeypatch.delattr(trainer, "load_weights")
    trainer.run_fn(fn_args(data, tmp_path, epochs=1, **SETTINGS))
    _, found = result(tmp_path)
    for index, array in enumerate(list(arrays.values())[: len(network.get_layer(ENCODER).weights)]):
        assert found[f"_weights/{index}/.ATTRIBUTES/VARIABLE_VALUE"] == array.tobytes()
    assert json.loads((tmp_path / "warm_start.json").read_text())["taken"] == len(arrays)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_encoder", "weights_alone")
def test_while_nothing_is_served_the_encoder_has_its_own_weights(data, drawn, tmp_path, caplog):
    args = fn_args(data, tmp_path, epochs=1, warm_start="served", **SETTINGS)
    args.base_model = str(tmp_path / "Format-Serving")
    (tmp_path / BASELINE_FILE).write_text(json.dumps({"version": "", "reason": "no model is served in /x"}))
    caplog.set_level("INFO", logger="absl")
    trainer.run_fn(args)
    assert "No warm start: no model is served in /x" in caplog.text
    assert "The encoder starts from the weights 'imagenet'" in caplog.text
    _, found = result(tmp_path)
    assert found["_weights/0/.ATTRIBUTES/VARIABLE_VALUE"] == drawn[0].astype(np.float32).tobytes()
