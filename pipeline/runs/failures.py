"""One clear message for whatever a component raised, however deep TFX and Beam wrapped it."""

import errno
import os
import re
import shutil
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.beam.failures import explain_job
from pipeline.runs.metadata import is_locked, locked_message
from trainer_module.errors import PetsegError

_TRACEBACK: Final = "Traceback (most recent call last)"
_DISK_FULL: Final = ("No space left on device", "Disk quota exceeded", "database or disk is full")
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_READ_ONLY: Final = "Read-only file system"
_WITH_PATH: Final = re.compile(
    rf"\[Errno \d+\] (?P<reason>[^:\n]+): '(?P<path>[^'\n]+)'"  # Python's words
    rf"|(?P<tf_path>/[^;\n]*); (?P<tf_reason>Permission denied|{_READ_ONLY}|{'|'.join(_DISK_FULL)})"  # TensorFlow's
)
_IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"
"""Environment variable that every pod has."""

_BEAM_SUFFIX: Final = re.compile(r"\s*\[while running '.*?'\]|\s*\[?\w*Error while running .*", re.DOTALL)
_END_OF_MESSAGE: Final = re.compile(r"\n\s*\n|\n(?=Traceback|During handling|The above exception)")
_MAX_CHARACTERS: Final = 2000


class Failure(NamedTuple):
    """What went wrong."""

    message: str
    is_foreseen: bool
    """Whether the message says it all; else the log's last lines may help."""


def explain_failure(error: BaseException, root: Path | None, metadata: Path | None = None) -> Failure:
    """Returns what went wrong, for the user.

    Args:
      error: What a component or TFX raised.
      root: The pipeline root, named where a disk is full and nobody says which; None where that cannot be it.
      metadata: The file of ML Metadata, named where it is locked; None where there is none.
    """
    chain = list(_chain(error))
    full = [link for link in chain if _is_disk_full(link)]
    if full:
        return Failure(_full_message(full, root), is_foreseen=True)
    if metadata is not None and any(is_locked(link) for link in chain):
        return Failure(locked_message(metadata), is_foreseen=True)
    for link in chain:
        own = _own_message(link)
        if own:
            refused = _refused_place(link.__cause__) if link.__cause__ else None
            more = f" {_rights(refused.path)} {_preparation()}".rstrip() if refused else ""
            return Failure(f"{own}{more}", is_foreseen=True)
    for link in chain:
        of_job = explain_job(str(link))
        if of_job:
            return Failure(of_job, is_foreseen=True)
    for link in chain:
        refused = _refused_place(link)
        if refused:
            return Failure(_refusal_message(refused), is_foreseen=True)
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


class _Place(NamedTuple):
    """A file or directory that could not be used, and why not, in the system's words."""

    path: Path
    reason: str


def _is_disk_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) == errno.ENOSPC or any(text in str(error) for text in _DISK_FULL)


def _full_message(errors: Sequence[BaseException], root: Path | None) -> str:
    place = next((place.path for error in errors if (place := _place(error))), None)
    where = f"{str(place)!r}" if place else f"the pipeline root {str(root)!r}"
    known = _nearest(place or root)
    left = f" ({where} has {shutil.disk_usage(known).free / 2**20:.0f} MiB left)" if known else ""
    return f"the disk is full{left}; free some space and run again: finished components are kept"


def _refused_place(error: BaseException) -> _Place | None:
    """Returns what this process may not read or write, if that is what the exception is about."""
    place = _place(error)
    reasons = {os.strerror(number) for number in _REFUSED}
    return place if place and place.reason in reasons else None


def _place(error: BaseException) -> _Place | None:
    """Returns the file or directory that an error of the system names, also in the words of TensorFlow or Beam."""
    if isinstance(error, OSError) and isinstance(error.filename, str | os.PathLike) and error.errno:
        return _Place(Path(error.filename), os.strerror(error.errno))
    found = _WITH_PATH.search(str(error))
    return _Place(Path(found["path"] or found["tf_path"]), found["reason"] or found["tf_reason"]) if found else None


def _refusal_message(refused: _Place) -> str:
    way_out = "Give that user access to it, or name another place."
    if refused.reason == _READ_ONLY:
        way_out = "Mount it so that it can be written, or name another place."
    return f"cannot use {str(refused.path)!r}: {refused.reason}. {_rights(refused.path)} {_preparation() or way_out}"


def _rights(path: Path) -> str:
    """Returns whom the place belongs to, and who this process is."""
    groups = ", ".join(map(str, sorted({os.getegid(), *os.getgroups()})))
    process = f"this process is user {os.geteuid()} of group {groups}."
    place = _nearest(path)
    if place is None:
        return process.capitalize()
    owner = place.stat()
    mode = stat.filemode(owner.st_mode)
    return f"{str(place)!r} belongs to user {owner.st_uid} and group {owner.st_gid} ({mode}); {process}"


def _preparation() -> str:
    """Returns what helps in a pod; nothing elsewhere."""
    job = "If it is on a volume, run the job petseg-prepare-volumes again (kubeflow/README.md)."
    return job if _IN_CLUSTER in os.environ else ""


def _nearest(path: Path | None) -> Path | None:
    """Returns a path, or the first directory above it that there is, as far as this process may look."""
    places = [path.absolute(), *path.absolute().parents] if path else []
    return next((place for place in places if os.access(place, os.F_OK)), None)


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
