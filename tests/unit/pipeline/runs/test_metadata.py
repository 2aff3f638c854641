"""A metadata file that cannot be used: locked is not damaged, and only a damaged one is put aside."""

import os
import sqlite3
import subprocess
import sys
from functools import partial

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

from pipeline.config.loading import load_config
from pipeline.runs import metadata
from pipeline.runs.metadata import check_metadata_file, metadata_failure
from pipeline.runs.session import record_run
from pipeline.runs.store import RunStore
from trainer_module.errors import PetsegError

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def connection_config(file) -> metadata_store_pb2.ConnectionConfig:
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(file)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


@pytest.fixture
def file(tmp_path):
    """A metadata file with one artifact type in it."""
    store = metadata_store.MetadataStore(connection_config(tmp_path / "metadata.sqlite"))
    store.put_artifact_type(metadata_store_pb2.ArtifactType(name="Kept"))
    return tmp_path / "metadata.sqlite"


@pytest.fixture
def holder(file):
    """Another process that has locked the file."""
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_locked_file_is_named_with_who_holds_it_and_stays_where_it_is(file, holder, capsys):
    with pytest.raises(PetsegError) as error:
        check_metadata_file(file, wait_seconds=1.1)
    message = str(error.value)
    assert message.startswith(f"{str(file)!r} is locked by another process (process {holder.pid}, {sys.executable} ")
    assert "close it and run again" in message
    assert "move" not in message and "rename" not in message  # noqa: PT018
    assert (
        f"waiting for {str(file)!r}, which another process has locked (process {holder.pid}" in capsys.readouterr().err
    )


def test_a_lock_that_is_let_go_of_is_waited_for(file, holder, monkeypatch):
    monkeypatch.setattr(metadata, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(metadata, "notify", lambda _: holder.communicate())
    check_metadata_file(file)
    check_metadata_file(file, wait_seconds=0)


def test_nobody_is_named_where_linux_does_not_tell(file, holder, monkeypatch, tmp_path):
    monkeypatch.setattr(metadata, "_LOCKS", tmp_path / "absent")
    with pytest.raises(PetsegError, match="is locked by another process: close it"):
        check_metadata_file(file, wait_seconds=0)


@pytest.mark.slow
def test_ml_metadata_meets_the_same_lock(file, holder):
    with pytest.raises(Exception, match=r"locked|Concurrent writes") as error:
        metadata_store.MetadataStore(connection_config(file))
    assert "is locked by another process" in str(metadata_failure(error.value, file))


def test_a_locked_file_keeps_a_run_from_starting_and_leaves_no_record(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.runs.session.check_metadata_file", partial(check_metadata_file, wait_seconds=0))
    store = RunStore(tmp_path)
    with sqlite3.connect(store.metadata, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(PetsegError, match="is locked by another process"):
            record_run(store, lambda *_: pytest.fail(f"a run of {load_config().pipeline.name} was made"))
    assert list(store.runs_dir.iterdir()) == []


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_may_be_put_aside_and_nothing_is_lost(content, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "_PATIENCE_SECONDS", 0.1)
    damaged = tmp_path / "metadata.sqlite"
    damaged.write_bytes(content)
    with pytest.raises(PetsegError) as error:
        check_metadata_file(damaged)
    assert f"rename it to '{damaged}.damaged' to start with an empty cache" in str(error.value)
    assert "restore it from a copy" in str(error.value)
    assert damaged.read_bytes() == content


def test_a_file_that_somebody_is_just_putting_there_is_not_called_damaged(file, monkeypatch):
    whole = file.read_bytes()
    file.write_bytes(bytes(len(whole)))
    with pytest.raises(PetsegError, match="or a damaged one"):
        check_metadata_file(file, wait_seconds=0)
    monkeypatch.setattr(metadata.time, "sleep", lambda _: file.write_bytes(whole))
    check_metadata_file(file)


@pytest.mark.parametrize("make", [lambda file: None, lambda file: file.touch()])
def test_a_file_that_is_absent_or_empty_can_be_used(make, tmp_path):
    make(tmp_path / "metadata.sqlite")
    check_metadata_file(tmp_path / "metadata.sqlite")
    assert sorted(os.listdir(tmp_path)) in ([], ["metadata.sqlite"])  # noqa: PTH208


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_without_permission_is_not_called_damaged(file):
    file.chmod(0o400)
    with pytest.raises(PetsegError, match="see to its permissions"):
        check_metadata_file(file)


def test_another_version_of_ml_metadata_is_not_called_damage(file):
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE MLMDEnv SET schema_version = 9999")
    with pytest.raises(Exception, match="9999") as error:
        metadata_store.MetadataStore(connection_config(file))
    message = str(metadata_failure(error.value, file))
    assert "If another version of ML Metadata wrote it, use that version" in message
    assert "rename" not in message
