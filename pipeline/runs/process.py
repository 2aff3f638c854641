"""What a run asks of its process: signals that end it in order, its own temporary files, variables for its children.

Ctrl-C and termination signals become one orderly KeyboardInterrupt, and a second one an exit at once. Python runs
signal handlers in the main thread between bytecodes, so a training step in C++ delays them; a thread that reads the
wake-up descriptor hears of a signal at once.
"""

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from pipeline.terminal.streams import INTERRUPTED

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ECHO_SECONDS: Final = 0.3  # `timeout` signals a process and its group: the same request arrives twice


class Interruption:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.requested = False

    def request(self, _signal_number: int, _frame: FrameType | None) -> None:
        """Handles a signal: raises KeyboardInterrupt the first time, so that nothing disturbs the cleaning up."""
        if not self.requested:
            self.requested = True
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt when the user asked to stop and something swallowed the first one."""
        if self.requested:
            raise KeyboardInterrupt


@contextmanager
def interruptible(on_request: Callable[[], None], on_abort: Callable[[], None]) -> Iterator[Interruption]:
    """Handles SIGINT, SIGTERM and SIGHUP while the block runs; needs the main thread.

    Args:
      on_request: Called from another thread as soon as the first signal arrives; KeyboardInterrupt is raised in the
        main thread as soon as it runs Python code.
      on_abort: Called from another thread when a second signal arrives; then the process exits with 130. A hang-up is
        no second signal: shells pass it on to their children, who have it from the kernel already.
    """
    interruption = Interruption()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    handled = [s for s in _SIGNALS if s != signal.SIGHUP or signal.getsignal(s) != signal.SIG_IGN]  # `nohup` ignores it
    previous = {number: signal.signal(number, interruption.request) for number in handled}
    previous_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(reader, on_request, on_abort), name="signals", daemon=True)
    listener.start()
    try:
        yield interruption
    finally:
        signal.set_wakeup_fd(previous_wakeup)
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.write(writer, b"\0")
        listener.join()
        os.close(reader)
        os.close(writer)


def _listen(wakeup: int, on_request: Callable[[], None], on_abort: Callable[[], None]) -> None:
    """Reads one byte a signal, its number; a zero ends it."""
    first: float | None = None
    while number := os.read(wakeup, 1)[0]:
        if number not in _SIGNALS:
            continue
        if first is None:
            first = time.monotonic()
            on_request()
        elif number != signal.SIGHUP and time.monotonic() - first > _ECHO_SECONDS:
            on_abort()
            os._exit(INTERRUPTED)


@contextmanager
def temporary_directory(directory: Path) -> Iterator[None]:
    """Makes a directory that of temporary files, for this process and its children, and removes it in the end.

    TensorFlow and Beam leave theirs behind where a process ends early.

    Args:
      directory: The directory; emptied first of what a killed process left.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    chosen = tempfile.tempdir
    tempfile.tempdir = str(directory)
    try:
        with environment_variables({"TMPDIR": str(directory)}):
            yield
    finally:
        tempfile.tempdir = chosen
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def environment_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of the environment, for this process and its children, while the block runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
