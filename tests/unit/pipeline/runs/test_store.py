"""The files under a pipeline root, and the one run that may write to it."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from pipeline.config.loading import load_config
from pipeline.runs.record import NodeRecord, NodeState, RunRecord, RunState
from pipeline.runs.store import RunStore
from trainer_module.errors import PetsegError

HOLD = """
import sys
from pipeline.runs.store import RunStore
with RunStore(sys.argv[1]).lock("run-1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path) -> RunStore:
    store = RunStore(tmp_path / "root")
    store.prepare()
    return store


def running(store: RunStore, run_id: str) -> RunRecord:
    files = store.create_run(run_id)
    record = RunRecord.begin(run_id, load_config(), files.log)
    record.nodes = [NodeRecord(id="A", state=NodeState.RUNNING)]
    record.save(files.record)
    return record


def test_ids_are_unique_and_sort_by_age(store):
    ids = [store.new_run_id() for _ in range(50)]
    for run_id in ids:
        store.create_run(run_id).record.touch()
    assert ids == sorted(set(ids))
    assert store.run_ids() == ids[::-1]


def test_ids_sort_by_age_where_the_clock_was_set_back(store):
    (store.runs_dir / "not a run").mkdir(parents=True)
    store.create_run("29990101-235959-999999").record.touch()
    for _ in range(2):
        store.create_run(store.new_run_id()).record.touch()
    assert store.run_ids() == ["29990102-000000-000001", "29990102-000000-000000", "29990101-235959-999999"]


def test_the_root_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert RunStore("a/../root").root == tmp_path / "root"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunStore("~/root").root == tmp_path / "root"


def test_a_nearly_full_disk_is_refused(store, monkeypatch):
    usage = namedtuple("usage", "total used free")(0, 0, 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(PetsegError, match=r"at least 1 GiB of free disk.* has 0\.00 GiB"):
        store.prepare()


def test_one_run_at_a_time(store):
    record = running(store, "run-1")
    assert store.active_run() is None
    assert store.record("run-1").state is RunState.INTERRUPTED
    assert store.record("run-1").node("A").state is NodeState.INTERRUPTED

    command = [sys.executable, "-c", HOLD, str(store.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert store.active_run() == "run-1"
        assert store.record("latest") == record
        running(store, "run-0")
        assert store.record("run-0").state is RunState.INTERRUPTED
        with (
            pytest.raises(PetsegError, match=rf"another run uses .* \(process {holder.pid}, run run-1\)"),
            store.lock("x"),
        ):
            pytest.fail("two runs hold the root")
        holder.kill()
    with store.lock("run-2"):
        assert store.active_run() == "run-2"
    assert store.active_run() is None


def test_looking_at_the_lock_does_not_disturb_a_run_that_starts(store, monkeypatch):
    import fcntl

    with store.lock("x"):
        pass
    looker = os.open(store.root / ".lock", os.O_RDONLY)
    fcntl.flock(looker, fcntl.LOCK_SH)
    monkeypatch.setattr("time.sleep", lambda _: fcntl.flock(looker, fcntl.LOCK_UN))
    with store.lock("y"):
        assert store.active_run() == "y"
    os.close(looker)


def test_a_run_that_is_not_there_is_named(store):
    with pytest.raises(PetsegError, match="there are no runs under"):
        store.record("latest")
    with pytest.raises(PetsegError, match="there is no run 'x'"):
        store.record("x")
