"""How a process that may have loaded TensorFlow and Beam ends."""

import atexit
import os
import sys
from contextlib import suppress
from typing import Final

from petseg.surroundings import tidy_up

INTERRUPTED: Final = 130
TERMINATED: Final = 143


def leave(code: int) -> None:
    """Exits; with TensorFlow loaded at once: taking it down costs seconds, and threads of Beam may not end at all."""
    if "tensorflow" not in sys.modules:
        sys.exit(code)
    if code not in (INTERRUPTED, TERMINATED):
        atexit._run_exitfuncs()
    tidy_up()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # its reader has left, which does not change how the work ended
            stream.flush()
    os._exit(code)
