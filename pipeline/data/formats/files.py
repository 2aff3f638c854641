"""The files below a folder, as people's folders are: with links, hidden files, and names in any script."""

import os
import unicodedata
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.data.formats.annotation import Dropped
from trainer_module.errors import DataError

_OF_SYSTEMS: Final = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r"})
"""What Windows, macOS and Synology leave in folders, in lower case."""


@dataclass(frozen=True)
class Listing:
    """What there is below a folder."""

    root: Path
    files: tuple[Path, ...]
    """In the order of their names relative to the root; links to files are among them, broken ones too."""

    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]

    def name(self, file: Path) -> str:
        """Returns a file's path relative to the root, with `/`, as it is on disk."""
        return file.relative_to(self.root).as_posix()


def list_files(root: Path) -> Listing:
    """Lists all files below a folder; each folder is read once, however many links lead to it.

    Hidden files and folders, and what operating systems leave behind, are passed over.

    Raises:
      DataError: A folder is missing or cannot be read.
    """
    files: list[Path] = []
    dropped: list[Dropped] = []
    notes: list[str] = []
    seen = {_identity(root)}
    waiting = deque([root])
    while waiting:
        for entry in _entries(waiting.popleft()):
            path = Path(entry.path)
            name = path.relative_to(root).as_posix()
            if entry.name.startswith(".") or entry.name.lower() in _OF_SYSTEMS:
                continue
            if not _is_text(name):
                shown = os.fsencode(name).decode("utf-8", errors="replace")
                dropped.append(Dropped(shown, "its name is not UTF-8: rename it"))
            elif entry.is_dir():
                if _identity(path) in seen:
                    notes.append(f"{name} is a link to a folder that is read already; it was not followed.")
                    continue
                seen.add(_identity(path))
                waiting.append(path)
            elif entry.is_file() or entry.is_symlink():
                files.append(path)
    return Listing(root, tuple(sorted(files, key=lambda file: normal(str(file)))), tuple(dropped), tuple(notes))


def normal(text: str) -> str:
    """Returns a name in the one form of Unicode in which equal names are equal.

    macOS and some archives write "é" as two characters (NFD), most others as one (NFC).

    Source: Unicode Standard Annex #15.
    """
    return unicodedata.normalize("NFC", text)


def read_text(file: Path) -> str:
    """Reads a text file of the source, with or without a byte order mark.

    Raises:
      DataError: It cannot be read, or is not UTF-8.
    """
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise DataError(f"{file}: it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: it is not UTF-8 (byte {error.start}): save it as UTF-8.") from error


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            # What is no link first, so that a folder is called what it is.
            return sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError as error:
        raise DataError(
            f"{folder}: the folder cannot be read: {error.strerror}. Make it readable, or move it out of the source."
        ) from error


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise DataError(f"{folder}: there is no such folder: {error.strerror}.") from error
    return status.st_dev, status.st_ino


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
