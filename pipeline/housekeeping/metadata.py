"""Reads ML Metadata's SQLite file, and removes rows from it: ML Metadata itself never does.

An artifact that is only marked as deleted would leave file and memory to grow for ever. So rows go, all that belongs to
an execution or artifact in one transaction, and the pages that they took are given back. The tables are those of schema
version 10, which the installed ML Metadata writes; a file of another version is left alone.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from pipeline.housekeeping.lineage import Execution, KnownContext, Lineage
from pipeline.runs.metadata import metadata_failure
from trainer_module.errors import PetsegError

_SCHEMA_VERSION: Final = 10
_WAIT_SECONDS: Final = 15.0
_COMPLETE, _CACHED = 3, 5
"""States of executions (`metadata_store_pb2.Execution.State`)."""

_INPUTS: Final = (2, 3, 5)
_OUTPUTS: Final = (1, 4, 6, 7)
"""Types of events: declared, real, internal, and of outputs pending (`metadata_store_pb2.Event.Type`)."""

_PIPELINE, _RUN, _NODE, _CACHE_KEY = "pipeline", "pipeline_run", "node", "execution_cache"
"""Types of contexts, by TFX's names."""

_OF_A_FULL_DISK: Final = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")
"""What SQLite says when it cannot write or make its journal."""

_ROWS_OF_GONE: Final = (
    "DELETE FROM EventPath WHERE event_id IN (SELECT id FROM Event"
    " WHERE execution_id IN gone_execution OR artifact_id IN gone_artifact)",
    "DELETE FROM Event WHERE execution_id IN gone_execution OR artifact_id IN gone_artifact",
    "DELETE FROM Association WHERE execution_id IN gone_execution",
    "DELETE FROM ExecutionProperty WHERE execution_id IN gone_execution",
    "DELETE FROM Execution WHERE id IN gone_execution",
    "DELETE FROM ArtifactProperty WHERE artifact_id IN gone_artifact",
    "DELETE FROM Attribution WHERE artifact_id IN gone_artifact",
    "DELETE FROM Artifact WHERE id IN gone_artifact",
)
_EMPTY_CONTEXTS: Final = (
    "INSERT INTO gone_context SELECT Context.id FROM Context JOIN Type ON Type.id = Context.type_id"
    f" WHERE Type.name IN ('{_RUN}', '{_CACHE_KEY}')"
    " AND Context.id NOT IN (SELECT context_id FROM Association)"
)
_ROWS_OF_CONTEXTS: Final = (
    "DELETE FROM ContextProperty WHERE context_id IN gone_context",
    "DELETE FROM Attribution WHERE context_id IN gone_context",
    "DELETE FROM ParentContext WHERE context_id IN gone_context OR parent_context_id IN gone_context",
    "DELETE FROM Context WHERE id IN gone_context",
)


class DiskFullError(PetsegError):
    """The disk has no room for the journal of a transaction; nothing was changed."""


def read_lineage(file: Path) -> Lineage:
    """Reads who made and used what; nothing where there is no file.

    Raises:
      PetsegError: The file is locked, damaged, or of a version of ML Metadata that is not known here.
    """
    if not file.exists():
        return Lineage()
    with _opened(file) as connection:
        connection.execute("BEGIN")
        artifacts = dict(connection.execute("SELECT id, coalesce(uri, '') FROM Artifact"))
        runs = _runs(connection)
        executions = _executions(connection, runs)
    return Lineage(executions, artifacts, runs)


def forget(file: Path, executions: Collection[int], artifacts: Collection[int]) -> None:
    """Removes executions, artifacts, and the runs and keys of the cache that have no execution left, all or nothing.

    Args:
      file: Of ML Metadata; there.
      executions: Their numbers.
      artifacts: Their numbers; no execution that stays used or made one of them.

    Raises:
      DiskFullError: The disk has no room for the journal.
      PetsegError: The file is locked, damaged, or of a version of ML Metadata that is not known here.
    """
    with _opened(file) as connection:
        for table, numbers in (("gone_execution", executions), ("gone_artifact", artifacts), ("gone_context", ())):
            connection.execute(f"CREATE TEMP TABLE {table} (id INTEGER PRIMARY KEY)")
            connection.executemany(f"INSERT INTO {table} VALUES (?)", ((number,) for number in numbers))
        connection.execute("BEGIN IMMEDIATE")
        for statement in (*_ROWS_OF_GONE, _EMPTY_CONTEXTS, *_ROWS_OF_CONTEXTS):
            connection.execute(statement)
        connection.execute("COMMIT")


