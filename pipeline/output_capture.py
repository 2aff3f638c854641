"""Sends everything a process writes to its terminal to a file, C++ libraries included."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.output_streams import LastingStream, unread_is_no_failure


@contextmanager
def captured_output(log: Path) -> Iterator[tuple[LastingStream, LastingStream]]:
    """Redirects the file descriptors of standard output and error to the end of a file.

    Python's streams, TensorFlow's C++ log and child processes all write to these descriptors.

    Args:
      log: The file; made when absent.

    Yields:
      The real standard output and error, to write to the user meanwhile; a reader that leaves is no failure.
    """
    with ExitStack() as stack:
        target = stack.enter_context(log.open("ab"))
        outputs = _redirect(stack, sys.stdout, 1, target.fileno()), _redirect(stack, sys.stderr, 2, target.fileno())
        yield outputs


def _redirect(stack: ExitStack, standard: TextIO, descriptor: int, target: int) -> LastingStream:
    """Returns a stream to where the descriptor led; who writes to it too late meets an error, not another file."""
    _flush()
    original = os.dup(descriptor)
    stream = stack.enter_context(LastingStream(original, standard))
    os.dup2(target, descriptor)
    stack.callback(os.dup2, original, descriptor)
    stack.callback(_flush)
    return stream


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with unread_is_no_failure(stream):
            stream.flush()
