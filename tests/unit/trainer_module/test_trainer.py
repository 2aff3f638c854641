"""A training that is killed or ended by a signal, and started again, ends as one that was not."""

import signal
from pathlib import Path

import pytest
import tensorflow as tf
from tiny_training import DATA, EPOCHS, STEPS, fn_args, raw_eval_examples, result, train_until

from trainer_module import checkpoints, resumption, trainer
from trainer_module.checkpoints import Checkpoint
from trainer_module.errors import DataError, TrainingInterrupted
from trainer_module.segmentation_metrics import segmentation_metrics

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tiny_unet")]

END_OF_BATCH = (resumption.Resumption, "on_train_batch_end")


@pytest.fixture
def checkpoint_dir(tmp_path, monkeypatch):
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path / "checkpoints"))
    return tmp_path / "checkpoints"


def files(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob("*") if path.is_file()]


def left(checkpoint_dir: Path) -> tuple[int, int]:
    """Finished epochs and steps of the one checkpoint that there is."""
    assert files(checkpoint_dir) == ["checkpoint.npz"]
    [file] = checkpoint_dir.rglob("checkpoint.npz")
    position = Checkpoint.from_bytes(file.read_bytes()).position
    return position.epoch, position.step


KILLS = {
    "within an epoch, without checkpoints there": ((*END_OF_BATCH, STEPS + 3), 600, (1, 0)),
    "within an epoch": ((*END_OF_BATCH, 3), 0, (1, 2)),
    "after validation": ((resumption.Resumption, "on_epoch_end", 1), 0, (1, STEPS)),
    "in the export": ((trainer, "export_model", 1), 600, (EPOCHS, 0)),
}
"""When: the moment, counted from where the training goes on; seconds between checkpoints; where the last one is."""


@pytest.mark.usefixtures("weights_alone")
def test_a_training_killed_at_one_moment_after_the_other_ends_as_an_unbroken_one(
    data, unbroken, checkpoint_dir, tmp_path, monkeypatch
):
    for moment, seconds_between, position in KILLS.values():
        monkeypatch.setattr(resumption, "_SECONDS_BETWEEN_CHECKPOINTS", seconds_between)
        train_until(fn_args(data, tmp_path / "killed"), *moment)
        assert left(checkpoint_dir) == position
    trainer.run_fn(fn_args(data, tmp_path / "resumed"))
    assert result(tmp_path / "resumed") == result(unbroken)
    assert files(checkpoint_dir) == []


SIGNALS = {
    "within an epoch": ((resumption.Resumption, "on_train_batch_begin", 2), (0, 2)),
    "in validation": ((resumption.Resumption, "on_test_batch_begin", STEPS + 2), (1, STEPS)),
    "at the end of an epoch": ((resumption.Resumption, "on_epoch_end", 1), (2, 0)),
}


@pytest.mark.usefixtures("weights_alone")
def test_a_signal_leaves_a_checkpoint_of_that_step_and_ends_with_143(data, unbroken, checkpoint_dir, tmp_path, caplog):
    for moment, position in SIGNALS.values():
        caplog.clear()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        args = fn_args(data, tmp_path / "ended")
        end = train_until(args, *moment, lambda: signal.raise_signal(signal.SIGTERM), TrainingInterrupted)
        assert end.code == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert "asked to end in epoch" in caplog.text
        assert "goes on from a checkpoint" in caplog.text
        assert left(checkpoint_dir) == position
    trainer.run_fn(fn_args(data, tmp_path / "resumed"))
    assert result(tmp_path / "resumed") == result(unbroken)


@pytest.mark.usefixtures("weights_alone")
def test_early_stopping_and_best_weights_go_on_where_they_were(data, checkpoint_dir, tmp_path, monkeypatch):
    settings = {
        "recipe": {},
        "early_stopping_patience": 2,
        "best_weights": True,
        "epochs": 6,
        "learning_rate": 0.5,
        "seed": 1,
    }
    monkeypatch.delenv(checkpoints.CHECKPOINT_DIR_VARIABLE)
    trainer.run_fn(fn_args(data, tmp_path / "unbroken", **settings))
    stopped_after = len(result(tmp_path / "unbroken")[0])
    assert 2 < stopped_after < 6, "the test needs a training that stops early"
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(checkpoint_dir))
    moments = [(*END_OF_BATCH, 2 * STEPS + 1), (trainer, "export_model", 1)]
    for moment in moments:
        train_until(fn_args(data, tmp_path / "killed", **settings), *moment)
    trainer.run_fn(fn_args(data, tmp_path / "resumed", **settings))
    assert result(tmp_path / "resumed") == result(tmp_path / "unbroken")


@pytest.mark.usefixtures("weights_alone")
def test_another_training_does_not_take_the_checkpoint(data, unbroken, checkpoint_dir, tmp_path):
    train_until(fn_args(data, tmp_path / "killed"), *END_OF_BATCH, STEPS + 1)
    trainer.run_fn(fn_args(data, tmp_path / "other", seed=4))
    assert len(result(tmp_path / "other")[0]) == 3
    assert result(tmp_path / "other") != result(unbroken), "the seed decides a training"
    assert files(checkpoint_dir) == ["checkpoint.npz"], "that of the first training is left for it"


@pytest.mark.usefixtures("weights_alone")
def test_the_seed_alone_decides_a_training(data, unbroken, tmp_path):
    trainer.run_fn(fn_args(data, tmp_path))
    assert result(tmp_path) == result(unbroken)


def test_history_has_the_mean_iou_of_both_splits(unbroken):
    epochs, _ = result(unbroken)
    assert all(0 < epoch[name] < 1 for epoch in epochs for name in ("mean_iou", "val_mean_iou"))


def test_validation_history_is_that_of_the_exported_weights(data, tmp_path):
    """Averaged weights are both what is validated and what is exported; so are those of the best epoch."""
    trainer.run_fn(fn_args(data, tmp_path, learning_rate=0.1, weight_averaging=0.9))
    epochs, _ = result(tmp_path)
    answers = tf.saved_model.load(str(tmp_path / "model")).signatures["evaluation"](examples=raw_eval_examples(data))
    matrix = answers["confusion_matrix"].numpy().sum(axis=0).reshape(3, 3)
    metrics = segmentation_metrics(matrix, 0.0, DATA.class_names)
    best = max(epochs, key=lambda epoch: epoch["val_mean_iou"])
    assert metrics["mean_iou"] == pytest.approx(best["val_mean_iou"], abs=1e-6)
    assert metrics["accuracy"] == pytest.approx(best["val_accuracy"], abs=1e-6)


def test_a_class_that_never_occurs_cannot_be_balanced(data, tmp_path):
    args = fn_args(data, tmp_path)
    args.custom_config["data"] |= {"class_names": ("a", "b", "c", "d"), "mask_values": (1, 2, 3, 4)}
    with pytest.raises(DataError, match="'train' split has no pixel of 'd'"):
        trainer.run_fn(args)
