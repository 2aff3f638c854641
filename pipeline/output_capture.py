"""Sends everything a process writes to its terminal to a file, C++ libraries included."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def captured_output(log: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Redirects the file descriptors of standard output and error to the end of a file.

    Python's streams, TensorFlow's C++ log and child processes all write to these descriptors.

    Args:
      log: The file; made when absent.

    Yields:
      The real standard output and error, to write to the user meanwhile.
    """
    with ExitStack() as stack:
        target = stack.enter_context(log.open("ab"))
        streams = [_redirect(stack, descriptor, target.fileno()) for descriptor in (1, 2)]
        yield streams[0], streams[1]


def _redirect(stack: ExitStack, descriptor: int, target: int) -> TextIO:
    """Returns a stream to where the descriptor led; who writes to it too late meets an error, not another file."""
    _flush()
    original = os.dup(descriptor)
    stream = stack.enter_context(os.fdopen(original, "w", encoding="utf-8", errors="replace", buffering=1))
    os.dup2(target, descriptor)
    stack.callback(os.dup2, original, descriptor)
    stack.callback(_flush)
    return stream


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
