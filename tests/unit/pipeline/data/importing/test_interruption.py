"""Imports that end early, meet another one, or find no room; and what they leave."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drawn_source import bring_in, draw, examples, files_of, numbered

from pipeline.data.importing import examples as reading_of_pictures
from pipeline.data.importing import shards, versions
from pipeline.data.importing.versions import DatasetPlace
from trainer_module.errors import DataError

NAMES = numbered(1, 130)


@pytest.fixture
def source(tmp_path):
    return draw(tmp_path / "field", *NAMES, size=(6, 6))


@pytest.fixture
def read_images(monkeypatch):
    names = []
    stored_image = reading_of_pictures.stored_image
    monkeypatch.setattr(reading_of_pictures, "stored_image", lambda path: names.append(path.stem) or stored_image(path))
    return names


def _visible(data_dir: Path) -> list[str]:
    return [path.name for path in (data_dir / "tiles").iterdir() if not path.name.startswith(".")]


def test_an_import_that_was_broken_off_goes_on(source, tmp_path, monkeypatch, read_images):
    stored_image = reading_of_pictures.stored_image

    def interrupted(path):
        if len(read_images) == 100:
            raise KeyboardInterrupt
        return stored_image(path)

    monkeypatch.setattr(reading_of_pictures, "stored_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bring_in(source, tmp_path / "data")
    assert _visible(tmp_path / "data") == []
    monkeypatch.setattr(reading_of_pictures, "stored_image", stored_image)
    before = len(read_images)
    report = bring_in(source, tmp_path / "data").report
    assert report.kept == len(NAMES)
    assert any("taken over from an import that ended early" in note for note in report.notes)
    assert before == 100
    whole = bring_in(source, tmp_path / "whole").report
    assert (whole.splits, whole.met) == (report.splits, report.met)
    assert set(files_of(tmp_path / "data")) == set(files_of(tmp_path / "whole")), "nothing is left over"


def test_finished_shards_are_not_read_again(source, tmp_path, monkeypatch, read_images):
    write_shard, written = shards.write_shard, []
    from pipeline.data.importing import reading

    def fails_at_the_third(job):
        if len(written) == 2:
            raise shards.DiskFullError(job.staging)
        written.append(job)
        return write_shard(job)

    monkeypatch.setattr(reading, "write_shard", fails_at_the_third)
    with pytest.raises(DataError, match=r"no room left.*same command again"):
        bring_in(source, tmp_path / "data")
    done = {task.picture.image.stem for job in written for task in job.tasks}
    assert set(read_images) == done
    read_images.clear()
    monkeypatch.setattr(reading, "write_shard", write_shard)
    bring_in(source, tmp_path / "data")
    assert set(read_images) == {*NAMES} - done
    assert len(examples(tmp_path / "data", "1.0.0")) == len(NAMES)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "Quota")])
def test_a_full_disk_while_the_version_is_made_leaves_none(source, tmp_path, monkeypatch, error, read_images):
    from pipeline.data.importing import importer

    def full(*_):
        raise error

    monkeypatch.setattr(importer, "write_entries", full)
    with pytest.raises(DataError, match=r"no room left.*same command again"):
        bring_in(source, tmp_path / "data")
    assert _visible(tmp_path / "data") == []
    monkeypatch.undo()
    assert len(read_images) == len(NAMES)
    assert bring_in(source, tmp_path / "data").report.kept == len(NAMES)


def test_a_disk_that_fills_up(source, tmp_path):
    """On a file system of 100 KB: root may mount one."""
    small = tmp_path / "small"
    small.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", small], check=False, capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"cannot mount a file system: {mount.stderr.strip()}")
    try:
        with pytest.raises(DataError, match=r"no room left for .*tiles'.*same command again"):
            bring_in(source, small)
        assert _visible(small) == []
        kept = {
            path.stem: path.stat().st_mtime_ns for path in (small / "tiles" / ".import" / "shards").glob("*.tfrecord")
        }
        assert kept
        assert not list(small.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=2m", small], check=True)
        assert bring_in(source, small).report.kept == len(NAMES)
        assert len(examples(small, "1.0.0")) == len(NAMES)
    finally:
        subprocess.run(["umount", small], check=True)


def test_two_imports_at_once(source, tmp_path):
    with (
        DatasetPlace(str(tmp_path / "data"), "tiles").locked(),
        pytest.raises(DataError, match=rf"another import is writing 'tiles'.*process {os.getpid()}"),
    ):
        bring_in(source, tmp_path / "data")
    assert bring_in(source, tmp_path / "data").is_new


def test_a_data_set_of_somebody_else_is_left_alone(source, tmp_path):
    theirs = tmp_path / "data" / "tiles" / "1.0.0"
    theirs.mkdir(parents=True)
    (theirs / "features.json").write_text("{}")
    before = files_of(tmp_path)
    with pytest.raises(DataError, match=r"tiles' holds a data set that petseg has not imported \(1\.0\.0\)"):
        bring_in(source, tmp_path / "data")
    assert files_of(tmp_path) == before


def test_a_directory_that_cannot_be_written(source, tmp_path, monkeypatch):
    (tmp_path / "data").write_text("a file, and no directory")
    with pytest.raises(DataError, match=r"tiles' cannot be (read|written): Not a directory"):
        bring_in(source, tmp_path / "data")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(versions.os, "open", refuse)
    with pytest.raises(DataError, match="cannot be written: Permission denied"):
        bring_in(source, tmp_path / "elsewhere")


def test_a_record_that_is_damaged(source, tmp_path):
    bring_in(source, tmp_path / "data")
    version = tmp_path / "data" / "tiles" / "1.0.0"
    record = (version / "import.json").read_text()
    (version / "import.json").write_text("{")
    with pytest.raises(DataError, match=r"import\.json' cannot be read"):
        bring_in(source, tmp_path / "data")
    (version / "import.json").write_text(record)
    (version / "import_files.csv").write_text("what is this\n1\n")
    with pytest.raises(DataError, match=r"import_files\.csv' cannot be read"):
        bring_in(source, tmp_path / "data")


def test_where_files_cannot_be_linked_they_are_copied(source, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(versions.os, "link", refuse)
    bring_in(source, tmp_path / "data")
    assert len(examples(tmp_path / "data", "1.0.0")) == len(NAMES)


def _living(group: int) -> list[int]:
    """Returns the processes of a group that are alive."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = file.parent.name, file.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(rest[2]) == group and rest[0] not in "ZX":
            found.append(int(pid))
    return found


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_ends_with_the_same_data_set(tmp_path):
    source = draw(tmp_path / "field", *numbered(1, 400), size=(64, 64))
    command = [
        sys.executable, "-m", "petseg", "data", "import", str(source), "--name", "tiles", "--workers", "2", "--json",
        "--split", "train=0.5,eval=0.5", "--data-dir", str(tmp_path / "data"),
    ]  # fmt: skip
    staged = tmp_path / "data" / "tiles" / ".import" / "shards"
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (staged.is_dir() and list(staged.glob("*.json"))) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while _living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _living(process.pid), "the workers end with it"
    assert _visible(tmp_path / "data") == []
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads(result.stdout)
    assert (report["kept"], report["is_new"]) == (400, True)
    assert any("taken over" in note for note in report["notes"])
    assert not (tmp_path / "data" / "tiles" / ".import").exists()
    bring_in(source, tmp_path / "data")
    assert len(examples(tmp_path / "data", "1.0.0")) == 400
