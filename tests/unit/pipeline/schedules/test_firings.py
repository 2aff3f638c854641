"""What is told of the last firing of a schedule of this machine, and the log of the firings."""

import fcntl
import os
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.runs.store import RunStore
from pipeline.schedules.firings import FULL_LOG_BYTES, Firing, FiringLog, FiringRecord, last_firing
from pipeline.schedules.local_entry import LocalEntry

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
AT_THREE = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
MONTH_AGO = NOW - timedelta(days=30)


@pytest.fixture
def told(tmp_path):
    """Returns what is told of a record; the schedule fires daily at three."""
    RunStore(tmp_path).prepare()
    entry = LocalEntry(
        name="nightly", cron="0 3 * * *", time_zone="UTC", catch_up=False, run_arguments=(), directory="/",
        root=str(tmp_path), python="python",
    )  # fmt: skip

    def tell(record: FiringRecord | None = None, enabled: bool = True):
        if record is not None:
            record.save(tmp_path, "nightly")
        return last_firing(entry, enabled=enabled, now=NOW)

    return tell


def ended(code: int | None, reason: str = "") -> FiringRecord:
    firing = Firing(started=AT_THREE, ended=AT_THREE + timedelta(hours=1), exit_code=code, reason=reason)
    return FiringRecord(since=MONTH_AGO, last=firing)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(0, "done"), (3, "done, not blessed"), (130, "interrupted"), (1, "failed"), (2, "failed"), (None, "failed")],
)
def test_the_exit_code_says_what_became_of_it(told, code, outcome):
    found = told(ended(code, "why"))
    assert (found.time, found.outcome, found.reason) == (AT_THREE, outcome, "why")


def test_a_firing_whose_process_died_is_no_run_that_goes_on(told, tmp_path):
    record = FiringRecord(since=MONTH_AGO, last=Firing(started=AT_THREE))
    assert "died without a word" in told(record).reason
    with RunStore(tmp_path).lock("20261128-030000-000000"):
        assert told(record).outcome == "running"
    assert told(FiringRecord(since=MONTH_AGO, last=Firing(started=NOW - timedelta(minutes=1)))).outcome == "running"


def test_a_firing_that_left_nothing_is_missing(told):
    before = Firing(started=AT_THREE - timedelta(days=1)).ending(0, "")
    found = told(FiringRecord(since=MONTH_AGO, last=before))
    assert (found.time, found.outcome) == (AT_THREE, "missing")
    assert found.reason.startswith("no firing is recorded since 2026-11-27 03:00 +0000; was the machine off")
    assert told(enabled=False).outcome == "done"


@pytest.mark.parametrize("since", [AT_THREE, NOW])
def test_nothing_is_missing_that_was_not_due(told, since):
    assert told(FiringRecord(since=since)) is None


def test_a_skipped_firing_is_heard_of(told):
    found = told(FiringRecord(since=MONTH_AGO, skipped=AT_THREE))
    assert (found.time, found.outcome, found.reason) == (AT_THREE, "skipped", "another run went on")
    before = Firing(started=AT_THREE - timedelta(days=1)).ending(1, "why")
    assert told(FiringRecord(since=MONTH_AGO, skipped=AT_THREE, last=before)).outcome == "failed"


def test_what_cannot_be_read_is_not_guessed_at(told, tmp_path):
    assert told() is None
    (tmp_path / "schedule-nightly.json").write_text("{")
    assert told() is None


def test_a_record_begun_anew_keeps_the_last_firing(tmp_path):
    ended(1, "why").save(tmp_path, "nightly")
    FiringRecord.begin(tmp_path, "nightly")
    record = FiringRecord.load(tmp_path, "nightly")
    assert record.last.reason == "why"
    assert record.since > MONTH_AGO
    assert [path.name for path in tmp_path.iterdir()] == ["schedule-nightly.json"]


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
