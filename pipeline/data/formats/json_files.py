"""Annotation files in JSON, and what is wrong with those that cannot be read."""

import json
from pathlib import Path
from typing import Any, Final

_BEGINNING_BYTES: Final = 2**14


def read_json(file: Path) -> Any:
    """Reads a JSON file.

    Raises:
      ValueError: It cannot be read, or is no JSON; the message says why and in which line, and does not name the file.
    """
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise ValueError(
            f"line {error.lineno}, column {error.colno}: it is no readable JSON ({error.msg}): was it cut off? Export "
            "or download it again"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no readable JSON: byte {error.start} is no UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply to be annotations") from error


def read_beginning(file: Path) -> bytes:
    """Returns the first bytes of a file, by which its format is told; none where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(_BEGINNING_BYTES)
    except OSError:
        return b""
