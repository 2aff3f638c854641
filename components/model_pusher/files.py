"""Files of pushed models, on this machine or in an object store (`gs://…`).

Only a path with a scheme goes through TensorFlow's file systems: importing TensorFlow takes seconds, and whoever looks
at a directory of this machine need not wait for it. Whatever fails is an `OSError`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO


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


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
