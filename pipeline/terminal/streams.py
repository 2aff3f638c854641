"""What a process writes, and how it ends: its standard streams, whatever they lead to, and values as JSON.

A stream may lead to a terminal that hangs up, a reader that leaves, ASCII, or nothing; `prepare_standard_streams` is
called once, before a command writes. Nothing here imports rich, TensorFlow or TFX.
"""

import atexit
import codecs
import errno
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO

import click
from pydantic import TypeAdapter

from petseg.processes import tidy_up

INTERRUPTED: Final = 130
TERMINATED: Final = 143

ENCODING_ERRORS: Final = "petseg.replace"
"""Name of the codecs' error handler that writes in other words what a stream cannot encode."""

_STANDARD: Final = ("stdin", "stdout", "stderr")
"""By descriptor."""

_GONE: Final = (errno.EPIPE, errno.EIO)
"""How writing fails when the reader of a pipe has left, and when a terminal has hung up."""

_IN_OTHER_WORDS: Final = {"≤": "<=", "≥": ">=", "→": "->", "×": "x", "–": "-", "−": "-", "…": "..."}
"""The signs of petseg's own lines."""

_CONTROL: Final = (*range(0x20), *range(0x7F, 0xA0))
_ESCAPED: Final = {code: repr(chr(code))[1:-1] for code in _CONTROL}
_ESCAPED_BUT_LINES: Final = {code: text for code, text in _ESCAPED.items() if chr(code) not in "\n\t"}
_ANYTHING: Final[TypeAdapter[Any]] = TypeAdapter(Any)


class ClosedStream(io.TextIOWrapper):
    """Stands for a standard stream that was closed when the process started; what is written to it is lost."""

    def __init__(self, descriptor: int) -> None:
        mode = "r" if descriptor == 0 else "w"
        super().__init__(io.FileIO(descriptor, mode, closefd=False), encoding="utf-8", write_through=True)


class LastingStream(io.TextIOWrapper):
    """A stream to a reader that may leave: from then on what is written is dropped, and nobody fails by it."""

    def __init__(self, descriptor: int, like: TextIO) -> None:
        """Constructs the stream.

        Args:
          descriptor: Where it leads; closed with the stream.
          like: The stream that has its name and encoding.
        """
        buffer = io.BufferedWriter(io.FileIO(descriptor, "w"))
        super().__init__(buffer, encoding=like.encoding, errors=ENCODING_ERRORS, line_buffering=True)
        self._on_loss: Callable[[str], None] = lambda _: None
        self._loss = "it was closed when petseg started" if isinstance(like, ClosedStream) else ""

    def watch(self, on_loss: Callable[[str], None]) -> None:
        """Calls back with the reason when the reader has left, at once if that is past."""
        self._on_loss = on_loss
        if self._loss:
            on_loss(self._loss)

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        discard(self)
        if not self._loss:
            self._loss = "its reader has left" if error.errno == errno.EPIPE else (error.strerror or str(error))
            self._on_loss(self._loss)


def prepare_standard_streams() -> None:
    """Makes descriptors and streams such that whoever writes or opens a file meets no surprise.

    A descriptor that is closed would be given to the next file that is opened, and what is printed would go into it. A
    character that the encoding of a stream lacks would end the command.
    """
    for descriptor, name in enumerate(_STANDARD):
        stream = getattr(sys, name)
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            setattr(sys, name, ClosedStream(descriptor))
        elif descriptor and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ENCODING_ERRORS)


def lasting(stream: TextIO) -> TextIO:
    """Returns a stream to the same place whose reader may leave; one in memory as it is."""
    try:
        return LastingStream(os.dup(stream.fileno()), stream)
    except io.UnsupportedOperation:
        return stream


@contextmanager
def unread_is_no_failure(stream: TextIO) -> Iterator[None]:
    """Goes on after the block when nobody reads a stream any more, so that the exit code tells of the work."""
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise
        discard(stream)


def discard(stream: TextIO) -> None:
    """Drops what was and will be written to a stream."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def printable(text: str, *, keep_lines: bool = False) -> str:
    r"""Returns a text without control characters, which could move the cursor or forge lines: `\x1b` is written so.

    Args:
      text: Anything; names come from files, servers and users.
      keep_lines: Whether ends of lines and tabs stay, as in a message that has several.

    >>> printable("a\x1b[31m")
    'a\\x1b[31m'
    """
    return text.translate(_ESCAPED_BUT_LINES if keep_lines else _ESCAPED)


def say(line: str, stream: TextIO | None = None) -> None:
    """Writes a line for people, on standard output unless told otherwise.

    The stream is named to click, which would write UTF-8 where the encoding is ASCII.
    """
    click.echo(printable(line), file=stream or sys.stdout)


def notify(message: str, color: str | None = None) -> None:
    """Writes a message on standard error; a command does not fail for want of somebody who reads it."""
    with unread_is_no_failure(sys.stderr):
        click.secho(printable(message, keep_lines=True), fg=color, file=sys.stderr)


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
        target = stack.enter_context(log.open("ab")).fileno()
        yield _redirect(stack, sys.stdout, 1, target), _redirect(stack, sys.stderr, 2, target)


def json_text(value: Any) -> str:
    r"""Returns a value as indented JSON, in ASCII, which every stream can encode; NaN and the like become null.

    >>> print(json_text(["ü", float("nan")]).replace(chr(10), ""))
    [  "\u00fc",  null]
    """
    text = _ANYTHING.dump_json(value, indent=2).decode()
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)


def leave(code: int) -> None:
    """Exits; with TensorFlow loaded at once: taking it down costs seconds, and threads of Beam may not end at all."""
    if "tensorflow" not in sys.modules:
        sys.exit(code)
    if code not in (INTERRUPTED, TERMINATED):
        atexit._run_exitfuncs()
    _tidy_and_flush()
    os._exit(code)


def start_anew(environment: Mapping[str, str]) -> NoReturn:
    """Replaces this process by a fresh one of the same command: its id and standard streams stay, nothing else does.

    Args:
      environment: All of the fresh one's.

    Raises:
      OSError: It cannot be started.
    """
    atexit._run_exitfuncs()
    _tidy_and_flush()
    for descriptor in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if descriptor >= len(_STANDARD):
            with suppress(OSError):  # it was of the listing itself
                os.set_inheritable(descriptor, False)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _tidy_and_flush() -> None:
    tidy_up()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # its reader has left, which does not change how the work ended
            stream.flush()


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


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    code = ord(character)
    return _IN_OTHER_WORDS.get(character, f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"), error.start + 1


codecs.register_error(ENCODING_ERRORS, _replace)
