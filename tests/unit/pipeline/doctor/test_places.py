"""The directories of a run, as they are on a disk: whole, full, read-only, damaged, held by others."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections import namedtuple
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.model_pusher import ledger
from components.model_pusher.push import PushRecord, push
from petseg import processes
from pipeline.config.loading import load_config
from pipeline.doctor import places
from pipeline.doctor.findings import State
from pipeline.runs.record import RunRecord, RunState
from pipeline.runs.store import RunStore
from trainer_module.errors import ConfigError, PetsegError

Usage = namedtuple("Usage", "total used free")

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def config(root):
    return load_config(preset="demo", pipeline_root=str(root))


@pytest.fixture
def as_another_user(monkeypatch):
    """Returns a function that takes the rights on a directory away, from root too."""
    closed: set[str] = set()
    access = os.access

    def may(path, mode, **options):
        return access(path, mode, **options) and (mode == os.F_OK or str(path) not in closed)

    monkeypatch.setattr(os, "access", may)
    return lambda path: closed.add(str(path))


def with_settings(config, section, **settings):
    return config.model_copy(update={section: getattr(config, section).model_copy(update=settings)})


def record_run(root: Path, run_id: str, state: RunState, error: str | None = None) -> None:
    files = RunStore(root).create_run(run_id)
    record = RunRecord.begin(run_id, load_config(preset="demo"), files.log)
    record.finish(state, error)
    record.save(files.record)


def make_database(root: Path, rows: int = 2000) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(root / "metadata.sqlite")) as connection:
        connection.execute("CREATE TABLE Execution (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO Execution (name) VALUES (?)", [("x" * 200,)] * rows)
        connection.commit()
    return root / "metadata.sqlite"


def test_a_root_that_is_absent_is_to_be_made_and_stays_absent(config, root):
    found = places.look_at_root(config)
    assert found.state is State.OK
    assert f"'{root}', to be made" in found.found
    assert "GiB free" in found.found
    assert not root.exists()


def test_a_root_that_is_there_is_written_to_and_nothing_is_left(config, root):
    root.mkdir()
    assert places.look_at_root(config).state is State.OK
    assert list(root.iterdir()) == []


def test_a_root_that_cannot_be_written_to_says_why(config, root, monkeypatch):
    root.mkdir()

    def refuse(**_) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(places.tempfile, "TemporaryFile", refuse)
    found = places.look_at_root(config)
    assert found.state is State.PROBLEM
    assert found.found == f"'{root}' cannot be written to: Read-only file system"
    assert "--pipeline-root DIR" in found.remedy


def test_a_root_that_is_a_file_is_a_problem(config, root):
    root.touch()
    assert "it is no directory" in places.look_at_root(config).found


def test_a_full_disk_is_a_problem_of_runs_and_a_warning_elsewhere(config, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(50 * 2**30, 0, 300 * 2**20))
    root = places.look_at_root(config)
    assert root.state is State.PROBLEM
    assert "0.3 GiB of 50.0 GiB free; a run needs 1.0 GiB" in root.found
    assert places.look_at_temporary_files().state is State.WARNING


def test_a_disk_without_room_for_another_file_is_a_problem(config, monkeypatch):
    statvfs = os.statvfs

    def full(path):
        values = list(statvfs(path))
        values[5:8] = [1000, 0, 0]
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", full)
    found = places.look_at_root(config)
    assert found.state is State.PROBLEM
    assert "inodes" in found.found


def test_a_run_that_goes_on_is_named_with_its_process(config, root):
    store = RunStore(root)
    store.prepare()
    with store.lock("20260101-000000-000000"):
        make_database(root)
        assert f"the run 20260101-000000-000000 goes on (process {os.getpid()})" in places.look_at_root(config).found
        assert "is left to the run 20260101-000000-000000" in places.look_at_metadata(config).found


def test_a_root_whose_name_is_a_pattern_is_refused(tmp_path):
    config = load_config(preset="demo", pipeline_root=str(tmp_path / "root"))
    config = with_settings(config, "pipeline", root=str(tmp_path / "a[1]"))
    with pytest.raises(ConfigError, match="is a pattern for them"):
        places.look_at_root(config)


def test_a_root_of_somebody_else_is_told_once(config, root, as_another_user):
    root.mkdir()
    assert places.why_root_is_no_use(config) == ""
    as_another_user(root)
    assert places.why_root_is_no_use(config) == "the pipeline root cannot be read"
    remote = with_settings(config, "pipeline", root="gs://bucket/root")
    assert places.why_root_is_no_use(remote) == "the pipeline root is no directory of this machine"


def test_sound_metadata_are_told_with_their_size(config, root):
    assert places.look_at_metadata(config).found == "none yet: the first run makes it"
    make_database(root)
    found = places.look_at_metadata(config)
    assert found.state is State.OK
    assert found.found.endswith("MB, is sound")


def test_a_damaged_page_is_found_that_opening_the_file_does_not_meet(config, root):
    file = make_database(root)
    with file.open("r+b") as stream:
        stream.seek(20 * 4096)
        stream.write(b"\xff" * 4096)
    with pytest.raises(PetsegError, match=r"or a damaged one .*rename it to '.*metadata.sqlite.damaged'"):
        places.look_at_metadata(config)


def test_locked_metadata_name_who_holds_them(config, root):
    file = make_database(root, rows=1)
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(PetsegError, match=rf"locked by another process \(process {process.pid}"):
            places.look_at_metadata(config)
        process.kill()


def test_runs_are_counted_and_how_the_latest_ended_is_told(config, root):
    assert places.look_at_runs(config).found == "none yet"
    record_run(root, "20260101-000000-000000", RunState.FAILED, "the disk is full")
    record_run(root, "20260102-000000-000000", RunState.COMPLETE)
    found = places.look_at_runs(config)
    assert (found.state, found.found) == (State.OK, "2, the latest, 20260102-000000-000000, complete")


def test_a_run_that_did_not_end_is_a_warning_with_the_way_on(config, root):
    record_run(root, "20260102-000000-000000", RunState.INTERRUPTED, "interrupted")
    (root / "checkpoints" / "training-1").mkdir(parents=True)
    (root / "checkpoints" / "training-1" / "state").write_bytes(bytes(2_000_000))
    (root / "tmp").mkdir()
    found = places.look_at_runs(config)
    assert found.state is State.WARNING
    assert "20260102-000000-000000, interrupted: interrupted" in found.found
    assert "1 training that did not end has 2.0 MB of checkpoints" in found.found
    assert f"'{root / 'tmp'}' holds 0.0 MB of a killed run" in found.found
    assert "petseg runs show 20260102-000000-000000" in found.remedy


def test_a_record_that_cannot_be_read_is_told(config, root):
    (RunStore(root).create_run("20260102-000000-000000").directory / "run.json").write_text("{}")
    with pytest.raises(PetsegError, match="is no run record"):
        places.look_at_runs(config)


def test_a_data_directory_that_is_only_read_need_not_be_written_to(config, tmp_path, as_another_user):
    read_only = with_settings(config, "data", data_dir=str(tmp_path), download=False)
    assert places.look_at_data_directory(read_only).state is State.OK
    as_another_user(tmp_path)
    found = places.look_at_data_directory(read_only)
    assert found.state is State.PROBLEM
    assert "data.data_dir" in found.remedy


def test_data_that_are_there_can_be_read_where_nothing_can_be_prepared(config, tmp_path, monkeypatch):
    def refuse(**_) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(places.tempfile, "TemporaryFile", refuse)
    found = places.look_at_data_directory(with_settings(config, "data", data_dir=str(tmp_path)))
    assert found.state is State.WARNING
    assert found.remedy == "set data.download to false"


def test_what_a_killed_preparation_has_left_is_named_with_the_command_that_removes_it(config, tmp_path):
    (tmp_path / "tiles" / "incomplete.ABC123_1.0.0").mkdir(parents=True)
    (tmp_path / "pets" / "large" / "incomplete.DEF456_2.0.0").mkdir(parents=True)
    found = places.look_at_data_directory(with_settings(config, "data", data_dir=str(tmp_path)))
    assert found.state is State.WARNING
    assert "tiles/incomplete.ABC123_1.0.0" in found.found
    assert f"rm -r {tmp_path}/pets/large/incomplete.DEF456_2.0.0" in found.remedy


def test_a_directory_below_one_that_may_not_be_entered_is_out_of_reach(config, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "can_be_made", lambda _: False)
    found = places.look_at_push_destination(config)
    assert found.state is State.PROBLEM
    assert "absent or out of reach, and cannot be made" in found.found
    assert processes.can_be_made(tmp_path / "new")


@pytest.fixture
def pushed(config, tmp_path) -> Path:
    """Two versions in the push destination."""
    base = Path(config.serving_model_dir)
    for index in range(2):
        model = tmp_path / f"model{index}"
        model.mkdir()
        (model / "saved_model.pb").write_bytes(bytes([index]))
        push(str(model), str(base), PushRecord(pushed_at=datetime(2026, 1, 2, 3, tzinfo=UTC)))
    return base


def test_a_destination_that_others_cannot_enter_is_a_warning(config, pushed):
    pushed.chmod(0o750)
    found = places.look_at_push_destination(config)
    assert found.state is State.WARNING
    assert "a server that runs as another user cannot enter" in found.found
    assert str(pushed) in found.remedy


def test_the_served_version_is_verified(config, pushed):
    served, pushes = places.look_at_pushed_models(config)
    newest = max(int(path.name) for path in pushed.iterdir() if path.name.isdigit())
    assert served.state is State.OK
    assert f"version {newest}, pushed 2026-01-02" in served.found
    assert "of 2 in" in served.found
    assert served.found.endswith("as it was pushed")
    assert (pushes.state, pushes.found) == (State.OK, "not frozen")


def test_a_damaged_served_version_is_a_problem_with_the_way_back(config, pushed):
    newest = max(path for path in pushed.iterdir() if path.name.isdigit())
    (newest / "saved_model.pb").write_bytes(b"changed")
    (served, _) = places.look_at_pushed_models(config)
    assert served.state is State.PROBLEM
    assert "is damaged: saved_model.pb has changed" in served.found
    assert "petseg models rollback" in served.remedy


def test_a_version_without_a_graph_is_named(config, pushed):
    (pushed / "7").mkdir()
    (served, _) = places.look_at_pushed_models(config)
    assert served.state is State.WARNING
    assert "without a graph, so that no server can load them: 7" in served.found
    assert served.remedy == "petseg models remove 7"


def test_no_model_yet_is_as_it_should_be(config):
    served, pushes = places.look_at_pushed_models(config)
    assert (served.state, pushes.state) == (State.OK, State.OK)
    assert not Path(config.serving_model_dir).exists()


def test_frozen_pushes_are_a_warning_that_says_who_and_why(config, pushed):
    ledger.append(str(pushed), ledger.Freeze(at=datetime(2026, 2, 3, tzinfo=UTC), reason="labels redone", by="ada@lab"))
    (_, pushes) = places.look_at_pushed_models(config)
    assert pushes.state is State.WARNING
    assert "by ada@lab: labels redone" in pushes.found
    assert "petseg unfreeze" in pushes.remedy
    ledger.append(str(pushed), ledger.Unfreeze(at=datetime(2026, 2, 4, tzinfo=UTC)))
    assert places.look_at_pushed_models(config)[1].state is State.OK
