"""The process of a pod, and how it is ended."""

import io

import pytest

from pipeline.kubeflow.dry_run.pod import DeadlineExceededError, PodProcess
from trainer_module.errors import PetsegError

TIDIES_UP = """
import pathlib, signal, sys, time

def tidy(*_):
    time.sleep(0.2)
    pathlib.Path(sys.argv[1]).touch()
    sys.exit(143)

signal.signal(signal.SIGTERM, tidy)
time.sleep(60)
"""
IGNORES = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def test_a_pod_that_is_ended_has_time_to_tidy_up(tmp_path):
    command = ["python", "-S", "-c", TIDIES_UP, str(tmp_path / "tidied")]
    with pytest.raises(DeadlineExceededError):
        PodProcess(tmp_path / "log").run(command, {}, tmp_path, deadline=2, executor_log=io.BytesIO())
    assert (tmp_path / "tidied").exists()


def test_a_pod_that_ignores_it_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.kubeflow.dry_run.pod._GRACE_SECONDS", 0.1)
    with pytest.raises(DeadlineExceededError):
        PodProcess(tmp_path / "log").run(
            ["python", "-S", "-c", IGNORES], {}, tmp_path, deadline=1, executor_log=io.BytesIO()
        )


def test_a_command_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PetsegError, match="cannot start 'no-such-program': No such file"):
        PodProcess(tmp_path / "log").run(["no-such-program"], {"PATH": "/nowhere"}, tmp_path, None, io.BytesIO())