def compact(file: Path) -> None:
    """Gives back the pages that removed rows took.

    Raises:
      DiskFullError: The disk has no room for the copy; the pages are used again for new rows.
      PetsegError: The file is locked or damaged.
    """
    with _opened(file) as connection:
        if connection.execute("PRAGMA freelist_count").fetchone()[0]:
            connection.execute("VACUUM")


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Opens the file; what is not committed at the end of the block is undone."""
    try:
        uri = f"{file.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA temp_store = MEMORY")
            _check_version(file, connection)
            yield connection
    except sqlite3.Error as error:
        if str(getattr(error, "sqlite_errorname", "")).startswith(_OF_A_FULL_DISK):
            raise DiskFullError(f"cannot write to {str(file)!r}: {error}; is the disk full?") from error
        raise metadata_failure(error, file) from error


def _check_version(file: Path, connection: sqlite3.Connection) -> None:
    found = connection.execute("SELECT schema_version FROM MLMDEnv").fetchall()
    if found != [(_SCHEMA_VERSION,)]:
        versions = ", ".join(str(version) for (version,) in found) or "none"
        raise PetsegError(
            f"{str(file)!r} has the schema version {versions}, and petseg clean knows {_SCHEMA_VERSION} alone: another "
            "version of ML Metadata wrote it, and nothing is removed"
        )


def _contexts(connection: sqlite3.Connection, kind: str) -> list[tuple[int, str, int]]:
    """Returns number, name and time of the contexts of a type."""
    return connection.execute(
        "SELECT Context.id, Context.name, Context.create_time_since_epoch FROM Context"
        " JOIN Type ON Type.id = Context.type_id WHERE Type.name = ?",
        (kind,),
    ).fetchall()


def _runs(connection: sqlite3.Connection) -> dict[str, KnownContext]:
    pipelines = {number: name for number, name, _ in _contexts(connection, _PIPELINE)}
    of_run = {
        run: pipelines[parent]
        for run, parent in connection.execute("SELECT context_id, parent_context_id FROM ParentContext")
        if parent in pipelines
    }
    return {
        name: KnownContext(number, of_run.get(number, ""), begun) for number, name, begun in _contexts(connection, _RUN)
    }


def _executions(connection: sqlite3.Connection, runs: dict[str, KnownContext]) -> dict[int, Execution]:
    run_names = {context.number: name for name, context in runs.items()}
    node_names = {number: name for number, name, _ in _contexts(connection, _NODE)}
    run_of, node_of = dict[int, str](), dict[int, str]()
    for context, execution in connection.execute("SELECT context_id, execution_id FROM Association"):
        if context in run_names:
            run_of[execution] = run_names[context]
        elif context in node_names:
            node_of[execution] = node_names[context]
    inputs, outputs = defaultdict[int, set[int]](set), defaultdict[int, set[int]](set)
    for execution, artifact, kind in connection.execute("SELECT execution_id, artifact_id, type FROM Event"):
        if kind in _INPUTS:
            inputs[execution].add(artifact)
        elif kind in _OUTPUTS:
            outputs[execution].add(artifact)
    found = {}
    for number, state in connection.execute("SELECT id, last_known_state FROM Execution"):
        pipeline, _, node = node_of.get(number, "").partition(".")
        found[number] = Execution(
            number,
            run=run_of.get(number, ""),
            pipeline=pipeline,
            node=node,
            is_success=state in (_COMPLETE, _CACHED),
            is_cached=state == _CACHED,
            inputs=frozenset(inputs[number]),
            outputs=frozenset(outputs[number]),
        )
    return found
