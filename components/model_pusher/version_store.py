"""A push destination that versions are written to, by what its file system can do.

A local directory has atomic renames and locks; an object store has neither.
"""

import errno
import fcntl
import io
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import tensorflow as tf
from absl import logging

from components.model_pusher.checksums import model_files
from components.model_pusher.versions import SAVED_MODEL_FILE, next_version, version_directory
from components.permissions import closed_to_others, let_everybody_read, make_readable_directory

LOCK_FILE: Final = ".petseg_push.lock"
_PUSHING: Final = ".pushing-"
_REMOVING: Final = ".removing-"
_TAKEN: Final = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


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
    return ObjectStore(base_directory) if "://" in base_directory else LocalStore(Path(base_directory))


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
            with tf.io.gfile.GFile(f"{model}/{file}", "rb") as source:
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
        for file, content in assets.items():
            self._make_parent(f"{directory}/{file}")
            with tf.io.gfile.GFile(f"{directory}/{file}", "wb") as target:
                target.write(content)
        for file in sorted(model_files(model), key=lambda file: file == SAVED_MODEL_FILE):
            self._make_parent(f"{directory}/{file}")
            tf.io.gfile.copy(f"{model}/{file}", f"{directory}/{file}")
        return version

    def remove(self, version: int) -> None:
        directory = version_directory(self._base, version)
        if tf.io.gfile.exists(f"{directory}/{SAVED_MODEL_FILE}"):
            tf.io.gfile.remove(f"{directory}/{SAVED_MODEL_FILE}")
        tf.io.gfile.rmtree(directory)

    def _make_parent(self, file: str) -> None:
        tf.io.gfile.makedirs(file.rpartition("/")[0])


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
