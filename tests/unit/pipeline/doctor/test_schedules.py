"""The schedules of a machine: who fires them, and what became of the last firings."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.config.loading import load_config
from pipeline.doctor import schedules
from pipeline.doctor.findings import State
from pipeline.doctor.schedules import look_at_schedules
from pipeline.runs.store import RunStore
from pipeline.schedules.crontab import Crontab
from pipeline.schedules.firings import Firing, FiringRecord
from pipeline.schedules.local_entry import LocalEntry
from pipeline.schedules.systemd import SystemdTimers

FAKES = Path(__file__).parents[3] / "fake_schedulers"


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A machine with a crontab and a cron daemon, and without a session of systemd; returns the schedulers' files."""
    state = tmp_path / "state"
    (state / "enabled").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(FAKES))
    monkeypatch.setenv("FAKE_SCHEDULERS", str(state))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(schedules, "PROCESSES", tmp_path / "proc")
    for pid, name in ((1, "init"), (7, "cron")):
        process = tmp_path / "proc" / str(pid)
        process.mkdir(parents=True)
        (process / "comm").write_text(f"{name}\n")
    return state


@pytest.fixture
def entry(tmp_path) -> LocalEntry:
    root = tmp_path / "root"
    RunStore(root).prepare()
    return LocalEntry(
        name="weekly",
        cron="30 3 * * *",
        time_zone="UTC",
        catch_up=False,
        run_arguments=("--preset=demo",),
        directory=str(tmp_path),
        root=str(root),
        python=sys.executable,
    )


@pytest.fixture
def fired(entry):
    """Records the last firing of the schedule."""

    def record(
        exit_code: int | None, reason: str = "", ago: timedelta = timedelta(minutes=1), not_told: str = ""
    ) -> None:
        started = datetime.now(UTC) - ago
        firing = Firing(started=started, ended=started, exit_code=exit_code, reason=reason, not_told=not_told)
        FiringRecord(since=started, last=firing).save(Path(entry.root), entry.name)

    return record


DEMO = load_config(preset="demo")
DECLARED = load_config(preset="demo", overrides=["schedule.cron=0 3 * * 1"])


def test_a_machine_without_schedules_has_one_line(machine):
    (found,) = look_at_schedules(DEMO)
    assert found.state is State.NOT_USED


def test_a_declared_schedule_that_nothing_fires_is_a_warning(machine):
    scheduler, declared = look_at_schedules(DECLARED)
    assert (scheduler.state, scheduler.found) == (State.OK, "crontab, which has 0 active schedules of petseg")
    assert declared.state is State.WARNING
    assert "petseg schedule apply --local" in declared.remedy


def test_a_schedule_that_fires_is_told_with_its_next_firing_and_the_last(machine, entry, fired):
    Crontab().install(entry, enabled=True)
    fired(0)
    scheduler, found = look_at_schedules(DEMO)
    assert scheduler.found == "crontab, which has 1 active schedule of petseg"
    assert (found.state, found.subject) == (State.OK, "schedule weekly")
    assert "fires next" in found.found
    assert found.found.endswith(", done")


def test_without_a_cron_daemon_nothing_is_fired(machine, entry, tmp_path):
    (tmp_path / "proc" / "7" / "comm").write_text("sshd\n")
    assert look_at_schedules(DECLARED)[0].state is State.WARNING
    Crontab().install(entry, enabled=True)
    found = look_at_schedules(DEMO)[0]
    assert found.state is State.PROBLEM
    assert "no cron daemon runs, so nothing is fired" in found.found
    assert found.remedy


def test_where_the_processes_of_others_are_hidden_cron_is_believed_to_run(machine, entry, tmp_path):
    for pid in ("1", "7"):
        (tmp_path / "proc" / pid / "comm").unlink()
    Crontab().install(entry, enabled=True)
    assert look_at_schedules(DEMO)[0].state is State.OK


def test_a_failed_firing_is_told_with_its_reason(machine, entry, fired):
    Crontab().install(entry, enabled=True)
    fired(1, "the disk is full")
    found = look_at_schedules(DEMO)[1]
    assert found.state is State.WARNING
    assert "failed: the disk is full" in found.found
    assert f"{entry.root}/schedule.log" in found.remedy


def test_a_firing_that_never_was_is_told(machine, entry):
    Crontab().install(entry, enabled=True)
    FiringRecord(since=datetime.now(UTC) - timedelta(days=3)).save(Path(entry.root), entry.name)
    found = look_at_schedules(DEMO)[1]
    assert found.state is State.WARNING
    assert "missing: no firing is recorded since" in found.found


def test_a_firing_that_nobody_was_told_of_is_a_warning(machine, entry, fired):
    Crontab().install(entry, enabled=True)
    fired(0, not_told="not told by webhook: 404")
    found = look_at_schedules(DEMO)[1]
    assert found.state is State.WARNING
    assert "nobody was told of it: not told by webhook: 404" in found.found


def test_a_paused_schedule_is_a_warning(machine, entry):
    Crontab().install(entry, enabled=False)
    found = look_at_schedules(DEMO)[1]
    assert (found.state, found.found) == (State.WARNING, "it is paused")
    assert found.remedy == "petseg schedule resume --local weekly"


def test_an_interpreter_that_is_gone_is_a_problem(machine, entry):
    Crontab().install(entry.model_copy(update={"python": "/gone/bin/python"}), enabled=True)
    found = look_at_schedules(DEMO)[1]
    assert found.state is State.PROBLEM
    assert "'/gone/bin/python'" in found.found
    assert "petseg schedule apply --local" in found.remedy


def test_an_entry_that_was_changed_by_hand_is_told(machine, entry, fired):
    Crontab().install(entry, enabled=True)
    fired(0)
    table = machine / "crontab.table"
    table.write_text(table.read_text().replace("\n30 3 * * * ", "\n31 3 * * * "))
    found = look_at_schedules(DEMO)[1]
    assert found.state is State.WARNING
    assert "changed by hand" in found.found


def test_timers_of_systemd_are_told_and_the_crontab_is_not_missed(machine, entry):
    (machine / "session").touch()
    SystemdTimers().install(entry, enabled=True)
    scheduler, found = look_at_schedules(DEMO)
    assert scheduler.found == "systemd user timer, which has 1 active schedule of petseg"
    assert found.found.endswith("no firing is recorded yet")


def test_a_machine_without_any_scheduler_is_a_problem_where_one_is_declared(machine, monkeypatch):
    monkeypatch.setenv("PATH", "")
    scheduler, _ = look_at_schedules(DECLARED)
    assert scheduler.state is State.PROBLEM
    assert "install cron" in scheduler.remedy
    on_server = load_config(preset="demo", overrides=["schedule.cron=0 3 * * 1", "kubeflow.host=http://kubeflow:8888"])
    assert [found.state for found in look_at_schedules(on_server)] == [State.NOT_USED]
