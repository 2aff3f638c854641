"""A removal leaves a consistent root wherever it is cut off, also on a full disk; metadata and disk stay in bounds."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from root_of_runs import ALL, RootOfRuns

from pipeline.housekeeping import disk, metadata, removal
from pipeline.housekeeping.cleaning import clean, look
from pipeline.housekeeping.disk import disk_usage
from pipeline.housekeeping.policy import Rules
from pipeline.runs.record import RunRecord
from trainer_module.errors import PetsegError

DANGLING = {
    "events of executions": "SELECT id FROM Event WHERE execution_id NOT IN (SELECT id FROM Execution)",
    "events of artifacts": "SELECT id FROM Event WHERE artifact_id NOT IN (SELECT id FROM Artifact)",
    "paths": "SELECT event_id FROM EventPath WHERE event_id NOT IN (SELECT id FROM Event)",
    "properties of executions": "SELECT name FROM ExecutionProperty"
    " WHERE execution_id NOT IN (SELECT id FROM Execution)",
    "properties of artifacts": "SELECT name FROM ArtifactProperty WHERE artifact_id NOT IN (SELECT id FROM Artifact)",
    "associations": "SELECT id FROM Association WHERE execution_id NOT IN (SELECT id FROM Execution)"
    " OR context_id NOT IN (SELECT id FROM Context)",
    "attributions": "SELECT id FROM Attribution WHERE artifact_id NOT IN (SELECT id FROM Artifact)"
    " OR context_id NOT IN (SELECT id FROM Context)",
    "parents": "SELECT context_id FROM ParentContext WHERE context_id NOT IN (SELECT id FROM Context)"
    " OR parent_context_id NOT IN (SELECT id FROM Context)",
    "keys of the cache": "SELECT Context.id FROM Context JOIN Type ON Type.id = type_id"
    " WHERE Type.name = 'execution_cache' AND Context.id NOT IN (SELECT context_id FROM Association)",
}
KEPT = Rules(keep=1)


def removed(root: RootOfRuns, rules: Rules = KEPT) -> removal.Removed:
    return clean(root.store, root.config(), rules, look(root.store, root.config(), rules))


def dangling(root: RootOfRuns) -> dict[str, list]:
    return {what: rows for what, statement in DANGLING.items() if (rows := root.sql(statement))}


def unfinished_artifacts(root: RootOfRuns) -> list[str]:
    """Returns the artifacts that ML Metadata knows and whose directory is there, but not whole."""
    known = [Path(uri) for (uri,) in root.sql("SELECT uri FROM Artifact")]
    return [str(path) for path in known if path.exists() and not (path / "data").is_file()]


def picture(root: RootOfRuns) -> tuple:
    """Returns all that tells whether two roots are in the same state."""
    files = {path.relative_to(root.root) for path in (root.root / "artifacts").rglob("data")}
    runs = {run: (root.files(run), root.store.record(run).cleaned is None) for run in root.store.run_ids()}
    return files, runs, root.rows()


def test_ml_metadata_goes_on_with_what_is_left(root):
    runs = [root.run(), root.run(fresh=["Evaluator", "RunReport"]), root.run(fails_at="Evaluator"), root.run()]
    last = max(execution.id for execution in root.ml_metadata.get_executions())
    removed(root)
    assert dangling(root) == {}
    assert root.known_runs() == {runs[3]}
    assert len(root.ml_metadata.get_executions()) == len(ALL)
    assert {artifact.uri for artifact in root.ml_metadata.get_artifacts()} == {
        str(root.artifact(runs[3], node)) for node in ALL
    }
    again = root.run(fresh=["RunReport"])
    assert root.artifact(again, "Trainer") == root.artifact(runs[3], "Trainer")
    fresh = root.run()
    assert int(root.artifact(fresh, "TfdsExampleGen").name) > last, "no number is given twice"


def test_a_run_that_shared_artifacts_with_a_kept_one_leaves_no_trace_at_them(root):
    source, shared = root.run(), root.run(fresh=["Evaluator", "RunReport"])
    newest = root.run(fresh=["Evaluator", "RunReport"])
    removed(root)
    assert root.known_runs() == {source, newest}
    assert dangling(root) == {}
    assert not root.artifact(shared, "Evaluator").exists()


def test_kept_rows_are_not_touched(root):
    """TFX's cache goes by the whole of an artifact's row, with the time of its last change."""
    root.run()
    root.run()
    rows = "SELECT * FROM Artifact WHERE id > 4", "SELECT * FROM Execution WHERE id > 4"
    before = [root.sql(statement) for statement in rows]
    removed(root)
    assert [root.sql(statement) for statement in rows] == before


@pytest.mark.parametrize("step", ["forget", "remove", "save", "compact"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_removal_that_is_cut_off_is_finished_by_the_next(root, step, call, monkeypatch):
    for _ in range(3):
        root.run()
    root.run(fails_at="Trainer")
    whole = RootOfRuns(root.root.with_name("whole"))
    shutil.copytree(root.root, whole.root)
    removed(whole)
    owner = {"forget": removal, "remove": disk.shutil, "save": RunRecord, "compact": removal}[step]
    name = "rmtree" if step == "remove" else step
    original, calls = getattr(owner, name), iter(range(1, 1000))

    def cut_off(*args, **kwargs):
        if next(calls) == call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, cut_off)
        try:
            removed(root)
        except KeyboardInterrupt:
            assert unfinished_artifacts(root) == []
            assert dangling(root) == {}
        else:
            assert call > 1, "there is no such call"
    removed(root)
    assert picture(root) == picture(whole)


def test_half_a_directory_is_no_cached_result(root, monkeypatch):
    """Cut off between two files of an artifact."""
    run = root.run()
    root.run()
    trainer = root.artifact(run, "Trainer")
    key = trainer.name
    assert root.cached("pets", "Trainer", key) == [str(trainer)]

    def remove_a_part(path, *_, **__):
        if path.parent == trainer.parent:
            (path / "data").unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(disk.shutil, "rmtree", remove_a_part)
    with pytest.raises(KeyboardInterrupt):
        removed(root)
    assert root.cached("pets", "Trainer", key) is None


def test_what_cannot_be_removed_is_told_and_tried_again(root, monkeypatch):
    run = root.run()
    root.run()
    with monkeypatch.context() as patch:

        def refused(path, *_, **__):
            raise PermissionError(13, "Permission denied", str(path))

        patch.setattr(disk.shutil, "rmtree", refused)
        problems = removed(root).problems
    assert any(problem.endswith("Permission denied") and "Trainer" in problem for problem in problems)
    assert not root.artifact(run, "Trainer").exists(), "it has another name already"
    assert removed(root).problems == ()
    assert not list((root.store.artifacts("pets") / "Trainer" / "model").glob(".removing-*"))


def test_a_run_every_day_stays_within_a_bound(root):
    sizes, files = [], []
    for day in range(32):
        root.run(fails_at="Evaluator" if day % 4 == 3 else "")
        removed(root, Rules(keep=3, max_bytes=4 * 10**6, removes_records=True))
        sizes.append(disk_usage(root.root))
        files.append(root.store.metadata.stat().st_size)
        assert dangling(root) == {}
    assert max(sizes[-8:]) == max(sizes[-16:-8]) < 4 * 10**6
    assert max(files[-8:]) == max(files[-16:-8])


def test_the_metadata_file_shrinks(root):
    for _ in range(25):
        root.run()
    before = root.store.metadata.stat().st_size
    removed(root)
    assert root.store.metadata.stat().st_size < before
    assert root.sql("PRAGMA freelist_count") == [(0,)]


def test_another_schema_is_left_alone(root):
    root.run()
    root.run()
    root.sql("UPDATE MLMDEnv SET schema_version = 11")
    with pytest.raises(PetsegError, match=r"has the schema version 11, and petseg clean knows 10 alone"):
        removed(root)


def test_a_locked_file_is_named_and_nothing_is_removed(root, monkeypatch):
    import sqlite3

    monkeypatch.setattr(metadata, "_WAIT_SECONDS", 0.1)
    run = root.run()
    root.run()
    connection = sqlite3.connect(root.store.metadata, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(PetsegError, match="is locked by another process"):
        removed(root)
    connection.close()
    assert root.artifact(run, "Trainer").is_dir()


def test_a_full_disk_is_cleaned(tmp_path, root):
    """On a file system of 3 MB without a free byte, where SQLite has no room for its journal."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a file system of its own needs root")
    try:
        for _ in range(3):
            root.run()
        full = RootOfRuns(small / "root")
        shutil.copytree(root.root, full.root)
        for path in (full.root / "artifacts").glob("*/*/.system"):
            shutil.rmtree(path)  # as if no leftover made room
        with pytest.raises(OSError, match="No space left"), (small / "filler").open("wb") as file:  # noqa: PT012
            while True:
                file.write(b"\1" * 4096)
                file.flush()
        assert shutil.disk_usage(small).free == 0
        plan = look(full.store, full.config(), KEPT)
        with pytest.raises(metadata.DiskFullError, match=r"is the disk full\?"):
            metadata.forget(full.store.metadata, plan.executions, plan.artifacts)
        assert len(full.known_runs()) == 3
        assert removed(full).problems == ()
        assert len(full.known_runs()) == 1
        assert shutil.disk_usage(small).free > 2 * 4 * 64 * 1024
        assert dangling(full) == {}
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_the_time_of_the_cleaning_is_kept_with_the_record(root):
    run = root.run()
    root.run()
    before = datetime.now(UTC)
    removed(root)
    assert before <= root.store.record(run).cleaned <= datetime.now(UTC)


def test_a_file_of_two_names_counts_once(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "file").write_bytes(b"x" * 100_000)
    alone = disk_usage(tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "file").hardlink_to(tmp_path / "one" / "file")
    directory = (tmp_path / "two").stat().st_blocks * 512
    assert disk_usage(tmp_path / "one") + disk_usage(tmp_path / "two") == alone + directory
