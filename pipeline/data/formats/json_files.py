"""Annotation files in JSON, and what is wrong with those that cannot be read."""

import json
from pathlib import Path
from typing import Any

from pipeline.data.formats.files import read_text
from trainer_module.errors import DataError


def read_json(file: Path) -> Any:
    """Reads a JSON file.

    Raises:
      DataError: It cannot be read, is not UTF-8, or is no JSON; the message says in which line.
    """
    try:
        return json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{file}, line {error.lineno}, column {error.colno}: it is no readable JSON ({error.msg}): was it cut off? "
            "Export or download it again."
        ) from error
    except RecursionError as error:
        raise DataError(f"{file}: it is nested too deeply to be annotations.") from error
