"""The log of a pipeline root, into which goes what scheduled runs print; all schedules of the root share it."""

import fcntl
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Final

LOG_NAME: Final = "schedule.log"
"""Log of the firings, in the pipeline root."""

FORMER_LOG_NAME: Final = f"{LOG_NAME}.1"
FULL_LOG_BYTES: Final = 1024 * 1024


class FiringLog:
    """The log of a pipeline root, to which goes what this process and its children write from now on.

    A firing that finds the log full puts it aside, in the place of the one that was put aside before. So the newest
    MiB at least is always there, and not much more than two are ever kept. Firings of several schedules may write at
    the same time: each line goes to the end of the file that its firing began with, and only one at a time looks
    whether that is full.
    """

    def __init__(self, root: Path, name: str) -> None:
        """Opens the log.

        Args:
          root: Pipeline root; there.
          name: Of the schedule that fires.
        """
        self._name = name
        self._descriptor = _open_at_end(root)
        self._start = os.fstat(self._descriptor).st_size
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(self._descriptor, stream.fileno())

    def write(self, what: str) -> None:
        """Adds a line about the firing."""
        print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} schedule {self._name}: {what}", flush=True)

    def last_error(self) -> str:
        """Returns the last error that was printed since the log was opened, as one line; empty where none was."""
        written = os.pread(self._descriptor, os.fstat(self._descriptor).st_size - self._start, self._start)
        lines = written.decode(errors="replace").splitlines()
        errors = [line.partition(": ")[2] for line in lines if line.lower().startswith("error: ")]
        return errors[-1] if errors else ""


def _open_at_end(root: Path) -> int:
    """Returns a descriptor of the log, a new one where the present one was full."""
    log = root / LOG_NAME
    while True:
        descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            return descriptor  # a file system without locks, of which the run will complain
        opened = os.fstat(descriptor)
        try:
            is_the_log = os.path.samestat(log.stat(), opened)
        except FileNotFoundError:
            is_the_log = False  # another firing has just put it aside
        is_full = opened.st_size >= FULL_LOG_BYTES
        if is_the_log and not is_full:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # children share the lock
            return descriptor
        if is_the_log:
            log.replace(root / FORMER_LOG_NAME)
        os.close(descriptor)
