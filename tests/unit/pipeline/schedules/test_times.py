"""Firing times in a time zone, changes of the clocks, and the same line in another zone."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.cron import Cron
from pipeline.config.loading import load_config
from pipeline.schedules.times import (
    clock_change_cautions,
    clock_changes,
    cron_in_zone,
    in_words,
    next_firings,
    previous_firing,
)
from trainer_module.errors import ConfigError

SPRING = datetime(2027, 3, 26, 12, tzinfo=UTC)
AUTUMN = datetime(2027, 10, 30, 12, tzinfo=UTC)


def utc(*moments: datetime) -> list[str]:
    return [f"{moment.astimezone(UTC):%m-%d %H:%M}" for moment in moments]


def test_a_line_in_words():
    assert in_words(Cron.parse("30 3 * * mon")) == "At 03:30, only on Monday"


def test_a_wall_time_that_the_clocks_skip_does_not_fire():
    firings = next_firings(Cron.parse("30 2 * * *"), "Europe/Berlin", SPRING, 3)
    assert utc(*firings) == ["03-27 01:30", "03-29 00:30", "03-30 00:30"]
    assert f"{firings[0]:%H:%M %z}" == "02:30 +0100"


def test_a_wall_time_that_comes_twice_fires_once_or_twice_as_the_scheduler_does():
    cron = Cron.parse("30 2 * * *")
    assert utc(*next_firings(cron, "Europe/Berlin", AUTUMN, 2)) == ["10-31 00:30", "11-01 01:30"]
    assert utc(*next_firings(cron, "Europe/Berlin", AUTUMN, 3, repeats=True)) == [
        "10-31 00:30",
        "10-31 01:30",
        "11-01 01:30",
    ]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize("now", [datetime(2027, 3, 27, 23, 45, tzinfo=UTC), datetime(2027, 10, 30, 23, 15, tzinfo=UTC)])
@pytest.mark.parametrize("line", ["30 2 * * *", "30 * * * *", "*/20 1-3 * * *"])
def test_systemd_fires_at_the_same_times_when_the_clocks_change(line, now):
    cron = Cron.parse(line)
    command = ["systemd-analyze", "calendar", f"--base-time={now:%Y-%m-%d %H:%M} UTC", "--iterations=9"]
    result = subprocess.run(
        [*command, cron.calendar_event("Europe/Berlin")],
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    by_systemd = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ \d+-(\d+-\d+ \d+:\d+)", result.stdout)
    assert by_systemd == utc(*next_firings(cron, "Europe/Berlin", now, 9))


def test_in_the_second_of_two_equal_hours_only_what_is_to_come_is_listed():
    now = datetime(2027, 10, 31, 1, 10, tzinfo=UTC)
    firings = next_firings(Cron.parse("*/20 * * * *"), "Europe/Berlin", now, 3, repeats=True)
    assert utc(*firings) == ["10-31 01:20", "10-31 01:40", "10-31 02:00"]


def test_cautions_name_the_day_and_what_the_scheduler_does():
    cautions = clock_change_cautions(Cron.parse("30 2 * * *"), "Europe/Berlin", SPRING, "no run", "two runs")
    assert cautions == [
        "2027-03-28 02:30 does not exist in Europe/Berlin: no run",
        "2027-10-31 02:30 comes twice in Europe/Berlin: two runs",
    ]


@pytest.mark.parametrize(("line", "zone"), [("30 2 * * *", "UTC"), ("0 3 * * *", "Europe/Berlin")])
def test_no_caution_without_a_change_of_the_clocks_at_that_time(line, zone):
    assert clock_change_cautions(Cron.parse(line), zone, SPRING, "no run", "two runs") == []


def test_changes_of_half_an_hour_are_found():
    change = next(clock_changes("Australia/Lord_Howe", datetime(2027, 1, 1, tzinfo=UTC), 366))
    assert (change.start, change.end, change.is_gap) == (
        datetime(2027, 4, 4, 1, 30),
        datetime(2027, 4, 4, 2, 0),
        False,
    )


@pytest.mark.parametrize(
    ("line", "zone", "expected"),
    [
        ("0 3 * * 1", "Asia/Tokyo", "0 18 * * 0"),
        ("30 9 * * 1-5", "Asia/Kolkata", "0 4 * * 1-5"),
        ("0 3,12 * * *", "Asia/Tokyo", "0 3,18 * * *"),
        ("0 20 * * 6", "America/Bogota", "0 1 * * 0"),
        ("0 12 1 * *", "Asia/Tokyo", "0 3 1 * *"),
        ("0 3 * * 1", "Etc/UTC", "0 3 * * 1"),
    ],
)
def test_a_zone_whose_clocks_never_change_is_converted(line, zone, expected):
    assert cron_in_zone(Cron.parse(line), zone, "UTC", SPRING).text == expected


@pytest.mark.parametrize(
    ("line", "zone", "message"),
    [
        ("0 3 * * 1", "Europe/Berlin", "CRON_SCHEDULE_TIMEZONE=Europe/Berlin"),
        ("0 3 1 * *", "Asia/Tokyo", "cannot be converted from Asia/Tokyo to UTC"),
        ("0 3,12 * * 1", "Asia/Tokyo", "cannot be converted"),
        ("0,20 3 * * *", "Asia/Kolkata", None),
        ("10,40 3 * * *", "Asia/Kolkata", "cannot be converted"),
    ],
)
def test_what_has_no_one_line_in_the_other_zone_is_refused(line, zone, message):
    if message is None:
        assert cron_in_zone(Cron.parse(line), zone, "UTC", SPRING).text == "30,50 21 * * *"
        return
    with pytest.raises(ConfigError, match=message):
        cron_in_zone(Cron.parse(line), zone, "UTC", SPRING)


@settings(deadline=None)
@given(
    st.integers(0, 59),
    st.sets(st.integers(0, 23), min_size=1),
    st.sets(st.integers(0, 6), min_size=1),
    st.sampled_from(["Asia/Tokyo", "Asia/Kathmandu", "America/Bogota", "Pacific/Kiritimati", "UTC"]),
)
def test_a_converted_line_fires_at_the_same_moments(minute, hours, weekdays, zone):
    cron = Cron.parse(f"{minute} {','.join(map(str, hours))} * * {','.join(map(str, weekdays))}")
    try:
        converted = cron_in_zone(cron, zone, "UTC", SPRING)
    except ConfigError:
        return
    assert utc(*next_firings(converted, "UTC", SPRING, 8)) == utc(*next_firings(cron, zone, SPRING, 8))


def test_two_zones_with_the_same_clocks_need_no_conversion():
    cron = Cron.parse("0 3 1 * *")
    assert cron_in_zone(cron, "Europe/Berlin", "Europe/Paris", SPRING) is cron


def test_an_unknown_zone_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"schedule\.time_zone: .*did you mean 'Europe/Berlin'"):
        load_config(overrides=["schedule.time_zone=Europe/Berln"])


def test_every_minute_is_listed_quickly_over_a_change():
    now = datetime(2027, 3, 28, 0, 58, tzinfo=UTC)
    firings = next_firings(Cron.parse("* * * * *"), "Europe/Berlin", now, 3)
    assert [later - now for later in firings] == [timedelta(minutes=minutes) for minutes in (1, 2, 3)]


@pytest.mark.parametrize(
    ("now", "previous"),
    [
        (datetime(2026, 3, 29, 12, tzinfo=UTC), "2026-03-28T02:30:00+01:00"),  # on the 29th 02:30 was skipped
        (datetime(2026, 10, 25, 12, tzinfo=UTC), "2026-10-25T02:30:00+02:00"),  # the first of two
        (datetime(2026, 7, 1, 0, 30, tzinfo=UTC), "2026-06-30T02:30:00+02:00"),  # earlier than now
    ],
)
def test_the_previous_firing_is_one_that_came(now, previous):
    assert previous_firing(Cron.parse("30 2 * * *"), "Europe/Berlin", now).isoformat() == previous
