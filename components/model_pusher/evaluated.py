"""The images that models were evaluated on, beside the versions of a push destination: none is to be trained on again.

One digest a line (`components.image_digests`), sorted, and none is ever taken away: whoever pushes there, from whatever
machine or cluster, goes by the same. Servers pass the file over, since its name is no number. Nothing here imports
TensorFlow unless the destination is an object store.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from components.model_pusher.files import opened
from components.model_pusher.version_store import replace_file
from trainer_module.errors import ModelError

EVALUATED_FILE: Final = "petseg_evaluated_images.txt"


def evaluated_images(base_directory: str) -> frozenset[str]:
    """Returns the digests of all images that models were evaluated on to be pushed to a destination.

    Raises:
      ModelError: The record is there and cannot be read.
    """
    return frozenset(_content(base_directory).decode("ascii", "replace").split())


def add_evaluated(base_directory: str, digests: Iterable[str]) -> None:
    """Adds images to the record; the caller holds the push destination (`VersionStore.exclusive`).

    Raises:
      ModelError: The record is there and cannot be read.
      OSError: It cannot be written; what was there stays.
    """
    known = evaluated_images(base_directory)
    everything = known.union(digests)
    if everything != known:
        replace_file(evaluated_file(base_directory), "".join(f"{digest}\n" for digest in sorted(everything)).encode())


def record_identity(base_directory: str) -> str:
    """Returns what changes when an image is added; empty where there is no record."""
    content = _content(base_directory)
    return hashlib.sha256(content).hexdigest() if content else ""


def evaluated_file(base_directory: str) -> str:
    """Returns where the record of a destination is, or would be."""
    return f"{base_directory.rstrip('/')}/{EVALUATED_FILE}"


def _content(base_directory: str) -> bytes:
    file = evaluated_file(base_directory)
    try:
        with opened(file) as record:
            return record.read()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise ModelError(f"the images that were evaluated on before, {file!r}, cannot be read: {error}") from error
