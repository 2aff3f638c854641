"""Where TFDS keeps a prepared data set, found by its name on a local disk, without TensorFlow.

The rules are those of `tfds.core.read_only_builder`, which takes seconds to import: the newest version that fits, of
the configuration that is named, or of the default one.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

from components.dataset_card import DatasetCard, card_of
from trainer_module.errors import DataError

_FEATURES_FILE: Final = "features.json"
"""What makes a directory a data set to TFDS."""

_METADATA_FILE: Final = "metadata.json"
_DEFAULT_CONFIG_FILE: Final = ".config/metadata.json"
_DEFAULT_CONFIG_KEY: Final = "default_config_name"
_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def prepared_directory(dataset: str, data_dir: str) -> Path | None:
    """Returns the directory of the newest prepared version that fits a name; None where there is none.

    Args:
      dataset: As `data.dataset` has it: name, optional configuration and version.
      data_dir: TFDS data directory.

    Raises:
      DataError: The file that names the default configuration cannot be read.
    """
    name, _, version = dataset.partition(":")
    directory = Path(data_dir).expanduser() / name
    if "/" not in name:
        default = _json_object(directory / _DEFAULT_CONFIG_FILE).get(_DEFAULT_CONFIG_KEY)
        directory = directory / default if isinstance(default, str) else directory
    try:
        fitting = [entry for entry in directory.iterdir() if _fits(entry.name, version)]
    except OSError:
        return None
    newest = max(fitting, key=lambda entry: tuple(map(int, entry.name.split("."))), default=None)
    return newest if newest and (newest / _FEATURES_FILE).is_file() else None


def prepared_card(directory: Path) -> DatasetCard:
    """Returns what a prepared data set says of itself; an empty card where it says nothing.

    Args:
      directory: Of one version.

    Raises:
      DataError: What it says cannot be used.
    """
    file = directory / _METADATA_FILE
    return card_of(_json_object(file), str(file))


def _fits(name: str, version: str) -> bool:
    """Returns whether a directory's name is a version, and fits the one asked for: `1.*.*`, or empty for any."""
    found = _VERSION.fullmatch(name)
    wanted = version.split(".") if version else ["*"] * 3
    return found is not None and all(part in ("*", own) for part, own in zip(wanted, found.groups(), strict=False))


def _json_object(file: Path) -> dict[str, Any]:
    """Reads an object of JSON; an empty one where there is no file."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read {str(file)!r}, in which a TFDS data set describes itself: {error}. Prepare or import the "
            "data set again."
        ) from error
    return value if isinstance(value, dict) else {}
