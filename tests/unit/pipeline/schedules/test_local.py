"""`petseg schedule --local` with a systemd and a cron of their own, which keep their state in files."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path
from types import SimpleNamespace

import pytest
from schedule_commands import Commands

from petseg import ROOT
from petseg.processes import PROXIES
from pipeline.runs.store import RunStore
from pipeline.schedules import local, times
from pipeline.schedules.crontab import Crontab
from pipeline.schedules.environment import PATHS
from pipeline.schedules.firings import Firing, FiringRecord
from pipeline.schedules.systemd import SystemdTimers
from trainer_module.errors import ConfigError

FAKES = Path(__file__).parents[3] / "fake_schedulers"
CARRIED = (*PATHS, *PROXIES)
FIRE = ("-P", "-m", "petseg", "schedule", "fire")
FORMER_FIRE = (
    ("-m", "pipeline.scheduling.scheduled_run"),
    ("-P", "-m", "petseg.run_module", "pipeline.scheduling.scheduled_run"),
)
"""What earlier petsegs wrote into crontabs and units, in this order."""

OTHER_LINES = "MAILTO=me\n# mine\n5 4 * * * echo 100\\%\n"


class Machine:
    """A machine with the fake schedulers."""

    def __init__(self, state: Path, home: Path) -> None:
        self.state, self.units, self.table = state, home / ".config" / "systemd" / "user", state / "crontab.table"

    def log_in(self) -> None:
        (self.state / "session").touch()

    def refuse(self, verb: str) -> None:
        (self.state / "refused").write_text(f"{verb}\n")

    def accept(self) -> None:
        (self.state / "refused").unlink()

    @property
    def enabled(self) -> list[str]:
        return sorted(file.name for file in (self.state / "enabled").iterdir())

    @property
    def calls(self) -> list[str]:
        return (self.state / "systemctl.calls").read_text().splitlines()


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    state = tmp_path / "state"
    (state / "enabled").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(FAKES))
    monkeypatch.setenv("FAKE_SCHEDULERS", str(state))
    monkeypatch.setattr(times, "MACHINE_TIME_ZONE", tmp_path / "absent")
    # It starts TensorFlow; test_environment.py tries it.
    monkeypatch.setattr(local, "try_firing", lambda *_: None)
    for name in [*CARRIED, "FIELD_TILES"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Machine(state, tmp_path)


@pytest.fixture
def petseg(capsys, tmp_path) -> Commands:
    options = ("--local", f"--set=pipeline.root={tmp_path / 'root'}", "--set=schedule.cron=30 3 * * 1")
    return Commands(capsys.readouterr, *options)


@pytest.fixture(params=["systemd", "cron"])
def either(request, machine) -> Machine:
    """With and without a session of systemd."""
    if request.param == "systemd":
        machine.log_in()
    return machine


def snapshot(machine: Machine) -> dict[str, str]:
    files = [*machine.units.glob("*"), machine.table, *(machine.state / "enabled").iterdir()]
    return {str(file): file.read_text() for file in files if file.is_file()}


def test_apply_is_idempotent_and_a_dry_run_changes_nothing(either, petseg):
    assert petseg("apply", "--dry-run").out.endswith("nothing was changed (--dry-run)\n")
    assert snapshot(either) == {}
    outcome = petseg("apply")
    assert outcome.code == 0, outcome.err
    assert "create the schedule petseg-demo" in outcome.out
    installed = snapshot(either)
    assert installed
    assert "is as declared" in petseg("apply").out
    assert snapshot(either) == installed


def test_every_command_works(either, petseg):
    assert "no schedules on this machine" in petseg("list").out
    petseg("apply")
    (listed,) = petseg("list", "--json").json
    assert (listed["name"], listed["enabled"], listed["cron"], listed["time_zone"]) == (
        "petseg-demo",
        True,
        "30 3 * * 1",
        "UTC",
    )
    assert len(petseg("show", "--json").json["next_firings"]) == 5
    assert "petseg retrain --preset=demo" in petseg("show").out
    assert petseg("pause").code == 0
    assert petseg("list", "--json").json[0]["enabled"] is False
    outcome = petseg("apply", schedule__cron="0 5 * * 1")
    assert "it is paused and stays so" in outcome.out
    assert petseg("show", "--json").json["cron"] == "0 5 * * 1"
    assert petseg("list", "--json").json[0]["enabled"] is False
    assert petseg("resume").code == 0
    assert petseg("list", "--json").json[0]["enabled"] is True
    assert petseg("delete", "--yes").code == 0
    assert petseg("list", "--json").json == []
    assert "there is no schedule 'petseg-demo'" in petseg("show").err


def test_differences_are_shown_setting_by_setting(either, petseg):
    petseg("apply")
    plan = petseg("apply", "--json", schedule__cron="0 5 * * 1", schedule__parameters__epochs=7).json
    changes = {change["setting"]: (change["old"], change["new"]) for change in plan["differences"]}
    assert changes["cron"] == ("30 3 * * 1", "0 5 * * 1")
    assert "trainer.epochs=7" in changes["runs"][1]
    assert "trainer.epochs=7" not in changes["runs"][0]


def test_systemd_units(machine, petseg, tmp_path):
    machine.log_in()
    zone = {"schedule__time_zone": "Europe/Berlin", "schedule__catch_up": "true"}
    assert petseg("apply", data__data_dir="/a b/100%$HOME", **zone).code == 0
    timer = (machine.units / "petseg-schedule-petseg-demo.timer").read_text()
    service = (machine.units / "petseg-schedule-petseg-demo.service").read_text()
    assert "OnCalendar=Mon *-*-* 3:30:00 Europe/Berlin\n" in timer
    assert "Persistent=true\n" in timer
    assert "WantedBy=timers.target" in timer
    assert f'ExecStart="{sys.executable}" "-P" "-m" "petseg" "schedule" "fire" "--name"' in service
    assert '"--name" "petseg-demo"' in service
    assert '"--set=data.data_dir=/a b/100%%$$HOME"' in service
    assert f'"--pipeline-root={tmp_path / "root"}"' in service
    assert "SuccessExitStatus=3\n" in service
    assert machine.enabled == ["petseg-schedule-petseg-demo.timer"]
    assert "daemon-reload" in machine.calls
    assert not machine.table.exists()


def test_a_crontab_block_leaves_the_other_lines_alone(machine, petseg, tmp_path):
    machine.table.write_text(OTHER_LINES)
    assert petseg("apply", data__data_dir="/a b/100%", trainer__epochs=3).code == 0
    table = machine.table.read_text()
    assert table.startswith(OTHER_LINES)
    (line,) = [line for line in table.splitlines() if line.startswith("30 3 * * 1 ")]
    assert f"30 3 * * 1 {sys.executable} -P -m petseg schedule fire --name petseg-demo" in line
    assert "'--set=data.data_dir=/a b/100\\%'" in line
    machine.table.write_text(table + "0 0 * * * echo after\n")
    petseg("pause")
    assert "\n# paused: 30 3 * * 1 " in machine.table.read_text()
    petseg("delete", "--yes")
    assert machine.table.read_text() == OTHER_LINES + "0 0 * * * echo after\n"


def test_a_firing_retrains_if_needed_or_always(either, petseg):
    def written() -> str:
        return "".join(snapshot(either).values()).replace('"', "")

    petseg("apply")
    assert " --command retrain -- --preset=demo" in written()
    outcome = petseg("apply", schedule__only_if_needed="false")
    assert "petseg retrain --preset=demo" in outcome.out
    assert "-> petseg run --preset=demo" in outcome.out
    assert "--command" not in written()


def test_a_schedule_faster_than_its_runs_is_told(either, petseg, tmp_path):
    hourly = {"schedule__cron": "0 * * * *"}
    said = "firings come every 1 h, and the last run took 1 h 30 m"
    assert "took" not in petseg("apply", **hourly).out
    with FiringRecord.changing(tmp_path / "root", "petseg-demo") as record:
        record.add(Firing(started=record.since).ending(0, "", seconds=5400, trained=True))
    assert f"note: {said}" in petseg("apply", "--dry-run", **hourly).out
    assert f"warning: {said}" in petseg("show", **hourly).out
    [caution] = petseg("show", "--json", **hourly).json["cautions"]
    assert caution.startswith(said)
    assert "took" not in petseg("apply", schedule__cron="0 3 * * *").out


def test_two_pipelines_have_two_schedules(either, petseg):
    petseg("apply")
    petseg("apply", schedule__name="nightly", schedule__cron="0 1 * * *")
    assert sorted(schedule["name"] for schedule in petseg("list", "--json").json) == ["nightly", "petseg-demo"]
    petseg("delete", "nightly", "--yes")
    assert [schedule["name"] for schedule in petseg("list", "--json").json] == ["petseg-demo"]


def test_a_schedule_moves_to_systemd_when_there_is_a_session(machine, petseg):
    petseg("apply")
    petseg("pause")
    machine.log_in()
    plan = petseg("apply", "--json").json
    assert {"setting": "scheduler", "old": "crontab", "new": "systemd user timer"} in plan["differences"]
    assert "petseg" not in machine.table.read_text()
    assert machine.enabled == []
    assert [schedule["enabled"] for schedule in petseg("list", "--json").json] == [False]


def test_what_systemd_refuses_leaves_the_former_schedule(machine, petseg):
    machine.log_in()
    petseg("apply")
    before = snapshot(machine)
    machine.refuse("enable")
    outcome = petseg("apply", schedule__cron="0 5 * * 1")
    assert outcome.code == 1
    assert "Access denied" in outcome.err
    assert snapshot(machine) == before
    machine.accept()
    assert petseg("apply", schedule__cron="0 5 * * 1").code == 0


def test_a_configuration_file_is_named_by_its_absolute_path(machine, capsys, tmp_path):
    (tmp_path / "my.toml").write_text(
        'preset = "demo"\n[schedule]\ncron = "0 3 * * *"\nparameters.dataset_version = "1.0.0"\n'
        'parameters.force_bless = ""\nparameters.reset_baseline = false'
    )
    from pipeline.cli import exit_code

    assert exit_code(["schedule", "apply", "--local", "--config", "my.toml", "--json"]) == 0
    changes = {change["setting"]: change["new"] for change in json.loads(capsys.readouterr().out)["differences"]}
    assert f"--config={tmp_path / 'my.toml'}" in changes["runs"]
    assert "--set=data.dataset=synthetic_pets:1.0.0" in changes["runs"]
    assert changes["directory"] == str(tmp_path)
    assert changes["pipeline root"] == str(tmp_path / "pipeline_root")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule__max_concurrency": 2}, "on one machine runs never overlap"),
        ({"schedule__time_zone": "Asia/Tokyo"}, "cron follows the time zone of this machine"),
        ({"schedule__catch_up": "true"}, "cron does not make up for firings"),
        ({"schedule__parameters__epoch": 3}, "did you mean 'epochs'?"),
        ({"schedule__parameters__epochs": 0}, "trainer.epochs = 0"),
        ({"schedule__parameters__force_bless": "it leaks"}, "force_bless would overrule the gate in every run"),
        ({"schedule__parameters__reset_baseline": "true"}, "reset_baseline would overrule the gate in every run"),
        ({"data__data_dir": "a\x01b"}, "control characters"),
        ({"data__data_dir": "a" * 1000}, "cron cuts commands after 998"),
    ],
)
def test_what_cron_cannot_do_is_refused(machine, petseg, settings, message):
    outcome = petseg("apply", **settings)
    assert outcome.code == 2
    assert message in outcome.err
    assert snapshot(machine) == {}


def test_a_version_means_nothing_here_and_that_is_said(either, petseg):
    assert "means nothing on one machine" in petseg("apply", schedule__version="petseg-demo-1").out


def test_without_a_scheduler_it_says_what_to_do(machine, petseg, monkeypatch):
    monkeypatch.setenv("PATH", "")
    outcome = petseg("apply")
    assert outcome.code == 1
    assert "this machine has no scheduler for you" in outcome.err


def test_a_block_that_was_changed_by_hand_is_not_guessed_at(machine, petseg):
    petseg("apply")
    table = machine.table.read_text()
    machine.table.write_text(table.replace("petseg-demo: end", "petseg-dmo: end"))
    for command in ("apply", "list", "delete"):
        outcome = petseg(command)
        assert outcome.code == 1
        assert "changed by hand" in outcome.err
    machine.table.write_text(table.replace('"cron"', '"corn"'))
    assert "did not write" in petseg("list").err


def test_trigger_starts_the_service(machine, petseg):
    machine.log_in()
    petseg("apply")
    outcome = petseg("trigger")
    assert "schedule.log" in outcome.out
    assert machine.calls[-1] == "start --no-block petseg-schedule-petseg-demo.service"


def test_trigger_is_refused_while_a_run_goes_on(either, petseg, tmp_path):
    petseg("apply")
    with RunStore(tmp_path / "root").lock("20270101-000000-000000"):
        outcome = petseg("trigger")
    assert outcome.code == 1
    assert "20270101-000000-000000" in outcome.err


def test_a_local_schedule_needs_no_heavy_library(machine, tmp_path):
    code = (
        "import sys\nfrom pipeline.cli import exit_code\nfrom pipeline.schedules import local\n"
        "local.try_firing = lambda *_: None\n"
        "options = ['--local', '--preset', 'demo', '--set=schedule.cron=0 3 * * 1']\n"
        "for command in ('apply', 'list', 'show', 'pause'):\n"
        "    assert exit_code(['schedule', command, *options]) == 0\n"
        "heavy = {'tensorflow', 'tfx', 'kfp', 'kfp_server_api', 'apache_beam', 'kubernetes', 'ml_metadata', 'grpc'}\n"
        "heavy |= {'requests', 'keras', 'matplotlib', 'tensorflow_datasets'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def fire(root: Path, *arguments: str, start: Sequence[str] = FIRE) -> "subprocess.CompletedProcess[str]":
    """Runs what the schedulers start, with next to nothing in its environment."""
    options = ["--name", "nightly", "--directory", str(root.parent), "--root", str(root), "--"]
    command = [sys.executable, *start, *options, *arguments]
    environment = {"HOME": str(root.parent), "PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, cwd=root.parent, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("start", [FIRE, *FORMER_FIRE])
def test_a_firing_that_finds_a_run_is_skipped_with_a_line_in_the_log(start, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    with RunStore(root).lock("20270101-000000-000000"):
        result = fire(root, "--preset=demo", start=start)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (line,) = (root / "schedule.log").read_text().splitlines()
    assert line.endswith("schedule nightly: skipped, since the run 20270101-000000-000000 goes on")
    record = FiringRecord.load(root, "nightly")
    assert record.skipped is not None
    assert record.skipped_for == "20270101-000000-000000"
    assert record.last is None


def test_a_skipped_firing_tells_of_a_schedule_that_is_too_fast(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    with FiringRecord.changing(root, "nightly") as record:
        record.cron = "0 * * * *"
        record.add(Firing(started=record.since).ending(0, "", seconds=5400, trained=True))
    with RunStore(root).lock("20270101-000000-000000"):
        fire(root, "--preset=demo")
    _, line = (root / "schedule.log").read_text().splitlines()
    assert "schedule nightly: warning: firings come every 1 h, and the last run took 1 h 30 m: " in line


def test_a_scheduled_run_writes_to_the_log_and_hands_its_exit_code_on(tmp_path):
    root = tmp_path / "root"
    result = fire(root, "--set=trainer.epoch=3", "--preset=demo")
    assert (result.returncode, result.stdout, result.stderr) == (2, "", "")
    firing = FiringRecord.load(root, "nightly").last
    assert firing.exit_code == 2
    assert firing.started <= firing.ended
    assert "did you mean 'trainer.epochs'?" in firing.reason
    log = (root / "schedule.log").read_text()
    assert "schedule nightly: started\n" in log
    assert "did you mean 'trainer.epochs'?" in log
    assert log.endswith("schedule nightly: ended with exit code 2\n")


def test_variables_are_carried_along(either, petseg, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", "modules:/else where")
    monkeypatch.setenv("FIELD_TILES", "/100%/$TILES")
    outcome = petseg("apply", "--json", schedule__environment='["FIELD_TILES"]')
    changes = {change["setting"]: change["new"] for change in outcome.json["differences"]}
    path = f"{tmp_path}/modules:/else where"
    assert changes["environment"] == f"'FIELD_TILES=/100%/$TILES' 'PYTHONPATH={path}'"
    written = "\n".join(snapshot(either).values())
    if either.table.exists():
        assert f" /usr/bin/env 'FIELD_TILES=/100\\%/$TILES' 'PYTHONPATH={path}' {sys.executable} -P" in written
    else:
        assert f'ExecStart="/usr/bin/env" "FIELD_TILES=/100%%/$$TILES" "PYTHONPATH={path}"' in written
    assert "is as declared" in petseg("apply", schedule__environment='["FIELD_TILES"]').out
    monkeypatch.delenv("FIELD_TILES")
    assert "not set here" in petseg("apply", schedule__environment='["FIELD_TILES"]').err


def test_the_file_of_a_secret_is_carried_along_and_what_is_missing_is_said(either, petseg, monkeypatch, tmp_path):
    hook = {"notification__webhook": "true"}
    monkeypatch.setenv("PETSEG_WEBHOOK_URL", "https://hooks.test/hunter2")
    outcome = petseg("apply", **hook)
    assert "nobody will be told that way: notification.webhook is set, but the environment variable" in outcome.out
    assert "hunter2" not in outcome.out + outcome.err + "".join(snapshot(either).values())
    (tmp_path / "secret").write_text("https://hooks.test/hunter2\n")
    monkeypatch.setenv("PETSEG_WEBHOOK_URL_FILE", "secret")
    outcome = petseg("apply", **hook)
    assert "nobody will be told" not in outcome.out
    written = "".join(snapshot(either).values())
    assert f"PETSEG_WEBHOOK_URL_FILE={tmp_path / 'secret'}" in written
    assert "hunter2" not in written
    assert FiringRecord.load(tmp_path / "root", "petseg-demo").notification["webhook"] is True
    assert "nobody will be told" not in petseg("apply", notification__when="never", **hook).out


def test_what_would_fail_is_refused_and_nothing_is_installed(either, petseg, monkeypatch):
    tried = []

    def refuse(entry, environment, scheduler):
        tried.append((entry.name, environment, scheduler))
        raise ConfigError("a firing of the schedule would fail: why")

    monkeypatch.setattr(local, "try_firing", refuse)
    outcome = petseg("apply")
    assert (outcome.code, snapshot(either)) == (2, {})
    assert "would fail: why" in outcome.err
    [(name, environment, scheduler)] = tried
    assert (name, scheduler) == (
        "petseg-demo",
        "crontab" if not (either.state / "session").exists() else "systemd user timer",
    )
    assert {"HOME", "LOGNAME", "PATH"} <= set(environment)


def test_the_environment_is_the_one_that_the_scheduler_gives(machine, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    machine.table.write_text('MAILTO=me\nTILES = "/my tiles"\nPATH=/mine\n# NOT=this\n5 4 * * * A=b echo\n')
    assert Crontab().environment("new") == {
        "SHELL": "/bin/sh", "PATH": "/mine", "HOME": str(Path.home()), "LOGNAME": getuser(), "MAILTO": "me",
        "TILES": "/my tiles",
    }  # fmt: skip
    machine.log_in()
    (machine.state / "environment").write_text("PATH=/usr/bin\nA=b=c\nTWO=$'one\\ntwo \\'three\\''\n")
    found = SystemdTimers().environment("new")
    assert (found["PATH"], found["A"], found["TWO"]) == ("/usr/bin", "b=c", "one\ntwo 'three'")
    assert "SECRET" not in found


@pytest.mark.parametrize("start", [*FORMER_FIRE, ("-P", "-m", "changed.by.hand")])
def test_what_another_petseg_wrote_is_read_and_written_anew(either, petseg, start):
    trains_always = {"schedule__only_if_needed": "false"}  # as all did
    petseg("apply", **trains_always)
    written = snapshot(either)
    by_systemd = (either.state / "session").exists()
    for file, text in written.items():
        if file.endswith((".service", ".timer", ".table")):
            now, then = (" ".join(f'"{word}"' if by_systemd else word for word in words) for words in (FIRE, start))
            Path(file).write_text(text.replace(now, then).replace(',"environment":{}', ""))  # the first knew of none
            Path(file).write_text(Path(file).read_text().replace('"command":"run",', ""))
    assert snapshot(either) != written
    [listed] = petseg("list", "--json").json
    assert (listed["name"], listed["enabled"], listed["cron"]) == ("petseg-demo", True, "30 3 * * 1")
    assert "petseg run --preset=demo" in petseg("show").out
    plan = petseg("apply", "--dry-run", "--json", **trains_always).json
    assert (plan["action"], plan["differences"]) == ("update", [])
    assert "is written anew" in " ".join(plan["notes"])
    [change] = petseg("apply", "--dry-run", "--json").json["differences"]
    assert (change["old"].split()[1], change["new"].split()[1]) == ("run", "retrain")
    assert petseg("pause").code == 0
    assert petseg("list", "--json").json[0]["enabled"] is False
    assert petseg("resume").code == 0
    petseg("apply", **trains_always)
    assert snapshot(either) == written
    assert petseg("delete", "--yes").code == 0
    assert petseg("list", "--json").json == []


def test_list_and_show_tell_of_the_last_firing(either, petseg, tmp_path):
    root = tmp_path / "root"
    petseg("apply")
    assert petseg("list", "--json").json[0]["last_firing"] is None
    record = FiringRecord.load(root, "petseg-demo")
    started = record.since + timedelta(seconds=1)
    failed = Firing(started=started).ending(1, "the disk is full")
    record.model_copy(update={"last": failed}).save(root, "petseg-demo")
    for command in ("list", "show"):
        outcome = petseg(command)
        assert outcome.code == 0
        assert "failed: the disk is full" in outcome.out
        found = petseg(command, "--json").json
        last = (found[0] if command == "list" else found)["last_firing"]
        assert (last["outcome"], last["reason"]) == ("failed", "the disk is full")
    untold = failed.model_copy(update={"not_told": "not told by webhook: why"})
    record.model_copy(update={"last": untold}).save(root, "petseg-demo")
    assert "failed: the disk is full; not told by webhook: why" in petseg("list").out
    assert petseg("show", "--json").json["last_firing"]["not_told"] == "not told by webhook: why"
    petseg("delete", "--yes")
    assert not (root / "schedule-petseg-demo.json").exists()


def test_a_long_reason_leaves_room_for_names_and_states(either, petseg, tmp_path, monkeypatch):
    every_two_minutes = {"schedule__cron": "*/2 * * * *"}
    monkeypatch.setenv("COLUMNS", "100")
    petseg("apply", **every_two_minutes)
    with FiringRecord.changing(tmp_path / "root", "petseg-demo") as record:
        record.add(Firing(started=record.since).ending(0, "long " * 50, is_needless=True))
    _, row = petseg("list", **every_two_minutes).out.splitlines()
    assert row.split()[:2] == ["petseg-demo", "enabled"]
    assert "UTC" in row


def test_a_schedule_that_is_resumed_is_not_told_of_firings_while_it_was_paused(either, petseg, tmp_path):
    petseg("apply")
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    FiringRecord(since=long_ago).save(tmp_path / "root", "petseg-demo")
    last = petseg("show", "--json").json["last_firing"]
    assert last["outcome"] == "missing"
    assert "no firing is recorded since 2020-01-01 00:00" in last["reason"]
    petseg("pause")
    assert petseg("show", "--json").json["last_firing"] is None
    shutil.rmtree(tmp_path / "root")
    assert petseg("resume").code == 0
    assert petseg("show", "--json").json["last_firing"] is None


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_reads_the_units(machine, petseg, tmp_path, monkeypatch):
    machine.log_in()
    petseg("apply", schedule__time_zone="Europe/Berlin", schedule__cron="*/20 2-6 * jan-mar mon-fri")
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "state"))
    units = sorted(machine.units.iterdir())
    assert len(units) == 2
    for unit in units:
        command = ["systemd-analyze", "verify", "--user", str(unit)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert unit.name not in result.stderr


def test_trigger_starts_what_cron_would_start_as_it_would(machine, petseg, monkeypatch, tmp_path):
    started = []
    monkeypatch.setenv("STRAY", "here")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    petseg("apply")
    fake = SimpleNamespace(Popen=lambda *a, **options: started.append((a, options)), DEVNULL=subprocess.DEVNULL)
    monkeypatch.setattr("pipeline.schedules.crontab.subprocess", fake)
    assert "schedule.log" in petseg("trigger").out
    [((command,), options)] = started
    assert command[:4] == ["/usr/bin/env", f"PYTHONPATH={tmp_path}", sys.executable, "-P"]
    assert (options["cwd"], sorted(options["env"])) == (str(tmp_path), ["HOME", "LOGNAME", "PATH", "SHELL"])
