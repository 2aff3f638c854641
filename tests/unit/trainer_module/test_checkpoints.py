"""The file of a checkpoint, whose it is, and when it goes."""

import os
import time

import numpy as np
import pytest

from trainer_module import checkpoints
from trainer_module.checkpoints import Checkpoint, CheckpointStore, Position

EXPECTED = {"variables": [((2, 3), "float32")], "optimizer": [((), "int64")], "metrics": [((), "float32")]}


def checkpoint(step=2, variable_shape=(2, 3)):
    selection = {"wait": 1, "stopped_epoch": 0, "best": 0.1 + 0.2, "best_epoch": 3}
    return Checkpoint(
        Position(4, step, True, [{"epoch": 1, "loss": 1 / 3}], selection, [0, 3]),
        variables=[np.full(variable_shape, 1 / 3, np.float32)],
        optimizer=[np.int64(7)],
        metrics=[np.float32(0.1)] if step else [],
        best_weights=[np.arange(12.0) + index for index in range(11)],
        samples=[np.full((2, 4, 4), 3, np.uint8), np.zeros((2, 4, 4), np.uint8)],
    )


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(str(tmp_path / "checkpoints"), {"seed": 1})


@pytest.fixture
def file(store, tmp_path):
    store.save(checkpoint())
    [file] = (tmp_path / "checkpoints").glob("training-*/*")
    return file


@pytest.mark.parametrize("step", [0, 2])
def test_a_checkpoint_comes_back_to_the_bit_and_in_order(store, step):
    saved = checkpoint(step)
    store.save(saved)
    loaded = store.load(EXPECTED)
    assert loaded.position == saved.position
    for group in ("variables", "optimizer", "metrics", "best_weights", "samples"):
        arrays = getattr(saved, group)
        assert len(getattr(loaded, group)) == len(arrays)
        for found, wanted in zip(getattr(loaded, group), arrays, strict=True):
            np.testing.assert_array_equal(found, wanted, strict=True)


def test_there_is_none_at_first(store):
    assert store.load(EXPECTED) is None


def test_another_training_has_another_directory(store, file, tmp_path):
    assert CheckpointStore(str(tmp_path / "checkpoints"), {"seed": 2}).load(EXPECTED) is None
    assert CheckpointStore(str(tmp_path / "checkpoints"), {"seed": 1}).load(EXPECTED) is not None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_file_is_named_and_left_alone(store, file, damage, caplog):
    content = bytearray(file.read_bytes())
    middle = content.index(np.float32(1 / 3).tobytes())
    content[middle] ^= 1
    damaged = {"cut": content[: len(content) // 2], "flipped": content, "empty": b"", "other": b"no archive"}
    file.write_bytes(damaged[damage])
    assert store.load(EXPECTED) is None
    assert f"{file} cannot be read" in caplog.text


def test_a_checkpoint_of_another_network_is_not_taken(store, caplog):
    store.save(checkpoint(variable_shape=(3, 3)))
    assert store.load(EXPECTED) is None
    assert "its variables have other shapes; the training starts from its beginning" in caplog.text


def test_a_disk_that_takes_nothing_does_not_end_the_training(tmp_path, caplog):
    (tmp_path / "checkpoints").write_text("a file where the directory should be")
    CheckpointStore(str(tmp_path / "checkpoints"), {}).save(checkpoint())
    assert "No checkpoint could be written" in caplog.text


def test_removing_takes_its_own_and_what_was_abandoned(store, file, tmp_path):
    root = tmp_path / "checkpoints"
    for name, days in {"training-old": 31, "training-new": 29, "unrelated": 99}.items():
        (root / name).mkdir()
        (root / name / "checkpoint.npz").touch()
        then = time.time() - days * 24 * 3600
        os.utime(root / name / "checkpoint.npz", (then, then))
    store.remove()
    assert sorted(path.name for path in root.iterdir()) == ["training-new", "unrelated"]


def test_without_the_variable_there_is_no_store(monkeypatch, tmp_path):
    monkeypatch.delenv(checkpoints.CHECKPOINT_DIR_VARIABLE, raising=False)
    assert CheckpointStore.from_environment({}) is None
    monkeypatch.setenv(checkpoints.CHECKPOINT_DIR_VARIABLE, str(tmp_path))
    assert CheckpointStore.from_environment({}) is not None
