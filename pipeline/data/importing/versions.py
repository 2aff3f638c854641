"""The directory of a data set and its versions: which there are, who may write, and how a version comes to be."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from components.dataset_card import DatasetCard
from pipeline.data.importing import entries as entry_list
from pipeline.data.importing.entries import Entry
from pipeline.data.importing.report import ImportReport
from trainer_module.errors import ConfigError, DataError

RECORD_FILE: Final = "import.json"
_WORKSHOP: Final = ".import"
"""Beside the versions: the lock, shards that are finished, and the version in the making."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class Version(NamedTuple):
    """Of a data set, as TFDS has it."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads `1.2.0`; None for all else."""
        found = _VERSION.fullmatch(text)
        return cls(*map(int, found.groups())) if found else None

    def __str__(self) -> str:
        return ".".join(map(str, self))


FIRST_VERSION: Final = Version(1, 0, 0)


class ImportRecord(BaseModel):
    """What is kept of an import for the next one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    folders: tuple[str, ...]
    """Sources, as absolute paths; the first made the data set, the others were added."""

    settings: dict[str, Any]
    """What decides what becomes of a picture, beside its own files."""

    fits: dict[str, int]
    """How many masks of images that EXIF turns fit in which way."""

    labels: tuple[str, ...]
    card: DatasetCard
    classes_are_declared: bool
    report: ImportReport


@dataclass(frozen=True)
class ImportedVersion:
    """A version that an import has made."""

    directory: Path
    version: Version
    record: ImportRecord

    def entries(self) -> list[Entry]:
        """Reads the list of all files.

        Raises:
          DataError: It is damaged.
        """
        path = self.directory / entry_list.FILE_NAME
        try:
            return entry_list.read_entries(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{str(path)!r} cannot be read: {error}. {_WAY_OUT}") from error


_WAY_OUT: Final = "Import under another --name, or remove the version's directory and import again."


class DatasetPlace:
    """The directory of a data set in a TFDS data directory."""

    def __init__(self, data_dir: str, name: str) -> None:
        """Constructs the place; nothing is made.

        Raises:
          ConfigError: It can be none.
        """
        if "://" in data_dir:
            raise ConfigError(
                f"--data-dir {data_dir!r}: a data set is imported into a local directory. Copy that to the store then, "
                "and set data.data_dir to the store."
            )
        if not _NAME.fullmatch(name):
            raise ConfigError(f"--name {name!r}: a name begins with a letter and has of a…z, 0…9 and _ only")
        self.name = name
        self.directory = Path(data_dir).absolute() / name
        self.workshop = self.directory / _WORKSHOP
        self.staging = self.workshop / "shards"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the directory where it is not there, and holds it for one import.

        Raises:
          DataError: Another import holds it, or it cannot be written.
        """
        try:
            self.staging.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.workshop / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataError(
                f"{str(self.directory)!r} cannot be written: {error.strerror}: {error.filename!r}. Give another "
                "directory with --data-dir."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode() or "unknown"
            os.close(descriptor)
            raise DataError(
                f"another import is writing {self.name!r} in {str(self.directory.parent)!r} (process {holder}): wait "
                "until it is done."
            ) from error
        try:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            self._tidy_up()
            os.close(descriptor)

    def newest(self) -> ImportedVersion | None:
        """Returns the newest version; None where there is no data set.

        Raises:
          DataError: The data set of that name is none that was imported.
        """
        found = []
        for directory in self._directories():
            version = Version.parse(directory.name)
            if version is None or not (directory / RECORD_FILE).is_file():
                raise DataError(
                    f"{str(self.directory)!r} holds a data set that petseg has not imported ({directory.name}); it is "
                    "left alone. Import under another --name."
                )
            found.append((version, directory))
        if not found:
            return None
        version, directory = max(found)
        file = directory / RECORD_FILE
        try:
            record = ImportRecord.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(f"{str(file)!r} cannot be read: {error}. {_WAY_OUT}") from error
        return ImportedVersion(directory, version, record)

    def _directories(self) -> list[Path]:
        try:
            return [path for path in self.directory.iterdir() if path.is_dir() and not path.name.startswith(".")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"{str(self.directory)!r} cannot be read: {error.strerror}.") from error

    @contextmanager
    def making(self, version: Version) -> Iterator[Path]:
        """Gives a directory to fill, which becomes the version when the block ends, at once or not at all."""
        unfinished = self.workshop / "version"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        yield unfinished
        for file in unfinished.iterdir():
            _flush(file)
        _flush(unfinished)
        unfinished.rename(self.directory / str(version))
        _flush(self.directory)

    def forget_finished(self) -> None:
        """Removes the shards that are finished, when the version has them or nobody needs them any more."""
        for file in self.staging.iterdir():
            file.unlink()

    def _tidy_up(self) -> None:
        """Removes what would stay for nothing: a workshop without finished shards, and a directory without version."""
        with suppress(OSError):
            self.staging.rmdir()
            shutil.rmtree(self.workshop)
            self.directory.rmdir()


def take_over(files: Mapping[Path, Path]) -> None:
    """Puts files into a directory without copying them, where the file system can.

    Args:
      files: Where each goes, to where it is.
    """
    for target, file in files.items():
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, target)


def _flush(path: Path) -> None:
    """Waits until the disk has a file or directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
