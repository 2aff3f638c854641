"""Which environment variables a user's own code asks for: what a builder needs that no configuration names."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import petseg

_INSTALLED: Final = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    *(str(petseg.ROOT / name) for name in ("petseg", *petseg.PACKAGES)),
)
"""Where code lies that is not the user's own."""


@contextmanager
def asked_variables() -> Iterator[set[str]]:
    """Collects the names of the variables that code outside libraries looks up while the block runs."""
    environment: Any = type(os.environ)
    look_up, asked = environment.__getitem__, set[str]()

    def watched(self: Any, key: str) -> str:
        if _is_own(sys._getframe(1)):
            asked.add(key)
        value: str = look_up(self, key)
        return value

    environment.__getitem__ = watched
    try:
        yield asked
    finally:
        environment.__getitem__ = look_up


def _is_own(frame: FrameType | None) -> bool:
    """Returns whether the code that looks a variable up, by whatever function of `os`, is the user's own."""
    while frame is not None and frame.f_globals.get("__name__") in ("os", "posixpath", "collections.abc"):
        frame = frame.f_back
    file = frame.f_code.co_filename if frame else "<"
    return not file.startswith("<") and not any(Path(file).is_relative_to(place) for place in _INSTALLED)
