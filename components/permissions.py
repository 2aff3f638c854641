"""Permissions of what servers read, which run as other users than who pushes."""

import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_DIRECTORY: Final = 0o755
_FILE: Final = 0o644


def let_everybody_read(path: Path) -> None:
    """Adds what a umask has taken away from a file or directory; a file system without permissions is left alone."""
    mode = stat.S_IMODE(path.stat().st_mode)
    wanted = mode | (_DIRECTORY if path.is_dir() else _FILE)
    if wanted != mode:
        with suppress(PermissionError, NotImplementedError):
            path.chmod(wanted)


def make_readable_directory(directory: Path) -> None:
    """Makes a directory that everybody may enter, and those above it that are missing; others stay as they are."""
    if directory.is_dir():
        return
    make_readable_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    let_everybody_read(directory)


def closed_to_others(directory: Path) -> list[Path]:
    """Returns the directories on the way to one, and it itself, that other users may not enter."""
    way = [directory, *directory.parents]
    return [place for place in reversed(way) if not place.stat().st_mode & stat.S_IXOTH]
