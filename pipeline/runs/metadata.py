"""The SQLite file of ML Metadata: why it cannot be used, who holds it, and what to do about it.

A file that another program has locked is sound; only one that SQLite itself calls damaged is to be put aside.
"""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from pipeline.terminal.streams import notify
from trainer_module.errors import PetsegError

MAX_RETRIES: Final = 15
"""How often ML Metadata tries again what somebody's lock keeps it from, every few seconds: for about a minute."""

_PATIENCE_SECONDS: Final = 1.0
_WAIT_SECONDS: Final = 15.0
_BUSY: Final = ("SQLITE_BUSY", "SQLITE_LOCKED")
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_DOUBTFUL: Final = (*_DAMAGED, "SQLITE_IOERR")
"""What may be otherwise a moment later."""

_SAID_OF_LOCKED: Final = ("database is locked", "Concurrent writes aborted")
"""What SQLite says, and what ML Metadata makes of it."""

_LOCKS: Final = Path("/proc/locks")


def check_metadata_file(file: Path, *, wait_seconds: float = _WAIT_SECONDS) -> None:
    """Checks that the file can be written to, if it is there; waits for somebody who has locked it.

    What looks damaged is looked at again after a moment. It may be a copy that somebody is just putting there; and a
    process that closes the file by another library than ML Metadata's loses the locks by which no other sees half a
    page.

    Args:
      file: Of ML Metadata.
      wait_seconds: How long to wait.

    Raises:
      PetsegError: It is locked, damaged, or may not be written to.
    """
    try:
        _write_nothing(file, min(_PATIENCE_SECONDS, wait_seconds))
    except sqlite3.Error as error:
        if not _says(error, _BUSY + _DOUBTFUL) or wait_seconds <= _PATIENCE_SECONDS:
            raise _failure(file, error) from error
        if _says(error, _BUSY):
            notify(f"waiting for {str(file)!r}, which another process has locked{_holders(file)}")
        else:
            time.sleep(_PATIENCE_SECONDS)
        try:
            _write_nothing(file, wait_seconds - _PATIENCE_SECONDS)
        except sqlite3.Error as late_error:
            raise _failure(file, late_error) from late_error


def check_pages(file: Path) -> None:
    """Checks that SQLite can read every page of the file, if it is there; the larger it is, the longer that takes.

    Raises:
      PetsegError: It is damaged, or cannot be read.
    """
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, timeout=_PATIENCE_SECONDS)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    except sqlite3.Error as error:
        raise _failure(file, error) from error
    if found != ["ok"]:
        raise PetsegError(_damaged_message(file, " ".join(str(found[0]).split())))


def metadata_failure(error: Exception, file: Path) -> PetsegError:
    """Returns what an error of ML Metadata means for the user, by what SQLite says of the file."""
    if is_locked(error):
        return PetsegError(locked_message(file))
    try:
        check_metadata_file(file, wait_seconds=0)
    except PetsegError as known:
        return known
    return PetsegError(
        f"ML Metadata cannot use {str(file)!r}: {error}. If another version of ML Metadata wrote it, use that version; "
        "or choose another root with --pipeline-root DIR"
    )


def is_locked(error: BaseException) -> bool:
    """Returns whether an error of SQLite or ML Metadata says that somebody else has locked the file."""
    return any(text in str(error) for text in _SAID_OF_LOCKED)


def locked_message(file: Path) -> str:
    """Returns what to do about a file that is locked."""
    return (
        f"{str(file)!r} is locked by another process{_holders(file)}: close it and run again; the file is sound, leave "
        "it where it is"
    )


def _write_nothing(file: Path, wait_seconds: float) -> None:
    """Begins to write, which needs the lock, and leaves it at that."""
    if not file.exists():
        return
    with closing(sqlite3.connect(file, timeout=wait_seconds, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.execute("ROLLBACK")


def _says(error: sqlite3.Error, names: tuple[str, ...]) -> bool:
    return str(getattr(error, "sqlite_errorname", "")).startswith(names)


def _failure(file: Path, error: sqlite3.Error) -> PetsegError:
    if _says(error, _BUSY):
        return PetsegError(locked_message(file))
    if _says(error, _DAMAGED):
        return PetsegError(_damaged_message(file, str(error)))
    return PetsegError(
        f"cannot write to {str(file)!r}: {error}; see to its permissions, and those of its directory, or choose "
        "another root with --pipeline-root DIR"
    )


def _damaged_message(file: Path, why: str) -> str:
    return (
        f"{str(file)!r} is no database of ML Metadata, or a damaged one ({why}); restore it from a copy, or rename it "
        f"to '{file}.damaged' to start with an empty cache (artifacts and pushed models stay where they are), or "
        "choose another root with --pipeline-root DIR"
    )


def _holders(file: Path) -> str:
    """Returns which processes hold a lock on the file, as far as Linux tells; nothing where it does not."""
    try:
        inode = str(file.stat().st_ino)
        locks = [line.split() for line in _LOCKS.read_text(encoding="ascii").splitlines()]
    except (OSError, ValueError):
        return ""
    holders = {int(lock[4]) for lock in locks if len(lock) > 5 and lock[5].rpartition(":")[2] == inode}
    named = [f"process {pid}, {command}" for pid in sorted(holders - {os.getpid()}) if (command := _command(pid))]
    return f" ({'; '.join(named)})" if named else ""


def _command(pid: int) -> str:
    """Returns the command line of a process; nothing where it cannot be seen."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return " ".join(word.decode(errors="replace") for word in words)[:100]
