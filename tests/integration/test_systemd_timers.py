"""Schedules under a real systemd of the user's, which is started for the test where a process may have it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from private_machine import PrivateMachine, missing_programs

from pipeline.schedules.firings import FiringRecord

SYSTEMD = Path("/lib/systemd/systemd")
CGROUPS = Path("/sys/fs/cgroup")
TIMER = "petseg-schedule-nightly.timer"
SESSION = """
for controller in /sys/fs/cgroup/*/; do
    case $controller in
    */systemd/ | */unified/) ;;
    *) mountpoint -q "$controller" && umount "$controller" ;;
    esac
done
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/user/0
chmod 700 /run/user/0
"""
"""The directory /run/systemd/system tells a systemd of a user that one of the system runs."""


def why_not() -> str:
    """Returns why no systemd can be started here; nothing where one can."""
    missing = missing_programs("systemctl", "mountpoint")
    if missing or not SYSTEMD.exists():
        return missing or f"there is no {SYSTEMD}"
    return "" if own_cgroup_directories() else "there are no control groups to be written to"


def own_cgroup_directories() -> list[Path]:
    """Returns the directories of this process's control group in the hierarchies that systemd uses."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        place = {"": "unified", "name=systemd": "systemd"}.get(controllers)
        if place is not None:
            mount = CGROUPS / place if (CGROUPS / place).is_dir() else CGROUPS
            found.append(mount / path.lstrip("/"))
    return [directory for directory in found if os.access(directory / "cgroup.procs", os.W_OK)]


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not() or "one can")]


@pytest.fixture
def cgroups() -> Iterator[list[Path]]:
    """Control groups of the test's own, for systemd takes all processes of the one that it is started in."""
    groups = [directory / f"petseg-test-{os.getpid()}" for directory in own_cgroup_directories()]
    for group in groups:
        group.mkdir()
    yield groups
    for group in groups:
        wait_for(lambda group=group: is_removed(group))  # its last processes may still be about to end


def is_removed(group: Path) -> bool:
    for directory, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            Path(directory).rmdir()
    return not group.exists()


class Session:
    """A systemd of the user's on a machine of its own."""

    def __init__(self, machine: PrivateMachine, cgroups: list[Path]) -> None:
        self._machine, self._cgroups = machine, cgroups
        self.log_in()

    def log_in(self) -> None:
        entries = " ".join(f"{group}/cgroup.procs" for group in self._cgroups)
        script = f'for group in {entries}; do echo $$ >"$group"; done; exec {SYSTEMD} --user'
        self._systemd = self._machine.start("sh", "-c", script)
        wait_for(lambda: self.systemctl("is-system-running") in ("running", "degraded"))

    def log_out(self) -> None:
        self._machine.stop(self._systemd)

    def systemctl(self, *words: str) -> str:
        return self._machine.run("systemctl", "--user", *words).stdout.strip()


@pytest.fixture
def machine(tmp_path, cgroups) -> Iterator[PrivateMachine]:
    with PrivateMachine(tmp_path, SESSION, {"XDG_RUNTIME_DIR": "/run/user/0"}) as machine:
        yield machine


@pytest.fixture
def session(machine, cgroups) -> Session:
    return Session(machine, cgroups)


@pytest.fixture
def apply(machine, session, tmp_path):
    """Applies a schedule whose firings end at once, since its configuration cannot be read any more by then."""

    def applied(cron: str, *, catch_up: bool = False) -> None:
        text = f'preset = "demo"\n[schedule]\nname = "nightly"\ncron = "{cron}"\ncatch_up = {str(catch_up).lower()}\n'
        file = tmp_path / "pets.toml"
        file.write_text(text)
        machine.petseg(["apply"])
        file.write_text(text + "crno = 1\n")

    return applied


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def test_a_timer_fires_at_its_minute(apply, session, tmp_path):
    apply("* * * * *")
    applied = datetime.now().astimezone()
    assert TIMER in session.systemctl("list-timers")
    root = tmp_path / "pipeline_root"
    wait_for(lambda: FiringRecord.load(root, "nightly").recent, seconds=90)
    fired = FiringRecord.load(root, "nightly").last
    assert applied < fired.started < applied + timedelta(seconds=75)
    assert fired.exit_code == 2
    assert "did you mean 'schedule.cron'?" in fired.reason
    wait_for(lambda: session.systemctl("is-failed", "petseg-schedule-nightly.service") == "failed")


@pytest.mark.parametrize("catch_up", [True, False])
def test_a_firing_missed_while_logged_out_is_made_up_for_where_that_is_wanted(apply, session, tmp_path, catch_up):
    apply("0 3 1 1 *", catch_up=catch_up)
    session.log_out()
    stamp = tmp_path / ".local" / "share" / "systemd" / "timers" / f"stamp-{TIMER}"
    assert stamp.exists() is catch_up
    if catch_up:
        long_ago = time.time() - 400 * 24 * 3600
        os.utime(stamp, (long_ago, long_ago))
    session.log_in()
    root = tmp_path / "pipeline_root"
    if catch_up:
        wait_for(lambda: FiringRecord.load(root, "nightly").recent)
        assert len(FiringRecord.load(root, "nightly").recent) == 1
    else:
        assert TIMER in session.systemctl("list-timers")
        time.sleep(2)
        assert FiringRecord.load(root, "nightly").last is None
