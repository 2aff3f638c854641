"""The files of pushed models, on this machine or in an object store (`gs://…`), and their digests.

Only a path with a scheme goes through TensorFlow's file systems: importing TensorFlow takes seconds, and whoever looks
at a directory of this machine need not wait for it. Whatever fails is an `OSError`.

A pushed version brings the digest of each of its files. What identifies the model follows from them, so that a model
whose push is trusted is known without being read again; to tell damage is to read every file.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from trainer_module import features
from trainer_module.errors import ModelError

PUSH_FILE: Final = f"{features.ASSETS_DIRECTORY}/{features.PUSH_ASSET}"
CHECKSUMS_FILE: Final = f"{features.ASSETS_DIRECTORY}/{features.CHECKSUMS_ASSET}"
STATISTICS_FILE: Final = f"{features.ASSETS_DIRECTORY}/{features.STATISTICS_ASSET}"
WRITTEN_AT_PUSH: Final = (PUSH_FILE, CHECKSUMS_FILE, STATISTICS_FILE)
"""What tells one push of a model from another; the rest is the model."""

_CHUNK_BYTES: Final = 1 << 20
_UNREADABLE: Final = (ValueError, KeyError, TypeError)
"""What reading checksums raises that are none."""


def is_remote(path: str) -> bool:
    """Returns whether a path names something that only TensorFlow's file systems reach.

    >>> is_remote("gs://bucket/models"), is_remote("/models")
    (True, False)
    """
    return "://" in path


@contextmanager
def remote_files() -> Iterator[Any]:
    """Yields `tf.io.gfile`, whose errors become those that Python's own functions raise."""
    import tensorflow as tf

    try:
        yield tf.io.gfile
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(error.message) from error
    except tf.errors.OpError as error:
        raise OSError(error.message) from error


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Opens a file to read bytes; the block that reads it may raise `OSError`, too.

    Raises:
      FileNotFoundError: There is none.
    """
    if not is_remote(path):
        with Path(path).open("rb") as local:
            yield local
        return
    with remote_files() as gfile, gfile.GFile(path, "rb") as file:
        yield file


def exists(path: str) -> bool:
    """Returns whether there is a file or directory; what may not be looked at is not there."""
    if not is_remote(path):
        return os.access(path, os.F_OK)
    with remote_files() as gfile:
        return bool(gfile.exists(path))


def names_in(directory: str) -> list[str]:
    """Returns the names of what is in a directory; none where it is absent."""
    if not is_remote(directory):
        with suppress(FileNotFoundError, NotADirectoryError):
            return [path.name for path in Path(directory).iterdir()]
        return []
    with remote_files() as gfile:
        return [name.rstrip("/") for name in gfile.listdir(directory)] if gfile.isdir(directory) else []


def files_below(directory: str) -> list[str]:
    """Returns the paths of all files in a directory and its subdirectories, from the directory on, sorted.

    Raises:
      OSError: A directory cannot be read; one that is absent has no files.
    """
    root = directory.rstrip("/")
    if not is_remote(root):
        walked = list(os.walk(root, onerror=_raise_unless_absent, followlinks=True))
    else:
        with remote_files() as gfile:
            walked = list(gfile.walk(root))
    paths = (f"{parent.rstrip('/')}/{name}" for parent, _, names in walked for name in names)
    return sorted(path.removeprefix(f"{root}/") for path in paths)


def model_files(directory: str) -> list[str]:
    """Returns the paths, from the directory on, of the files that are the model, sorted."""
    return [file for file in files_below(directory) if file not in WRITTEN_AT_PUSH]


def file_digests(directory: str) -> dict[str, str]:
    """Returns the SHA-256 of each file of a model, by its path from the directory on; reads every one."""
    return {file: _digest(f"{directory}/{file}") for file in model_files(directory)}


def content_digest(digests: Mapping[str, str]) -> str:
    """Returns what identifies a model, wherever it is and whenever it was pushed, from the digests of its files.

    >>> content_digest({"saved_model.pb": "a", "variables": "b"}) == content_digest(
    ...     {"variables": "b", "saved_model.pb": "a", "assets.extra/petseg_push.json": "c"}
    ... )
    True
    """
    digest = hashlib.sha256()
    for file in sorted(set(digests) - {*WRITTEN_AT_PUSH}):
        digest.update(f"{file}={digests[file]};".encode())
    return digest.hexdigest()


def pushed_digests(directory: str) -> dict[str, str]:
    """Returns the digests of a version's files when they were pushed, and of those written at the push.

    Raises:
      ModelError: The version has no checksums.
      ValueError: They cannot be read; also KeyError and TypeError.
    """
    try:
        with opened(f"{directory}/{CHECKSUMS_FILE}") as file:
            return dict(json.loads(file.read())["sha256"])
    except FileNotFoundError as error:
        raise ModelError(
            f"{directory!r} cannot be verified: it has no {CHECKSUMS_FILE}, so this version of petseg did not push it."
        ) from error


def pushed_content(directory: str) -> str:
    """Returns what identifies a pushed model by its checksums; where it has none, by reading its files."""
    try:
        return content_digest(pushed_digests(directory))
    except (ModelError, *_UNREADABLE):
        return content_digest(file_digests(directory))


def is_model(directory: str, digests: Mapping[str, str]) -> bool:
    """Returns whether a pushed version is a model, undamaged; its files are read only where its checksums say so."""
    content = content_digest(digests)
    return pushed_content(directory) == content and content_digest(file_digests(directory)) == content


def checksums(digests: Mapping[str, str], others: Mapping[str, bytes]) -> bytes:
    """Returns the content of the checksums' file: the SHA-256 of each file of a model, and of others pushed with it."""
    pushed = {file: digest for file, digest in digests.items() if file not in WRITTEN_AT_PUSH}
    pushed |= {file: hashlib.sha256(content).hexdigest() for file, content in others.items()}
    return json.dumps({"sha256": pushed}, indent=2, sort_keys=True).encode()


def differences(directory: str) -> list[str]:
    """Returns what is not as it was pushed, a line a file; nothing when all is. Reads every file.

    Raises:
      ModelError: The version has no checksums.
    """
    try:
        pushed = pushed_digests(directory)
    except _UNREADABLE as error:
        return [f"{CHECKSUMS_FILE} has changed, and cannot be read: {error}"]
    found = {file for file in files_below(directory) if file != CHECKSUMS_FILE}
    lines = [f"{file} is missing" for file in sorted(set(pushed) - found)]
    lines += [f"{file} was not pushed" for file in sorted(found - set(pushed))]
    changed = (file for file in sorted(found & set(pushed)) if _digest(f"{directory}/{file}") != pushed[file])
    return lines + [f"{file} has changed" for file in changed]


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with opened(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
