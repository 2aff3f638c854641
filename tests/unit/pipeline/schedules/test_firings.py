"""What is told of the last firing of a schedule of this machine."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.runs.store import RunStore
from pipeline.schedules.firings import Firing, FiringRecord, last_firing, lone_firing
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


def test_a_firing_without_a_reason_to_train_says_so(told):
    firing = Firing(started=AT_THREE).ending(0, "tiles 1.1.0, recipe and gate are as they were", is_needless=True)
    found = told(FiringRecord(since=MONTH_AGO, last=firing))
    assert (found.outcome, found.reason) == (
        "done, no reason to train",
        "tiles 1.1.0, recipe and gate are as they were",
    )


class TestClockSetBack:
    """What was recorded by a clock that went ahead, and was set back since."""

    AHEAD = NOW + timedelta(days=3)

    def test_no_firing_is_of_a_time_to_come(self, told):
        found = told(FiringRecord(since=MONTH_AGO, last=Firing(started=self.AHEAD).ending(1, "why")))
        assert (found.time, found.outcome) == (NOW, "failed")
        assert found.reason == "why; the clock said 2026-12-01 12:00 +0000 then, and was set back since"
        assert told(FiringRecord(since=MONTH_AGO, skipped=self.AHEAD)).time == NOW

    def test_one_that_died_does_not_run_until_then(self, told):
        assert "died without a word" in told(FiringRecord(since=MONTH_AGO, last=Firing(started=self.AHEAD))).reason
        a_step = Firing(started=NOW + timedelta(seconds=20))
        assert told(FiringRecord(since=MONTH_AGO, last=a_step)).outcome == "running"

    def test_the_next_firing_mends_the_record(self, told, tmp_path):
        ahead = datetime.now(UTC) + timedelta(days=3)
        told(FiringRecord(since=ahead, skipped=ahead))
        with FiringRecord.changing(tmp_path, "nightly") as record:
            record.add(Firing(started=datetime.now(UTC)).ending(0, ""))
        record = FiringRecord.load(tmp_path, "nightly")
        assert max(record.since, record.skipped, record.last.started) <= datetime.now(UTC)

    def test_a_firing_takes_no_less_than_nothing(self):
        firing = Firing(started=datetime.now(UTC) + timedelta(hours=1)).ending(0, "")
        assert (firing.ended, firing.seconds) == (firing.started, 0)


def test_the_latest_firings_are_kept_with_their_times(tmp_path):
    for hour in range(25):
        with FiringRecord.changing(tmp_path, "nightly") as record:
            firing = Firing(started=MONTH_AGO + timedelta(hours=hour))
            record.add(firing)
            record.add(firing.ending(0, "", seconds=hour, trained=hour % 2 == 0))
            record.add(firing.ending(0, "", seconds=hour).model_copy(update={"not_told": "why"}))
    record = FiringRecord.load(tmp_path, "nightly")
    assert [past.seconds for past in record.recent] == list(range(5, 25))
    assert [past.trained for past in record.recent][-2:] == [False, True]
    assert record.last.not_told == "why"


def test_changes_at_the_same_time_are_all_kept(tmp_path):
    def change(number: int) -> None:
        with FiringRecord.changing(tmp_path, "nightly") as record:
            time.sleep(0.01)
            record.add(Firing(started=MONTH_AGO + timedelta(hours=number)).ending(0, ""))

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(FiringRecord.load(tmp_path, "nightly").recent) == 8


def test_one_firing_holds_the_root(tmp_path):
    for _ in range(2):
        with lone_firing(tmp_path) as first:
            with lone_firing(tmp_path) as second:
                assert (first, second) == (True, False)
            with lone_firing(tmp_path) as third:
                assert not third
