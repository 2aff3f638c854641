"""The paths of a pod's volumes on this machine.

A pod sees a volume at its mount path; a process of this machine cannot. So the path is replaced wherever a text names
it: in parameters, also inside JSON that is text itself, in environment variables and in arguments.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer_module.errors import ConfigError

_START = r"(?:(?<![\w./~-])|(?<=\\[nt]))"
"""No path goes on before it; in a JSON text, an escaped new line or tab may stand there."""

_END = r"(?![\w.~-])"


class Mounts:
    """Which directory of this machine stands for which directory of a pod."""

    def __init__(self, directories: Mapping[str, Path]) -> None:
        """Constructs the mounts.

        Args:
          directories: Directory of this machine, fit as `check_directory` says, by the pod's path; the deepest of
            several that fit a text is taken.
        """
        self._directories = {path.rstrip("/"): str(directory) for path, directory in directories.items()}
        deepest_first = sorted(self._directories, key=len, reverse=True)
        names = "|".join(map(re.escape, deepest_first))
        self._pattern = re.compile(rf"{_START}({names}){_END}") if names else None

    def local(self, value: Any) -> Any:
        """Returns a text, list or struct with the pod's paths replaced by those of this machine."""
        if isinstance(value, dict):
            return {key: self.local(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.local(inner) for inner in value]
        if not isinstance(value, str) or self._pattern is None:
            return value
        return self._pattern.sub(lambda match: self._directories[match[1]], value)


def check_directory(directory: Path) -> None:
    """Checks that a directory's name stays what it is inside a JSON text.

    Raises:
      ConfigError: It does not.
    """
    if re.search(r'["\\\x00-\x1f]', str(directory)):
        raise ConfigError(
            f"the path {str(directory)!r} has a character that JSON escapes; choose another root with "
            "--pipeline-root DIR"
        )
