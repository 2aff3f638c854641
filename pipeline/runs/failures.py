"""One clear message for whatever a component raised, however deep TFX and Beam wrapped it."""

import errno
import re
import shutil
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.runs.metadata import is_locked, locked_message
from trainer_module.errors import PetsegError

_TRACEBACK: Final = "Traceback (most recent call last)"
_DISK_FULL: Final = ("No space left on device", "database or disk is full")
_BEAM_SUFFIX: Final = re.compile(r"\s*\[while running '.*?'\]|\s*\[?\w*Error while running .*", re.DOTALL)
_END_OF_MESSAGE: Final = re.compile(r"\n\s*\n|\n(?=Traceback|During handling|The above exception)")
_MAX_CHARACTERS: Final = 2000


class Failure(NamedTuple):
    """What went wrong."""

    message: str
    is_foreseen: bool
    """Whether the message says it all; else the log's last lines may help."""


def explain_failure(error: BaseException, root: Path, metadata: Path | None = None) -> Failure:
    """Returns what went wrong, for the user.

    Args:
      error: What a component or TFX raised.
      root: The pipeline root, named where its disk is full.
      metadata: The file of ML Metadata, named where it is locked; None where there is none.
    """
    chain = list(_chain(error))
    if any(_is_disk_full(link) for link in chain):
        free = shutil.disk_usage(root).free / 2**20
        message = (
            f"the disk is full (the pipeline root {str(root)!r} has {free:.0f} MiB left); free some space and run "
            "again: finished components are kept"
        )
        return Failure(message, is_foreseen=True)
    if metadata is not None and any(is_locked(link) for link in chain):
        return Failure(locked_message(metadata), is_foreseen=True)
    for link in chain:
        own = _own_message(link)
        if own:
            return Failure(own, is_foreseen=True)
    return Failure(_last_exception_line(error), is_foreseen=False)


def log_tail(log: Path, lines: int = 15) -> list[str]:
    """Returns the last lines of a log that are not empty."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            return list(deque((line.rstrip() for line in file if line.strip()), maxlen=lines))
    except OSError:
        return []


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception and all that caused it, the innermost cause last."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _own_message(error: BaseException) -> str | None:
    """Returns the message of a PetsegError, also of one that Beam turned to the text of a traceback."""
    if isinstance(error, PetsegError):
        return _clean(str(error))
    names = "|".join(sorted(_names_of_subclasses(PetsegError)))
    found = re.findall(
        rf"^(?:[\w.]+\.)?(?:{names}): (.*?)(?=\Z|{_END_OF_MESSAGE.pattern})", str(error), re.DOTALL | re.MULTILINE
    )
    return _clean(found[-1]) if found else None


def _names_of_subclasses(error_type: type[BaseException]) -> set[str]:
    return {error_type.__name__}.union(*(_names_of_subclasses(inner) for inner in error_type.__subclasses__()))


def _clean(message: str) -> str:
    return _BEAM_SUFFIX.sub("", message).strip()


def _is_disk_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) == errno.ENOSPC or any(text in str(error) for text in _DISK_FULL)


def _last_exception_line(error: BaseException) -> str:
    """Returns type and message; where the message is a traceback, only that of its last exception."""
    text = str(error)
    if _TRACEBACK in text:
        last = text.rpartition(_TRACEBACK)[2].strip().splitlines()
        ends = [
            number for number, line in enumerate(last) if re.match(r"[\w.]+(?:Error|Exception|Interrupt|Exit)\b", line)
        ]
        if ends:
            return _clean("\n".join(last[ends[0] :]))[:_MAX_CHARACTERS]
    return f"{type(error).__name__}: {_clean(text)}"[:_MAX_CHARACTERS]
