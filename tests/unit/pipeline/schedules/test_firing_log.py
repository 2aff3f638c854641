"""The log of the firings: it is kept short, and no line is lost."""

import fcntl
import os
import sys
import threading

import pytest

from pipeline.schedules.firing_log import FULL_LOG_BYTES, FiringLog


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Returns the log of a firing that begins; what is printed goes there until the next one begins."""
    standard = [(tmp_path / name).open("w") for name in ("stdout", "stderr")]
    monkeypatch.setattr(sys, "stdout", standard[0])
    monkeypatch.setattr(sys, "stderr", standard[1])
    yield lambda name="nightly": FiringLog(tmp_path, name)
    for stream in standard:
        stream.close()


def fill(log, text: str) -> None:
    log.write_text(text * (FULL_LOG_BYTES // len(text) + 1))


def test_a_log_that_is_not_full_goes_on(begin, tmp_path):
    for what in ("started", "ended"):
        begin().write(what)
    lines = (tmp_path / "schedule.log").read_text().splitlines()
    assert [line.partition("schedule ")[2] for line in lines] == ["nightly: started", "nightly: ended"]
    assert not (tmp_path / "schedule.log.1").exists()


def test_a_full_log_is_put_aside_and_the_newest_lines_are_kept(begin, tmp_path):
    log, former = tmp_path / "schedule.log", tmp_path / "schedule.log.1"
    for round_ in ("first\n", "second\n"):
        fill(log, round_)
        begin().write(f"after the {round_.strip()}")
        assert set(former.read_text().splitlines()) == {round_.strip()}
        [line] = log.read_text().splitlines()
        assert line.endswith(f"schedule nightly: after the {round_.strip()}")
    kept = sum(file.stat().st_size for file in (log, former))
    assert FULL_LOG_BYTES < kept < FULL_LOG_BYTES + 1000


def test_a_firing_whose_log_is_put_aside_meanwhile_loses_nothing(begin, tmp_path):
    first = begin("first")
    print("Error: of the first", flush=True)
    with (tmp_path / "schedule.log").open("a") as log:
        fill_up = "a line\n" * (FULL_LOG_BYTES // 7)
        log.write(fill_up)
    os.write(first._descriptor, b"error: the last of the first\n")
    second = begin("second")
    print("error: of the second", flush=True)
    os.write(first._descriptor, b"goes on\n")
    assert first.last_error() == "the last of the first"
    assert second.last_error() == "of the second"
    assert (tmp_path / "schedule.log.1").read_text().endswith("a line\nerror: the last of the first\ngoes on\n")
    assert (tmp_path / "schedule.log").read_text() == "error: of the second\n"


def test_of_two_firings_that_find_the_log_full_one_puts_it_aside(begin, tmp_path):
    log, former = tmp_path / "schedule.log", tmp_path / "schedule.log.1"
    fill(log, "old\n")
    with log.open("r+") as other:  # stands for a firing that has just seen that the log is full
        fcntl.flock(other, fcntl.LOCK_EX)
        second = threading.Thread(target=begin)
        second.start()
        second.join(0.2)
        assert second.is_alive()
        log.rename(former)
        log.write_text("of the other\n")
    second.join(30)
    assert log.read_text() == "of the other\n"
    assert set(former.read_text().splitlines()) == {"old"}
