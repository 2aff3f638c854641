"""The versions of a model in a directory of TensorFlow Serving's layout: `<base>/<decimal number>/saved_model.pb`.

A version that can be seen is whole: one in the making has a name that is no number, or, in an object store, no
`saved_model.pb` yet. Servers take the highest.
"""

from typing import Final

import tensorflow as tf

SAVED_MODEL_FILE: Final = "saved_model.pb"
"""The file that makes a directory a model; where files come one by one, it comes last."""


def numbered_versions(base_directory: str) -> list[int]:
    """Returns the numbers that name something in a directory, ascending, complete or not; none where it is absent."""
    if not tf.io.gfile.isdir(base_directory):
        return []
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(base_directory))
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
    return bool(tf.io.gfile.exists(f"{version_directory(base_directory, version)}/{SAVED_MODEL_FILE}"))


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
