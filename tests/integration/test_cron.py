"""Schedules under a real cron daemon, that of Debian and Ubuntu; libfaketime shifts, quickens and sets its clock."""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from private_machine import PrivateMachine, missing_programs

from pipeline.runs.store import RunStore
from pipeline.schedules.firings import FiringRecord, last_firing
from pipeline.schedules.local_entry import LocalEntry

FAKE_CLOCK = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
SPOOL = """
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/spool/cron
mkdir /var/spool/cron/crontabs; chgrp crontab /var/spool/cron/crontabs; chmod 1730 /var/spool/cron/crontabs
mount --bind /dev/null /etc/crontab
mount -t tmpfs tmpfs /etc/cron.d
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        FAKE_CLOCK is None or bool(missing_programs("cron", "crontab")),
        reason=missing_programs("cron", "crontab") or "there is no libfaketime",
    ),
]


@pytest.fixture
def machine(tmp_path):
    with PrivateMachine(tmp_path, SPOOL) as machine:
        yield machine


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def start_before_the_minute(machine: PrivateMachine):
    """Starts cron two seconds before a full minute by its clock, which is less than a minute ahead."""
    ahead = 58 - time.time() % 60
    return machine.start("cron", "-f", LD_PRELOAD=str(FAKE_CLOCK), FAKETIME=f"{ahead:+.1f}s")


def test_a_firing_runs_or_is_skipped_or_paused_and_a_missing_one_is_told(machine, tmp_path):
    (tmp_path / "pets.toml").write_text('preset = "demo"\n[schedule]\ncron = "* * * * *"\n')
    names, roots = ("broken", "busy", "paused"), {}
    for name in names:
        roots[name] = tmp_path / name
    machine.petseg(
        *(
            ["apply", "--set", f"schedule.name={name}", "--set", f"pipeline.root={root}"]
            for name, root in roots.items()
        ),
        ["pause", "paused"],
    )
    (tmp_path / "pets.toml").write_text('preset = "demo"\ntrainer.epoch = 3\n[schedule]\ncron = "* * * * *"\n')

    def record(name: str) -> FiringRecord:
        found = FiringRecord.load(roots[name], name)
        assert found is not None
        return found

    with RunStore(roots["busy"]).lock("20260101-000000-000000"):
        cron = start_before_the_minute(machine)
        wait_for(lambda: record("broken").recent != [] and record("busy").skipped is not None)
        machine.stop(cron)
    fired = record("broken").last
    assert fired.exit_code == 2
    assert "did you mean 'trainer.epochs'?" in fired.reason
    assert record("busy").skipped_for == "20260101-000000-000000"
    assert "skipped, since the run 20260101-000000-000000 goes on" in (roots["busy"] / "schedule.log").read_text()
    assert not (roots["paused"] / "schedule.log").exists()
    [block] = [line for line in machine.run("crontab", "-l").stdout.splitlines() if '"name":"broken"' in line]
    entry = LocalEntry.read(block.removeprefix("# "), "the crontab")
    assert entry.command == "retrain"
    found = last_firing(entry, enabled=True, now=datetime.now(UTC) + timedelta(minutes=7))  # cron is gone
    assert found.outcome == "missing"
    assert found.time - fired.started >= timedelta(seconds=30)


INSTALL = """
import json, sys
from pipeline.schedules.crontab import Crontab
from pipeline.schedules.local_entry import LocalEntry

for entry in json.loads(sys.argv[1]):
    Crontab().install(LocalEntry.model_validate(entry), enabled=True)
"""
RECORDS = """#!/bin/sh
while [ "$1" != --name ]; do shift; done
echo "$2" >>"$(dirname "$0")/fired"
"""


@dataclass(frozen=True)
class Night:
    """How the clock of cron goes, and how often each line fires that night."""

    start: str
    minutes: int
    """Until the clock is set, or the night ends."""

    nightly: int
    """Firings of `30 2 * * *`."""

    hourly: int
    """Firings of `30 * * * *`."""

    set_to: str | None = None
    minutes_after: int = 0
    zone: str = "UTC"


NIGHTS = {
    "clocks go from 02:00 to 03:00": Night("2026-03-29 01:58:30", 4, 1, 0, zone="Europe/Berlin"),
    "clocks go from 03:00 to 02:00": Night("2026-10-25 01:58:30", 95, 1, 2, zone="Europe/Berlin"),
    "clock set back by an hour": Night("2026-06-10 02:28:30", 4, 1, 2, "2026-06-10 01:32:30", 60),
    "clock set back by a day": Night("2026-06-10 02:28:30", 4, 2, 2, "2026-06-09 02:28:30", 4),
    "clock set forward by two hours": Night("2026-06-10 02:26:30", 2, 1, 1, "2026-06-10 04:28:30", 4),
    "clock set forward by four hours": Night("2026-06-10 02:26:30", 2, 0, 1, "2026-06-10 06:28:30", 4),
}
"""What Debian's cron was seen to do; `LocalSchedules.clock_changes` and docs/schedules.md say it."""


class Clock:
    """The clock of one cron daemon: 60 times as fast as the machine's, or 600 times where the night is long."""

    def __init__(self, directory: Path, zone: str) -> None:
        self._file, self._zone = directory / "clock", zone
        self._started = time.time()
        self.environment = {
            "LD_PRELOAD": str(FAKE_CLOCK),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_RESET": "1",
            "TZ": zone,
        }

    def set(self, local_time: str, minutes: int) -> float:
        """Sets the clock, and returns how many seconds the minutes take; the file counts from the daemon's start."""
        speed = 60 if minutes < 10 else 600
        passed = timedelta(seconds=(time.time() - self._started) * speed)
        moment = datetime.fromisoformat(local_time).replace(tzinfo=ZoneInfo(self._zone)).astimezone(UTC) - passed
        new = self._file.with_suffix(".new")
        new.write_text(f"@{moment.astimezone(ZoneInfo(self._zone)):%Y-%m-%d %H:%M:%S} x{speed}\n")
        new.replace(self._file)
        return minutes * 60 / speed


def firings(directory: Path, night: Night) -> tuple[int, int]:
    """Returns how often the nightly and the hourly line fire."""
    directory.mkdir()
    recorder = directory / "recorder"
    recorder.write_text(RECORDS)
    recorder.chmod(0o755)
    entries = [
        LocalEntry(
            name=name, cron=line, time_zone=night.zone, catch_up=False, run_arguments=(), directory="/",
            root=str(directory), python=str(recorder),
        ).model_dump()
        for name, line in (("nightly", "30 2 * * *"), ("hourly", "30 * * * *"))
    ]  # fmt: skip
    with PrivateMachine(directory, SPOOL) as machine:
        installed = machine.run(sys.executable, "-c", INSTALL, json.dumps(entries))
        assert installed.returncode == 0, installed.stderr
        clock = Clock(directory, night.zone)
        seconds = clock.set(night.start, night.minutes)
        machine.start("cron", "-f", **clock.environment)
        time.sleep(seconds)
        if night.set_to:
            time.sleep(clock.set(night.set_to, night.minutes_after))
    fired = directory / "fired"
    names = fired.read_text().split() if fired.exists() else []
    return names.count("nightly"), names.count("hourly")


def test_what_cron_does_when_clocks_are_set(tmp_path):
    with ThreadPoolExecutor(len(NIGHTS)) as pool:
        seen = {name: pool.submit(firings, tmp_path / name.replace(":", ""), night) for name, night in NIGHTS.items()}
    assert {name: future.result() for name, future in seen.items()} == {
        name: (night.nightly, night.hourly) for name, night in NIGHTS.items()
    }
