"""What the end of a pod means, by its exit code and what it wrote."""

import re
import signal
from pathlib import Path
from typing import Final

from trainer_module.errors import PetsegError

_EXPLANATION: Final = re.compile(r"^petseg [\d:]+ \S+: failed: (.*)\Z", re.DOTALL | re.MULTILINE)
"""The last line of the entrypoint."""

_TYPE_OF_EXCEPTION: Final = re.compile(r"[\w.]+(?:Error|Exception|Interrupt|Exit)\b: ")
_TRACEBACK: Final = "Traceback (most recent call last)"


class PodFailedError(Exception):
    """The pod ended with an exception that nobody foresaw; the message is what it wrote, the traceback included."""


def written_since(log: Path, start: int) -> str:
    """Returns what was appended to a log after its first `start` bytes."""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def end_of_pod(code: int | None, written: str) -> Exception:
    """Returns the error that says why a pod failed.

    Args:
      code: Its exit code, negative for a signal; None when it is not known.
      written: What it wrote.
    """
    if code is not None and code < 0:
        return PetsegError(f"the pod was ended by {signal.Signals(-code).name}; it may have run out of memory")
    explained = _EXPLANATION.search(written)
    if explained and not _TYPE_OF_EXCEPTION.match(explained[1]):
        return PetsegError(explained[1].strip())
    said = written[: explained.start()] if explained else written
    if _TRACEBACK in said:
        return PodFailedError(said.strip())
    ended = "the pod failed" if code is None else f"the pod ended with exit code {code}"
    last_line = said.strip().rpartition("\n")[2]
    return PetsegError(f"{ended}; its last words: {last_line}" if last_line else ended)
