"""Scheduled retraining, day after day under a clock of its own, with what goes wrong: `benchmarks/retraining_year.py`.

`make test-year` runs it: less than three weeks, some minutes; with `LENGTH=year` the whole year, which takes an hour.
"""

import os
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LENGTH = os.environ.get("PETSEG_TEST_YEAR")
IS_WHOLE = LENGTH == "year"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(4 * 3600 if IS_WHOLE else 1800),
    pytest.mark.skipif(not LENGTH, reason="takes minutes: make test-year"),
]


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        monkeypatch.setattr(sys, "argv", ["year"])
        from retraining_year import MONTH, YEAR, simulate

        plan, days = (YEAR, 365) if IS_WHOLE else (MONTH, 1 + max(MONTH))
        return simulate(tmp_path_factory.mktemp("year") / "world", days, plan, 0, print)


def rows(year, *outcomes):
    return [row for row in year.rows if row.outcome in outcomes]


def test_no_firing_is_lost(year):
    assert rows(year, "lost") == []
    assert [row.day for row in year.rows] == list(range(len(year.rows)))


def test_no_version_is_worse_than_the_one_before(year):
    assert rows(year, "pushed")
    assert year.worse == []


def test_it_trains_only_where_there_is_a_reason(year):
    quiet = [row for row in year.rows if row.outcome == "skipped"]
    assert len(quiet) > len(year.rows) / 3
    assert all(row.why for row in year.rows)


def test_a_killed_firing_is_made_up_for_by_the_next(year):
    for row in rows(year, "killed"):
        following = next(each for each in year.rows[row.day + 1 :] if each.outcome not in ("killed", "paused"))
        is_done = following.outcome in ("pushed", "not pushed") or row.run in following.why
        assert is_done, f"day {row.day}: {following}"


def test_a_paused_schedule_does_not_fire(year):
    paused = [row.day for row in rows(year, "paused")]
    assert paused == list(range(paused[0], paused[-1] + 1))


def test_data_that_lost_its_masks_is_refused_and_the_served_model_stays(year):
    blank = next(row for row in year.rows if "lose all masks" in row.event)
    assert blank.outcome == "refused"
    assert "one class" in blank.why or "has lost what masks are for" in blank.why
    assert blank.served == year.rows[blank.day - 1].served


def test_of_two_firings_at_once_one_runs(year):
    twice = next(row for row in year.rows if "fire twice" in row.event)
    assert "the other firing was skipped" in twice.event


def test_what_was_rolled_back_does_not_come_back(year):
    rolled = next(row for row in year.rows if "roll back" in row.event)
    for row in year.rows[rolled.day :]:
        if row.data != rolled.data:
            break
        assert row.outcome == "skipped", f"day {row.day}: {row}"


def test_nothing_is_pushed_while_pushes_are_frozen(year):
    first = next(row.day for row in year.rows if "freeze" in row.event.split("; "))
    last = next(row.day for row in year.rows if "unfreeze" in row.event)
    assert rows(year, "pushed")[-1].day >= last, "what the freeze has kept back comes after it"
    assert not any(row.outcome == "pushed" for row in year.rows[first:last])


def test_the_disk_stays_flat(year):
    quarter = len(year.rows) // 4
    assert max(row.disk_mb for row in year.rows[-quarter:]) < 1.5 * max(row.disk_mb for row in year.rows[: 2 * quarter])
