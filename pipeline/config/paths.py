"""Which names of directories the libraries under petseg can open.

Beam reads a pattern of file names, of which the pipeline root is a part, and TensorFlow restores the weights of a model
by one; neither has a way to escape what is in it. Measured: `*` and `?` read other directories, too, `[1]` finds
nothing, and a backslash hides what follows it; every other character does no harm. The data directory, images and
outputs are opened by their names, as they are.
"""

import os
import sys
from typing import Final

from trainer_module.errors import ConfigError

_OF_PATTERNS: Final = "*?[\\"
_WITH_QUERIES: Final = ("s3://", "minio://")


def check_no_pattern(setting: str, path: str) -> None:
    """Checks that TFX and TensorFlow find what is in a directory, and nothing else.

    Args:
      setting: What names it, for the message.
      path: A path or a URI.

    Raises:
      ConfigError: They do not.
    """
    check_name(setting, path)
    # Of an object store's URI the query says how to reach the store (`minio://bucket/key?endpoint=…`).
    name = path.partition("?")[0] if path.startswith(_WITH_QUERIES) else path
    character = next((character for character in name if character in _OF_PATTERNS), None)
    if character is not None:
        raise ConfigError(
            f"{setting}: {path!r} has a {character!r}, by which Beam and TensorFlow would read other directories or "
            f"none, since it is a pattern for them; choose a directory without any of {' '.join(_OF_PATTERNS)}"
        )


def check_name(setting: str, path: str) -> None:
    """Checks that TensorFlow opens the same file as Python does.

    Args:
      setting: What names it, for the message.
      path: A path or a URI.

    Raises:
      ConfigError: TensorFlow takes names as UTF-8, and the name is not, or the locale has another encoding.
    """
    try:
        is_the_same = os.fsencode(path) == path.encode()
    except UnicodeEncodeError:
        is_the_same = False
    if not is_the_same:
        raise ConfigError(
            f"{setting}: {path!r} cannot be opened: TensorFlow takes names of files as UTF-8, and the locale's "
            f"encoding is {sys.getfilesystemencoding()}; set LC_ALL=C.UTF-8 (without PYTHONUTF8=0), or choose a name "
            "in ASCII"
        )
