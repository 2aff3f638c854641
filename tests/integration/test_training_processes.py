"""Trainings in processes of their own: killed at any moment and started again, and shared by two workers."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_training import (
    fn_args,
    load_drawn_weights,
    network_on_encoder,
    plain_network,
    result,
    tiny_network,
    write_data,
)

from trainer_module import checkpoints, networks, trainer

SCRIPT = Path(__file__).parents[1] / "tiny_training.py"

Result = tuple[list[dict[str, float]], dict[str, bytes]]
"""History and weights."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def train_here(data, tmp_path_factory):
    """Trains in this process, without checkpoints; returns the history and the weights."""

    def train(network, **settings):
        output = tmp_path_factory.mktemp("here")
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.delenv(checkpoints.CHECKPOINT_DIR_VARIABLE, raising=False)
            monkeypatch.setitem(networks.MODELS, settings.get("model", "unet"), network)
            monkeypatch.setattr(trainer, "load_weights", load_drawn_weights)
            trainer.run_fn(fn_args(data, output, **settings))
        return result(output)

    return train


@pytest.fixture(scope="module")
def alone(train_here):
    """What one worker trains on one device, in a cluster that has no other."""
    cluster = {"cluster": {"worker": free_addresses(1)}, "task": {"type": "worker", "index": 0}}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
        return train_here(plain_network)


def start(data: Path, output: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    command = [sys.executable, str(SCRIPT), str(data), str(output), *arguments]
    return subprocess.Popen(command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen[str]) -> str:
    log, _ = process.communicate(timeout=300)
    assert process.returncode == 0, log
    return log


def test_a_training_killed_again_and_again_ends_as_an_unbroken_one(data, train_here, tmp_path):
    """Kills it before a checkpoint, amid the writing of one, and before one is in its place."""
    checkpoint_dir = tmp_path / "checkpoints"
    for moment, number in (("step", 3), ("writing", 3), ("renaming", 4)):
        killed = start(data, tmp_path / moment, moment, str(number), PETSEG_CHECKPOINT_DIR=str(checkpoint_dir))
        killed.communicate(timeout=300)
        assert killed.returncode == -signal.SIGKILL
    log = finish(start(data, tmp_path / "last", PETSEG_CHECKPOINT_DIR=str(checkpoint_dir)))
    assert "The training goes on after epoch" in log
    assert result(tmp_path / "last") == train_here(tiny_network)
    assert list(checkpoint_dir.iterdir()) == []


def test_two_workers_train_what_one_does(data, alone, tmp_path):
    """Two processes that find each other by TF_CONFIG share each batch; the chief alone writes.

    At the end they are made to disagree: each hears in what, and nothing of what they agree on.
    """
    addresses = free_addresses(2)
    workers = []
    for index in range(2):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        workers.append(start(data, tmp_path / f"worker{index}", TF_CONFIG=json.dumps(cluster)))
    for index, worker in enumerate(workers):
        told = f"the workers of the training do not agree: the index of the worker is 0 or 1, here {index}. Give all of"
        assert told in finish(worker)
    assert_same_training(result(tmp_path / "worker0"), alone)
    assert list((tmp_path / "worker1").rglob("*")) == [tmp_path / "worker1" / "model"]


def test_two_devices_train_what_one_does(data, alone, tmp_path):
    """One process mirrors the network over two devices of its CPU."""
    finish(start(data, tmp_path / "mirrored", PETSEG_TEST_DEVICES="2"))
    assert_same_training(result(tmp_path / "mirrored"), alone)


def test_two_devices_fine_tune_an_encoder_as_one_does(data, train_here, tmp_path):
    """It is held for an epoch, and then learns at a rate of its own, with statistics over both devices.

    By SGD: Adam makes steps of the rounding of gradients that are nearly 0.
    """
    settings = {
        "model": "unet_lite0",
        "optimizer": "sgd",
        "freeze_epochs": 1,
        "encoder_learning_rate": 0.004,
        "encoder_statistics": "adapt",
    }
    finish(start(data, tmp_path, PETSEG_TEST_DEVICES="2", PETSEG_TEST_SETTINGS=json.dumps(settings)))
    assert_same_training(result(tmp_path), train_here(network_on_encoder, **settings))


def assert_same_training(found: Result, expected: Result) -> None:
    (history, weights), (expected_history, expected_weights) = found, expected
    for epoch, expected_epoch in zip(history, expected_history, strict=True):
        assert epoch == pytest.approx(expected_epoch, rel=1e-4)
    for name, value in expected_weights.items():
        found, wanted = np.frombuffer(weights[name], np.float32), np.frombuffer(value, np.float32)
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def free_addresses(count: int) -> list[str]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses
