"""A schedule that fires faster than its runs take is known by how long they took."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.config.cron import Cron
from pipeline.config.loading import load_config
from pipeline.runs.record import NodeRecord, NodeState, RunRecord, RunState
from pipeline.runs.store import RunStore
from pipeline.schedules.firings import Firing, FiringRecord
from pipeline.schedules.local_entry import LocalEntry
from pipeline.schedules.pace import firing_cautions, measured_seconds, pace_caution, shortest_gap

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOURLY = Cron.parse("0 * * * *")


@pytest.fixture
def store(tmp_path) -> RunStore:
    store = RunStore(tmp_path)
    store.prepare()
    return store


@pytest.fixture
def took(store):
    """Adds firings that took so many minutes."""

    def add(*minutes: float, trained: bool | None = True, code: int | None = 0) -> None:
        for number, taken in enumerate(minutes):
            with FiringRecord.changing(store.root, "nightly") as record:
                started = NOW + timedelta(hours=len(record.recent) + number)
                record.add(Firing(started=started).ending(code, "", seconds=taken * 60, trained=trained))

    return add


@pytest.fixture
def ran(store):
    """Adds a run of the root that took so many minutes."""

    def add(minutes: float, *, state: RunState = RunState.COMPLETE, trainer: NodeState = NodeState.COMPLETE) -> None:
        run_id = store.new_run_id()
        files = store.create_run(run_id)
        record = RunRecord.begin(run_id, load_config(preset="demo"), files.log)
        record.seconds, record.state = minutes * 60, state
        record.nodes = [NodeRecord(id="Trainer", state=trainer)]
        record.save(files.record)

    return add


def caution(store, line: str = "0 * * * *") -> str | None:
    return pace_caution(Cron.parse(line), "UTC", store, "nightly")


def test_the_measured_times_and_what_to_do_are_said(store, took):
    took(200, 72, 80, 100, 90, 75)
    assert caution(store) == (
        "firings come every 1 h, and the last 5 runs took 1 h 12 m to 1 h 40 m: a firing that finds a run going on is "
        "skipped; fire every 2 h or less often"
    )


def test_runs_that_fit_in_are_no_matter(store, took):
    assert caution(store) is None
    took(59, 60)
    assert caution(store) is None


@pytest.mark.parametrize(
    ("line", "minutes", "said"),
    [
        ("*/30 * * * *", 31, "firings come every 30 m, and the last run took 31 m: "),
        ("0 3,4 * * *", 61, "firings come as close as 1 h, and"),
        ("0 3 * * 1-5", 26 * 60, "fire every 2 days or less often"),
        ("0 0,12 * * *", 13 * 60, "fire every day or less often"),
        ("* * * * *", 1.5, "fire every 2 m or less often"),
        ("*/2 * * * *", 11.8, "fire every 15 m or less often"),
    ],
)
def test_the_two_closest_firings_count(store, took, line, minutes, said):
    took(minutes)
    assert said in caution(store, line)


def test_firings_that_trained_count_before_those_that_had_no_reason_to(store, took):
    took(72)
    took(*[0.5] * 10, trained=False)
    assert measured_seconds(store, "nightly") == [72 * 60]


def test_where_none_trained_all_that_are_done_count(store, took):
    took(2, 3, trained=False)
    took(90, trained=None, code=1)
    took(91, trained=None, code=None)
    assert measured_seconds(store, "nightly") == [180, 120]


def test_where_no_firing_is_known_the_runs_of_the_root_count(store, ran, took):
    ran(72)
    ran(80)
    ran(500, state=RunState.FAILED)
    ran(3, trainer=NodeState.CACHED)
    (store.runs_dir / "20990101-000000-000000").mkdir()
    (store.runs_dir / "20990101-000000-000000" / "run.json").write_text("{")
    assert measured_seconds(store, "nightly") == [80 * 60, 72 * 60]
    took(5)
    assert measured_seconds(store, "nightly") == [300]


def test_changes_of_the_clocks_are_no_shorter_day():
    before = datetime(2026, 3, 20, tzinfo=UTC)
    assert shortest_gap(Cron.parse("0 3 * * *"), "Europe/Berlin", before) == (24 * 3600, True)


def test_a_skipped_firing_is_told_until_one_runs(store, took):
    entry = LocalEntry(
        name="nightly", cron="0 3 * * *", time_zone="Europe/Berlin", catch_up=False, run_arguments=(), directory="/",
        root=str(store.root), python="python",
    )  # fmt: skip
    assert firing_cautions(entry) == []
    with FiringRecord.changing(store.root, "nightly") as record:
        record.skipped = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
    [said] = firing_cautions(entry)
    assert said == "the firing of Fri 2026-11-27 03:00 was skipped, since a run went on"
    took(26 * 60)
    [said] = firing_cautions(entry)
    assert said.startswith("firings come every 24 h, and the last run took 26 h")
