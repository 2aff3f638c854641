"""What takes how much of the disk under a pipeline root, and how it goes."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from components.refused_data import REFUSED_DIRECTORY

REMOVING: Final = ".removing-"
"""How the name of what is being removed begins: nobody takes it for whole."""

_BLOCK_BYTES: Final = 512
_SYSTEM: Final = ".system"
"""TFX's own directory beside the outputs of a component: what executors and drivers hand over while they run."""


def disk_usage(path: Path) -> int:
    """Returns the bytes that a file, or a directory with all in it, takes; 0 where it is absent.

    A file of several names, as examples that are handed on unchanged, counts in part for each: once in all.
    """
    try:
        if path.is_symlink() or not path.is_dir():
            return _bytes_of(path.lstat())
        with os.scandir(path) as entries:
            return path.lstat().st_blocks * _BLOCK_BYTES + sum(
                disk_usage(Path(entry))
                if entry.is_dir(follow_symlinks=False)
                else _bytes_of(entry.stat(follow_symlinks=False))
                for entry in entries
            )
    except OSError:  # it has just gone, or may not be looked at
        return 0


def _bytes_of(file: os.stat_result) -> int:
    return file.st_blocks * _BLOCK_BYTES // max(1, file.st_nlink)


def artifact_directories(artifacts: Path) -> Iterator[Path]:
    """Yields every directory of one artifact: `<pipeline>/<component>/<output>/<execution>`, also one half removed."""
    for path in artifacts.glob("*/*/*/*"):
        output = path.parent.name
        if output not in (_SYSTEM, REFUSED_DIRECTORY) and path.name.removeprefix(REMOVING).isdecimal():
            yield path


def refused_directories(artifacts: Path) -> Iterator[tuple[str, Path]]:
    """Yields what components found in data that they refused, with the id of the run."""
    for path in artifacts.glob(f"*/*/{REFUSED_DIRECTORY}/*"):
        yield path.name.removeprefix(REMOVING), path


def system_directories(artifacts: Path) -> Iterator[Path]:
    """Yields what TFX needs only while a component runs."""
    yield from artifacts.glob(f"*/*/{_SYSTEM}/*/*")


def artifact_directory(artifacts: Path, uri: str) -> Path:
    """Returns where an artifact is: by the end of its URI, which a root that was moved has in common with it."""
    return artifacts.joinpath(*Path(uri).parts[-4:])


def set_aside(path: Path) -> Path:
    """Renames a file or directory in one step, so that nobody finds half of it, and returns where it is now.

    Raises:
      OSError: It cannot be renamed.
    """
    if path.name.startswith(REMOVING):
        return path
    aside = path.with_name(f"{REMOVING}{path.name}")
    if aside.is_dir():
        shutil.rmtree(aside)
    return path.rename(aside)


def remove(paths: Iterable[Path]) -> list[OSError]:
    """Removes files and directories, each at once before the eyes of others; returns what kept some from going."""
    problems = []
    for path in paths:
        try:
            aside = set_aside(path)
            if aside.is_dir() and not aside.is_symlink():
                shutil.rmtree(aside)
            else:
                aside.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(error)
    return problems
