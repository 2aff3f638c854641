"""Cron lines: what is refused and why, and the same firing times in every notation."""

import os
import re
import shutil
import subprocess
from datetime import datetime
from itertools import islice

import pytest
import robfig_cron
from croniter import croniter
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from pipeline.config.cron import Cron
from pipeline.config.loading import load_config
from trainer_module.errors import ConfigError

START = datetime(2027, 1, 30, 23, 58)
NAMES = {
    3: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    4: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
BOUNDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


@st.composite
def field_texts(draw, index: int) -> str:
    least, greatest = BOUNDS[index]
    names = NAMES.get(index)

    def written(number: int) -> str:
        return draw(st.sampled_from([str(number), names[number - least].upper()])) if names else str(number)

    def part() -> str:
        kind = draw(st.sampled_from(["any", "number", "range"]))
        if kind == "number":
            return written(draw(st.integers(least, greatest)))
        step = f"/{draw(st.integers(1, greatest))}" if draw(st.booleans()) else ""
        if kind == "any":
            return f"*{step}"
        first = draw(st.integers(least, greatest - 1))
        last = draw(st.integers(first + 1, greatest))  # croniter takes 0-0 for *
        return f"{written(first)}-{written(last)}{step}"

    return ",".join(part() for _ in range(draw(st.integers(1, 3))))


@st.composite
def cron_lines(draw) -> str:
    fields = [draw(field_texts(index)) for index in range(5)]
    fields[draw(st.sampled_from([2, 4]))] = "*"
    return " ".join(fields)


def firing_times(line: str, **options) -> list[datetime]:
    iterator = croniter(line, START, **options)
    return [iterator.get_next(datetime) for _ in range(6)]


def parse_unless_it_never_fires(line: str) -> Cron:
    try:
        return Cron.parse(line)
    except ValueError as error:
        if "never fires" not in str(error):
            raise
        reject()


@settings(deadline=None)
@given(cron_lines())
def test_every_notation_fires_at_the_times_of_the_line(line):
    cron = parse_unless_it_never_fires(line)
    expected = firing_times(line)
    assert firing_times(cron.text) == expected
    assert firing_times(cron.kubeflow, second_at_beginning=True) == expected
    assert Cron.parse(cron.text) == cron


@settings(deadline=None)
@given(cron_lines())
def test_kubeflow_reads_the_values_that_were_written(line):
    cron = parse_unless_it_never_fires(line)
    read = robfig_cron.parse(cron.kubeflow)
    assert read == [{0}, cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "got nothing"),
        ("0 3 * *", "got 4: '0 3 * *'"),
        ("0 0 3 * * 1 2027", "got 7"),
        ("0 0 3 * * 1", "those of Kubeflow Pipelines, seconds first, which petseg adds by itself: write '0 3 * * 1'"),
        ("@daily", "for '@daily' write '0 0 * * *'"),
        ("@reboot", "got '@reboot'"),
        ("0 3 1 * 1", "restricts both the day of the month and the day of the week"),
        ("0 3 */2 * mon", "restricts both"),
        ("0 3 * * 7", "write Sunday as 0"),
        ("0 3 * * 5-7", "write Sunday as 0"),
        ("60 * * * *", "the minute is '60': expected 0 to 59, not '60'"),
        ("0 24 * * *", "the hour is '24': expected 0 to 23"),
        ("0 0 0 * *", "the day of the month is '0': expected 1 to 31"),
        ("0 0 * 13 *", "the month is '13': expected 1 to 12 or jan to dec"),
        ("0 0 * * monday", "expected 0 to 6 or sun to sat, not 'monday'"),
        ("0 0 L * *", "L, W and # are extensions"),
        ("0 0 15W * *", "L, W and # are extensions"),
        ("0 0 * * 1L", "L, W and # are extensions"),
        ("0 0 * * 1#2", "L, W and # are extensions"),
        ("0 0 ? * 1", "for ? write *"),
        ("H 0 * * *", "at random"),
        ("R(0-5) 0 * * *", "at random"),
        ("5/15 * * * *", "schedulers read '5/15' differently; write 5-59/15"),
        ("0 22-2 * * *", "the range '22-2' ends before it starts; split it"),
        ("0 0 * * fri-mon", "ends before it starts"),
        ("*/0 * * * *", "a step is 1 to 59"),
        ("1,,2 * * * *", "expected a number, a-b, a,b, */n or a-b/n, not ''"),
        ("-1 * * * *", "expected a number"),
        ("٣ * * * *", "expected a number"),
        ("0 0 31 2 *", "never fires: no month of '2' has the day '31'"),
        ("0 0 31 4,6 *", "never fires"),
    ],
)
def test_a_line_that_means_something_else_elsewhere_is_refused_when_the_configuration_is_read(line, message):
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[f"schedule.cron={line}"])
    assert str(caught.value).startswith("schedule.cron: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("0 3 * * 1", "Mon *-*-* 3:0:00 UTC"),
        ("*/20 0-6 * * mon-fri", "Mon,Tue,Wed,Thu,Fri *-*-* 0..6:0,20,40:00 UTC"),
        ("5 4 1,15 jan-mar *", "*-1..3-1,15 4:5:00 UTC"),
    ],
)
def test_calendar_events(line, event):
    assert Cron.parse(line).calendar_event("UTC") == event


@pytest.mark.parametrize(
    ("line", "caution"),
    [
        ("*/7 * * * *", "minute: steps of 7 start again at 0 in each round"),
        ("0 0 31 * *", "a month without the day 31 gets no run"),
        ("0 0 29 2 *", "a month without the day 29 gets no run"),
    ],
)
def test_cautions(line, caution):
    assert any(caution in said for said in Cron.parse(line).cautions)


@pytest.mark.parametrize(
    "line", ["*/15 * * * *", "0 */6 * * *", "0 3 * * 1", "* * * * *", "0 0 28 * *", "0 0 31 1,3 *"]
)
def test_a_plain_line_has_no_cautions(line):
    assert Cron.parse(line).cautions == []


def test_the_ends_of_ranges_are_part_of_them():
    cron = Cron.parse("10-12 1-2 * * sun-tue")
    assert (cron.minutes, cron.hours, cron.weekdays) == ({10, 11, 12}, {1, 2}, {0, 1, 2})
    assert list(islice(cron.text.split(), 2)) == ["10-12", "1,2"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize(
    "line", ["0 3 * * 1", "*/20 2-6 * jan-mar mon-fri", "5 4 31 */2 *", "15 0,12 * * sun", "0 0 29 2 *"]
)
def test_systemd_fires_at_the_times_of_the_line(line):
    event = Cron.parse(line).calendar_event("UTC")
    command = ["systemd-analyze", "calendar", f"--base-time={START:%Y-%m-%d %H:%M} UTC", "--iterations=6", event]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC"})
    times = re.findall(r"(?:Next elapse|Iter\. #\d): \w+ (\S+ \S+) UTC", result.stdout)
    assert [datetime.fromisoformat(time) for time in times] == firing_times(Cron.parse(line).text)
