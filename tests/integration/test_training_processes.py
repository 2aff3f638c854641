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
from tiny_training import result, write_data

SCRIPT = Path(__file__).parents[1] / "tiny_training.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


def start(data: Path, output: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    command = [sys.executable, str(SCRIPT), str(data), str(output), *arguments]
    return subprocess.Popen(command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen[str]) -> str:
    log, _ = process.communicate(timeout=300)
    assert process.returncode == 0, log
    return log


def test_a_training_killed_again_and_again_ends_as_an_unbroken_one(data, tmp_path):
    """Kills it before a checkpoint, amid the writing of one, and before one is in its place."""
    checkpoint_dir = tmp_path / "checkpoints"
    unbroken = start(data, tmp_path / "unbroken")
    for moment, number in (("step", 3), ("writing", 3), ("renaming", 4)):
        killed = start(data, tmp_path / moment, moment, str(number), PETSEG_CHECKPOINT_DIR=str(checkpoint_dir))
        killed.communicate(timeout=300)
        assert killed.returncode == -signal.SIGKILL
    log = finish(start(data, tmp_path / "last", PETSEG_CHECKPOINT_DIR=str(checkpoint_dir)))
    assert "The training goes on after epoch" in log
    finish(unbroken)
    assert result(tmp_path / "last") == result(tmp_path / "unbroken")
    assert list(checkpoint_dir.iterdir()) == []


def test_two_workers_train_what_one_does(data, tmp_path):
    """Two processes that find each other by TF_CONFIG share each batch; the chief alone writes."""
    addresses = free_addresses(2)
    workers = []
    for index in range(2):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        workers.append(start(data, tmp_path / f"worker{index}", TF_CONFIG=json.dumps(cluster)))
    alone = {"cluster": {"worker": addresses[:1]}, "task": {"type": "worker", "index": 0}}
    finish(start(data, tmp_path / "alone", TF_CONFIG=json.dumps(alone)))
    for worker in workers:
        finish(worker)
    assert_same_training(tmp_path / "worker0", tmp_path / "alone")
    assert list((tmp_path / "worker1").rglob("*")) == [tmp_path / "worker1" / "model"]


def test_two_devices_train_what_one_does(data, tmp_path):
    """One process mirrors the network over two devices of its CPU."""
    mirrored = start(data, tmp_path / "mirrored", PETSEG_TEST_DEVICES="2")
    finish(start(data, tmp_path / "alone", PETSEG_TEST_DEVICES="1"))
    finish(mirrored)
    assert_same_training(tmp_path / "mirrored", tmp_path / "alone")


def assert_same_training(output: Path, expected: Path) -> None:
    history, weights = result(output)
    expected_history, expected_weights = result(expected)
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
