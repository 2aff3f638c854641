"""Signals: one ends a run in order, a second at once."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pipeline.runs import process
from pipeline.runs.process import interruptible

BUSY = """
import hashlib, threading
from pipeline.runs.process import interruptible
with interruptible(lambda: print("asked", flush=True), lambda: print("aborted", flush=True)):
    threading.Timer(0.3, print, ["busy"], {"flush": True}).start()
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 500_000_000)
"""


def nothing() -> None:
    pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_a_keyboard_interrupt_and_the_handlers_come_back(number):
    before = signal.getsignal(number)
    asked = []
    with interruptible(lambda: asked.append(1), nothing) as interruption, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert interruption.requested
    assert asked == [1]
    assert signal.getsignal(number) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_an_interrupt_that_something_swallowed_is_raised_at_the_next_check():
    with interruptible(nothing, nothing) as interruption:
        interruption.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()


def test_an_echo_of_the_signal_disturbs_nobody(monkeypatch):
    aborted = []
    monkeypatch.setattr(os, "_exit", aborted.append)
    with interruptible(nothing, lambda: aborted.append("aborted")):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert aborted == []


@pytest.mark.parametrize(("second", "aborts"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGHUP, False)])
def test_a_hang_up_that_the_shell_passes_on_is_no_second_request(second, aborts, monkeypatch):
    monkeypatch.setattr(process, "_ECHO_SECONDS", -1.0)
    heard: list[str] = []
    ended = threading.Event()
    monkeypatch.setattr(os, "_exit", lambda code: (heard.append(f"exit {code}"), ended.set()))
    with interruptible(lambda: heard.append("asked"), lambda: heard.append("aborted")):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(second)
        if aborts:
            assert ended.wait(60)
    assert heard == ["asked", *(["aborted", "exit 130"] if aborts else [])]


def test_a_second_signal_ends_the_process_even_if_it_runs_no_python():
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "busy\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "asked\n"
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "aborted\n"
        assert process.wait(timeout=5) == 130
