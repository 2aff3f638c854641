"""A command that ends with the process that started it, however that ends.

    python -P -m petseg.run_module pipeline.beam.bound_process PARENT COMMAND…

Linux sends the signal when the thread ends that started the process, so that has to be one that stays.
"""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
"""Of prctl(2); kept over execve(2)."""


def main(arguments: list[str]) -> None:
    """Becomes the command that follows the id of the process that started this one."""
    parent, *words = arguments
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(f"{words[0]}: the process that was to use it is gone")
    os.execvp(words[0], words)
