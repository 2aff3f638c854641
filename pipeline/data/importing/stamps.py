"""By what an import tells whether an image or its mask has changed since the last one."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.data.formats.annotation import Picture

_DIGEST_BYTES: Final = 16


def stamp(picture: Picture) -> str:
    """Returns a digest that changes with size or time of a picture's files, with its annotation, and with its labels.

    No file is opened. Empty where one cannot be looked at.
    """
    return _digest(picture, _state_of_file)


def content_digest(picture: Picture) -> str:
    """Returns a digest of the bytes of a picture's files, of its annotation, and of its labels.

    Empty where a file cannot be read.
    """
    return _digest(picture, Path.read_bytes)


def bytes_digest(content: bytes) -> str:
    """Returns a digest of bytes, as hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def _state_of_file(path: Path) -> bytes:
    state = path.stat()
    return f"{state.st_size}:{state.st_mtime_ns}".encode()


def _digest(picture: Picture, of_file: Callable[[Path], bytes]) -> str:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def add(value: Any) -> None:
        """Adds a value whose parts are those of dataclasses, containers, arrays and files."""
        digest.update(f"<{type(value).__name__}>".encode())
        if isinstance(value, Path):
            digest.update(bytes_digest(of_file(value)).encode())
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                add(getattr(value, field.name))
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.shape}{value.dtype}".encode() + value.tobytes())
        elif isinstance(value, Mapping):
            for key in sorted(value, key=repr):
                add((key, value[key]))
        elif isinstance(value, Set):
            add(sorted(value, key=repr))
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            for part in value:
                add(part)
        else:
            digest.update(repr(value).encode())

    try:
        add((picture.image, picture.mask, picture.labels))
    except OSError:
        return ""
    return digest.hexdigest()
