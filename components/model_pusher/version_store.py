"""The versions of a model in a directory of TensorFlow Serving's layout: `<base>/<decimal number>/saved_model.pb`.

A version that can be seen is whole: one in the making has a name that is no number, or, in an object store, no
`saved_model.pb` yet. Servers take the highest. They run as other users than who pushes, and may read what is pushed.

A push destination is written to by what its file system can do: a directory of this machine has atomic renames and
locks; an object store has neither.
"""

import errno
import fcntl
import io
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from absl import logging

from components.model_pusher.files import exists, is_remote, model_files, names_in, opened, remote_files

SAVED_MODEL_FILE: Final = "saved_model.pb"
"""The file that makes a directory a model; where files come one by one, it comes last."""

LOCK_FILE: Final = ".petseg_push.lock"

_DIRECTORY: Final = 0o755
_FILE: Final = 0o644
_PUSHING: Final = ".pushing-"
_REMOVING: Final = ".removing-"
_TAKEN: Final = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def numbered_versions(base_directory: str) -> list[int]:
    """Returns the numbers that name something in a directory, ascending, complete or not; none where it is absent."""
    names = names_in(base_directory)
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal() and name == str(int(name)))


def complete_versions(base_directory: str) -> list[int]:
    """Returns the numbers of the complete versions, ascending; none where the directory is absent."""
    return [version for version in numbered_versions(base_directory) if is_complete(base_directory, version)]


def newest_version(base_directory: str) -> str | None:
    """Returns the directory of the highest complete version; None when there is none."""
    for version in reversed(numbered_versions(base_directory)):
        if is_complete(base_directory, version):
            return version_directory(base_directory, version)
    return None


def is_complete(base_directory: str, version: int) -> bool:
    """Returns whether a version can be loaded, as far as its files tell."""
    return exists(f"{version_directory(base_directory, version)}/{SAVED_MODEL_FILE}")


def version_directory(base_directory: str, version: int) -> str:
    """Returns where a version is, or would be."""
    return f"{base_directory.rstrip('/')}/{version}"


def next_version(base_directory: str, now: float) -> int:
    """Returns the number of the version to push next: the time in seconds, and higher than all there are.

    Args:
      base_directory: Where the versions are.
      now: Seconds since 1970; a clock that went back does no harm.
    """
    return max([int(now), *(version + 1 for version in numbered_versions(base_directory))])


class VersionStore(Protocol):
    """Where versions are written."""

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keeps other writers out, and removes what dead ones left, as far as the file system can tell."""

    def publish(self, model: str, assets: Mapping[str, bytes]) -> int:
        """Makes a model the highest version; whoever looks at the same time sees all of it or nothing.

        Args:
          model: Directory of the SavedModel.
          assets: Further files, by their paths from there.

        Returns:
          The version's number.
        """

    def remove(self, version: int) -> None:
        """Removes a version, complete or not; whoever looks at the same time sees all of it or nothing."""


def open_store(base_directory: str) -> VersionStore:
    """Returns what writes to a push destination; nothing is made yet."""
    return ObjectStore(base_directory) if is_remote(base_directory) else LocalStore(Path(base_directory))


class LocalStore:
    """A directory: versions are made under a name that starts with a dot, and renamed when they are on the disk.

    Everybody may read them, whatever the umask of who pushes: servers run as users of their own.
    """

    def __init__(self, base_directory: Path) -> None:
        self._base = base_directory

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the directory's lock: whatever is in the making while nobody else holds it was left by the dead."""
        make_readable_directory(self._base)
        with (self._base / LOCK_FILE).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                logging.warning("%s has no locks (%s): let one run push at a time.", self._base, error.strerror)
            else:
                self._remove_leftovers()
            yield

    def publish(self, model: str, assets: Mapping[str, bytes]) -> int:
        staging = self._base / f"{_PUSHING}{uuid.uuid4().hex}"
        for file in model_files(model):
            with opened(f"{model}/{file}") as source:
                _write(staging / file, source)
        for file, content in assets.items():
            _write(staging / file, io.BytesIO(content))
        for parent, _, _ in os.walk(staging, topdown=False):
            let_everybody_read(Path(parent))
            _sync(Path(parent))
        version = self._rename_to_number(staging)
        for closed in closed_to_others(self._base.absolute()):
            logging.warning(
                "A server that runs as another user cannot enter %s, which leads to %s.", closed, self._base
            )
        return version

    def remove(self, version: int) -> None:
        doomed = self._base / f"{_REMOVING}{uuid.uuid4().hex}"
        (self._base / str(version)).rename(doomed)
        _sync(self._base)
        shutil.rmtree(doomed)

    def _rename_to_number(self, staging: Path) -> int:
        while True:
            version = next_version(str(self._base), time.time())
            try:
                staging.rename(self._base / str(version))
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                continue
            _sync(self._base)
            return version

    def _remove_leftovers(self) -> None:
        for prefix in (_PUSHING, _REMOVING):
            for path in self._base.glob(f"{prefix}*"):
                logging.info("Removing %s, which an interrupted push left.", path)
                shutil.rmtree(path)


class ObjectStore:
    """Objects come one by one: `saved_model.pb`, which makes a version complete, is the last to come and first to go.

    There are no locks, so that two runs must not push at the same time, and what an interrupted push left stays.
    """

    def __init__(self, base_directory: str) -> None:
        self._base = base_directory.rstrip("/")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        yield

    def publish(self, model: str, assets: Mapping[str, bytes]) -> int:
        version = next_version(self._base, time.time())
        directory = version_directory(self._base, version)
        with remote_files() as gfile:
            for file, content in assets.items():
                gfile.makedirs(f"{directory}/{file}".rpartition("/")[0])
                with gfile.GFile(f"{directory}/{file}", "wb") as target:
                    target.write(content)
            for file in sorted(model_files(model), key=lambda file: file == SAVED_MODEL_FILE):
                gfile.makedirs(f"{directory}/{file}".rpartition("/")[0])
                gfile.copy(f"{model}/{file}", f"{directory}/{file}")
        return version

    def remove(self, version: int) -> None:
        directory = version_directory(self._base, version)
        with remote_files() as gfile:
            if gfile.exists(f"{directory}/{SAVED_MODEL_FILE}"):
                gfile.remove(f"{directory}/{SAVED_MODEL_FILE}")
            gfile.rmtree(directory)


def replace_file(path: str, content: bytes) -> None:
    """Writes a file for everybody to read; on this machine who reads at the same time sees the old one or the new one.

    Raises:
      OSError: It cannot be written; what was there stays.
    """
    if is_remote(path):
        with remote_files() as gfile, gfile.GFile(path, "wb") as remote:
            remote.write(content)
        return
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        let_everybody_read(temporary)
        temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


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


def _write(path: Path, source: BinaryIO) -> None:
    """Copies a file to where it is on the disk, not only on its way there, when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as target:
        shutil.copyfileobj(source, target)
        let_everybody_read(path)
        target.flush()
        os.fsync(target.fileno())


def _sync(directory: Path) -> None:
    """Waits until the names in a directory are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
