"""When a schedule may be changed: not near a firing time of the old line or of the new one."""

from datetime import UTC, datetime

import pytest

from pipeline.config.cron import Cron
from pipeline.schedules.replacement import wait_for_quiet


def waits(*lines: str, at: str, zone: str = "UTC") -> tuple[list[float], list[str]]:
    """Returns for how long it waited, and what it said."""
    slept: list[float] = []
    said: list[str] = []
    moment = datetime.fromisoformat(f"2027-01-05T{at}").replace(tzinfo=UTC)
    wait_for_quiet([(Cron.parse(line), zone) for line in lines], said.append, lambda: moment, slept.append)
    return slept, said


@pytest.mark.parametrize("at", ["02:59:29", "03:00:31", "12:00:00"])
def test_far_from_a_firing_time_it_does_not_wait(at):
    assert waits("0 3 * * *", at=at) == ([], [])


@pytest.mark.parametrize(("at", "seconds"), [("02:59:31", 59), ("03:00:00", 30), ("03:00:10", 20), ("02:59:59", 31)])
def test_near_one_it_waits_until_the_server_has_looked(at, seconds):
    slept, said = waits("0 3 * * *", at=at)
    assert slept == [seconds]
    assert "the schedule fires at 03:00" in said[0]


def test_the_later_of_two_firing_times_counts():
    assert waits("0 3 * * *", "1 3 * * *", at="03:00:30.5")[0] == [59.5]
    assert waits("0 5 * * *", "0 3 * * *", at="03:00:00")[0] == [30]


def test_firing_times_are_those_of_the_servers_zone():
    assert waits("0 12 * * *", at="03:00:00", zone="Asia/Tokyo")[0] == [30]
    assert waits("0 3 * * *", at="03:00:00", zone="Asia/Tokyo") == ([], [])


def test_a_schedule_of_every_minute_does_not_wait_for_ever():
    assert len(waits("* * * * *", at="03:00:00")[0]) == 1
