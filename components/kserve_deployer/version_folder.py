"""The folder that a storage URI names: it holds one version, and nothing else.

KServe puts what is in a storage URI at `/mnt/models`, where TensorFlow Serving looks for folders named by numbers and
serves the highest. The push destination itself would not do: each server would serve whatever is newest there, a canary
like the others. A version's own folder would not do either: its number would be lost. So each deployed version gets a
folder `.kserve/<version>-only/<version>` there. On a volume its files are hard links, which take no space; in a bucket
copies.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from components.permissions import make_readable_directory
from trainer_module.errors import ModelError

_FOLDERS: Final = ".kserve"
_SAVED_MODEL: Final = "saved_model.pb"
_REMOTE: Final = "://"


def provide_version_folder(destination: str, version: str) -> str:
    """Makes the folder of a version unless it is there; returns its path below the push destination.

    Args:
      destination: The push destination, a path or a URI.
      version: Name of the version's own directory there.

    Raises:
      ModelError: There is no such version, or the folder cannot be made.
    """
    source = f"{destination}/{version}"
    # The ending keeps one version's prefix in a bucket from being the beginning of another's.
    name = f"{_FOLDERS}/{version}-only"
    folder = f"{destination}/{name}"
    try:
        if _REMOTE in destination:
            _copy_objects(source, f"{folder}/{version}")
        else:
            _link_files(Path(source), Path(folder), version)
    except OSError as error:
        raise ModelError(
            f"cannot make {folder!r}, which KServe is to read version {version} from: {error.strerror or error}"
        ) from error
    return name


def _link_files(source: Path, folder: Path, version: str) -> None:
    """Makes the folder on this file system in one step: whoever sees it sees all of it."""
    if (folder / version / _SAVED_MODEL).is_file():
        return
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        make_readable_directory(part)
        shutil.copytree(source, part / version, copy_function=_link)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy(source, target)


def _copy_objects(source: str, target: str) -> None:
    """Copies the objects of a bucket; the graph last, since a version without it is none."""
    import tensorflow as tf

    gfile = tf.io.gfile
    if gfile.exists(f"{target}/{_SAVED_MODEL}"):
        return
    files = [f"{parent.rstrip('/')}/{name}" for parent, _, names in gfile.walk(source) for name in names]
    for file in sorted(files, key=lambda path: path == f"{source}/{_SAVED_MODEL}"):
        copy = f"{target}{file.removeprefix(source)}"
        gfile.makedirs(copy.rpartition("/")[0])
        gfile.copy(file, copy, overwrite=True)
