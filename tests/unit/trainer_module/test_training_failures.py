"""A training that cannot go on says why, and leaves nothing broken behind."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_training import STEPS, fn_args

from trainer_module import checkpoints, resumption, trainer
from trainer_module.checkpoints import Checkpoint
from trainer_module.config import TrainerConfig
from trainer_module.errors import TrainingError
from trainer_module.training_failures import FiniteTraining, explained_memory_errors

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _checkpoints(tiny_unet, weights_alone, monkeypatch, tmp_path):
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "checkpoints"))
    monkeypatch.setattr(resumption, "_SECONDS_BETWEEN_CHECKPOINTS", 0)


def break_weights(monkeypatch, at_step, index=-1):
    """Sets the weights of that index to NaN after the n-th step."""
    original, calls = resumption.Resumption.on_train_batch_end, iter(range(1, 1000))

    def broken(self, batch, logs=None):
        if next(calls) == at_step:
            weight = self.model.network.weights[index]
            weight.assign(np.full(weight.shape, np.nan))
        original(self, batch, logs)

    monkeypatch.setattr(resumption.Resumption, "on_train_batch_end", broken)


def saved_checkpoint(tmp_path) -> Checkpoint:
    [file] = (tmp_path / "checkpoints").rglob("checkpoint.npz")
    return Checkpoint.from_bytes(file.read_bytes())


@pytest.mark.parametrize(
    ("at_step", "index", "said", "kept"),
    [
        (STEPS + 1, -1, r"the loss on the 'train' split is nan after step 2 of epoch 2", (1, 0)),
        (2 * STEPS, -1, r"the loss on the 'eval' split is nan after step 3 of epoch 2", (1, STEPS - 1)),
        (STEPS + 1, 0, r"\d of 8 weights \(conv2d.*/kernel, …\) are NaN or infinite after step 3 of epoch 2", (1, 0)),
    ],
    ids=["within an epoch", "in the last step of one", "behind a ReLU"],
)
def test_numbers_that_are_not_finite_stop_the_training(at_step, index, said, kept, data, tmp_path, monkeypatch):
    break_weights(monkeypatch, at_step, index)
    with pytest.raises(TrainingError, match=said) as raised:
        trainer.run_fn(fn_args(data, tmp_path / "run", {}, class_weights=[1.0, 1.0, 5.0]))
    for cause in ("learning rate 0.01", "try 0.001", "gradient_clip_norm", "class weights", "corrupt"):
        assert cause in str(raised.value)
    assert not (tmp_path / "run" / "model").exists()
    left = saved_checkpoint(tmp_path)
    assert left.is_finite
    assert (left.position.epoch, left.position.step) == kept


def test_an_overflow_of_float16_is_named_where_it_is_used():
    training = FiniteTraining(TrainerConfig(precision="mixed_float16"))
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd")
    training.set_model(model)
    training.set_params({"steps": STEPS})
    with pytest.raises(TrainingError, match=r"float16 overflowed \(set trainer.precision = "):
        training.on_train_batch_end(0, {"loss": float("inf")})


def test_causes_that_the_settings_exclude_are_not_named(data, tmp_path, monkeypatch):
    break_weights(monkeypatch, 1)
    with pytest.raises(TrainingError) as raised:
        trainer.run_fn(fn_args(data, tmp_path / "run", {}, gradient_clip_norm=1.0))
    assert not [cause for cause in ("gradient_clip_norm", "float16", "class weights") if cause in str(raised.value)]


def test_the_next_training_with_other_settings_starts_anew_and_is_sound(data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        break_weights(patch, STEPS + 1)
        with pytest.raises(TrainingError):
            trainer.run_fn(fn_args(data, tmp_path / "broken"))
    trainer.run_fn(fn_args(data, tmp_path / "sound", learning_rate=0.001))
    reader = tf.train.load_checkpoint(str(tmp_path / "sound" / "model" / "variables" / "variables"))
    weights = [name for name in reader.get_variable_to_shape_map() if name.startswith("_weights")]
    assert weights
    assert all(np.isfinite(reader.get_tensor(name)).all() for name in weights)


@pytest.mark.parametrize("error", [tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), MemoryError()])
def test_memory_that_is_used_up_names_the_settings(error, data, tmp_path, monkeypatch):
    def exhausted(self, epoch, logs=None):
        raise error

    monkeypatch.setattr(resumption.Resumption, "on_epoch_begin", exhausted)
    with pytest.raises(TrainingError, match=r"trainer.batch_size = 2 and images of 16×16; set trainer.batch_size = 1;"):
        trainer.run_fn(fn_args(data, tmp_path / "run"))


def test_advice_on_memory_fits_the_settings():
    config = TrainerConfig(batch_size=1, precision="mixed_float16")
    with pytest.raises(TrainingError) as raised, explained_memory_errors(config, 512):
        raise MemoryError
    assert "smaller than 512" in str(raised.value)
    assert "set trainer" not in str(raised.value)


def test_a_full_disk_is_not_taken_for_memory():
    error = tf.errors.ResourceExhaustedError(None, None, f"events.out: {os.strerror(28)}")
    with pytest.raises(tf.errors.ResourceExhaustedError), explained_memory_errors(TrainerConfig(), 128):
        raise error
