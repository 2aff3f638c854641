"""The directories: the pipeline root with its metadata and runs, the data, the push destination, temporary files."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from components.model_pusher.ledger import Ledger
from components.model_pusher.version_store import closed_to_others, complete_versions, numbered_versions
from petseg.processes import can_be_made
from pipeline.config.paths import check_no_pattern
from pipeline.config.schema import Config
from pipeline.doctor.findings import Finding, State, ok, problem, warning
from pipeline.models.pushed import VersionState, describe
from pipeline.runs.metadata import check_metadata_file, check_pages
from pipeline.runs.record import RunRecord, RunState
from pipeline.runs.store import LATEST, MIN_FREE_BYTES, RunStore

_LOCK_SECONDS: Final = 1.0
_LITTLE_BYTES: Final = 2**29
_UNFINISHED: Final = "incomplete.*"
"""The directories that TFDS prepares in."""

_PROBE: Final = "petseg-doctor-"


def why_root_is_no_use(config: Config) -> str:
    """Returns why nothing below the pipeline root can be looked at; empty where it can, or the root is absent."""
    root = config.pipeline.root
    if "://" in root:
        return "the pipeline root is no directory of this machine"
    directory = RunStore(root).root
    is_closed = os.access(directory, os.F_OK) and not os.access(directory, os.R_OK | os.X_OK)
    return "the pipeline root cannot be read" if is_closed else ""


def look_at_root(config: Config) -> Finding:
    """Tells whether runs can write to the pipeline root, how much disk is free there, and which run holds it."""
    store = RunStore(config.pipeline.root)
    check_no_pattern("pipeline.root", str(store.root))
    needs = f"a run needs {_gib(MIN_FREE_BYTES)}"
    refused = "name one you may write to: --pipeline-root DIR"
    finding = _directory("pipeline root", store.root, refused, MIN_FREE_BYTES, needs)
    active = store.active_run()
    if active is None:
        return finding
    process = store.holder().get("pid", "unknown")
    return finding.model_copy(update={"found": f"{finding.found}; the run {active} goes on (process {process})"})


def look_at_metadata(config: Config) -> Finding:
    """Tells whether ML Metadata's file can be written to, and every page of it read."""
    store = RunStore(config.pipeline.root)
    if not store.metadata.exists():
        return ok("metadata", "none yet: the first run makes it")
    found = f"{str(store.metadata)!r}, {_size(store.metadata.stat().st_size)}"
    if (active := store.active_run()) is not None:
        return ok("metadata", f"{found}, is left to the run {active}, which goes on")
    check_metadata_file(store.metadata, wait_seconds=_LOCK_SECONDS)
    check_pages(store.metadata)
    return ok("metadata", f"{found}, is sound")


def look_at_runs(config: Config) -> Finding:
    """Tells how the latest run ended, and what unfinished ones have left."""
    store = RunStore(config.pipeline.root)
    run_ids, left = store.run_ids(), _left_by_runs(store)
    if not run_ids:
        return warning("runs", f"none; {left}", "see what it is, and remove it") if left else ok("runs", "none yet")
    record = store.record(LATEST)
    found = f"{len(run_ids)}, the latest, {record.run_id}, {_how_it_ended(record)}"
    found = "; ".join(filter(None, [found, left]))
    if record.state in (RunState.FAILED, RunState.INTERRUPTED):
        again = f"petseg runs show {record.run_id} tells; run again to go on after the last component that finished"
        return warning("runs", found, again)
    return ok("runs", found)


def look_at_data_directory(config: Config) -> Finding:
    """Tells whether data sets can be prepared in the data directory; where none is to be, whether it can be read."""
    subject, place = "data directory", config.data_dir
    if "://" in place:
        return ok(subject, f"{place}, an object store, which is asked for the data set")
    directory = Path(place).expanduser()
    if not config.data.download:
        if not os.access(directory, os.R_OK | os.X_OK):
            return problem(
                subject, f"{str(directory)!r} cannot be read, or is absent", "set data.data_dir to another one"
            )
        return ok(subject, f"{str(directory)!r}, which is only read (data.download is false)")
    finding = _directory(subject, directory, "set data.data_dir to one you may write to")
    is_only_read = finding.state is State.PROBLEM and os.access(directory, os.R_OK | os.X_OK)
    if is_only_read:
        return warning(subject, f"{finding.found}; what is prepared there can be read", "set data.download to false")
    unfinished = sorted(path for depth in ("*", "*/*") for path in directory.glob(f"{depth}/{_UNFINISHED}"))
    if unfinished:
        names = ", ".join(str(path.relative_to(directory)) for path in unfinished)
        left = f"{finding.found}; preparations that did not end have left {names}"
        return warning(subject, left, f"unless one goes on now: rm -r {' '.join(map(str, unfinished))}")
    return finding


def look_at_temporary_files() -> Finding:
    """Tells whether there is a place for temporary files."""
    return _directory("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to a directory you may write to")


def look_at_push_destination(config: Config) -> Finding:
    """Tells whether models can be pushed to a directory of this machine, and servers read them there."""
    directory = Path(config.serving_model_dir).expanduser()
    check_no_pattern("push.destination", str(directory))
    finding = _directory("push destination", directory, "set push.destination to one you may write to")
    if finding.state is State.PROBLEM or not directory.is_dir():
        return finding
    closed = closed_to_others(directory.absolute())
    if not closed:
        return finding
    return warning(
        finding.subject,
        f"{finding.found}; a server that runs as another user cannot enter {str(closed[0])!r}, which leads there",
        f"chmod o+x {' '.join(map(str, closed))}, or set push.destination to a place that everybody may enter",
    )


def look_at_pushed_models(config: Config) -> list[Finding]:
    """Tells which version servers take, whether it is as it was pushed, and whether pushes are frozen.

    A push destination in an object store is asked by TensorFlow's file systems.
    """
    place = config.serving_model_dir
    return [_of_served_version(place), _of_ledger(place)]


def _of_served_version(place: str) -> Finding:
    subject, there = "served model", numbered_versions(place)
    complete = complete_versions(place)
    incomplete = [str(version) for version in there if version not in complete]
    rest = f"; without a graph, so that no server can load them: {', '.join(incomplete)}" if incomplete else ""
    if not complete:
        if not there:
            return ok(subject, f"none in {place!r} yet")
        return warning(subject, f"none in {place!r}{rest}", f"petseg models remove {incomplete[0]}")
    newest = describe(place, complete[-1], complete=True, newest=True)
    pushed = f", pushed {newest.pushed_at.astimezone():%Y-%m-%d %H:%M}" if newest.pushed_at else ""
    found = f"version {newest.version}{pushed}, of {len(complete)} in {place!r}"
    if newest.state is VersionState.DAMAGED:
        back = "petseg models rollback" if len(complete) > 1 else "petseg run pushes another"
        return problem(
            subject, f"{found}, is damaged: {'; '.join(newest.damages[:3])}", f"{back}; petseg models verify tells all"
        )
    if newest.state is VersionState.UNVERIFIED:
        return warning(
            subject, f"{found}, has no checksums, so that damage cannot be told{rest}", "the next push has them"
        )
    found = f"{found}, as it was pushed{rest}"
    return warning(subject, found, f"petseg models remove {incomplete[0]}") if incomplete else ok(subject, found)


def _of_ledger(place: str) -> Finding:
    ledger = Ledger.of(place)
    if (freeze := ledger.freeze) is not None:
        by = f" by {freeze.by}" if freeze.by else ""
        found = f"frozen since {freeze.at.astimezone():%Y-%m-%d %H:%M}{by}: {freeze.reason}"
        return warning("pushes", found, "petseg unfreeze, when models are to be pushed again")
    held = len(ledger.withdrawals)
    return ok("pushes", f"not frozen{f'; {held} models are withdrawn, and not pushed again' if held else ''}")


def _directory(subject: str, directory: Path, remedy: str, least: int = _LITTLE_BYTES, why: str = "") -> Finding:
    """Tells whether a directory can be written to, by writing, and how much is free there.

    Args:
      subject: What it is.
      directory: Need not be there.
      remedy: What to do where it cannot be written to.
      least: Bytes; with less free there it is a problem where `why` says so, else a warning.
      why: Who needs as much.
    """
    if refusal := _why_not_writable(directory):
        return problem(subject, f"{str(directory)!r} cannot be written to: {refusal}", remedy)
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    usage, entries = shutil.disk_usage(there), os.statvfs(there)
    which = repr(str(directory)) if there == directory else f"{str(directory)!r}, to be made"
    found = f"{which}, {_gib(usage.free)} of {_gib(usage.total)} free"
    if entries.f_files and not entries.f_favail:
        return problem(subject, f"{found}, and no room for another file (inodes)", "remove files there")
    if usage.free < least:
        tell = problem if why else warning
        return tell(subject, f"{found}; {why or 'that is little'}", "free some, or choose another place")
    return ok(subject, found)


def _why_not_writable(directory: Path) -> str:
    """Returns why nothing can be written to a directory, or it cannot be made; empty where it can. Leaves nothing."""
    if not os.access(directory, os.F_OK):
        return "" if can_be_made(directory) else "it is absent or out of reach, and cannot be made"
    if not directory.is_dir():
        return "it is no directory"
    try:
        with tempfile.TemporaryFile(dir=directory, prefix=_PROBE) as file:
            file.write(b"petseg")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _left_by_runs(store: RunStore) -> str:
    """Returns what runs that did not end have left, in words; empty where they left nothing."""
    left = []
    trainings = [path for path in store.checkpoints_dir.glob("*") if path.is_dir()]
    if trainings:
        size = _size(sum(map(_bytes_below, trainings)))
        many = len(trainings) > 1
        left.append(
            f"{len(trainings)} training{'s' if many else ''} that did not end {'have' if many else 'has'} {size} of "
            f"checkpoints in {str(store.checkpoints_dir)!r}"
        )
    if store.temporary_dir.is_dir() and store.active_run() is None:
        left.append(f"{str(store.temporary_dir)!r} holds {_size(_bytes_below(store.temporary_dir))} of a killed run")
    return "; ".join(left)


def _how_it_ended(record: RunRecord) -> str:
    if record.state is RunState.RUNNING:
        return "goes on"
    if record.error:
        return f"{record.state}: {record.error}"
    return f"{record.state}{', not pushed' if record.refused else ''}"


def _bytes_below(directory: Path) -> int:
    return sum(_files_below(directory))


def _files_below(directory: Path) -> Iterator[int]:
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):  # removed meanwhile
                yield (Path(parent) / name).lstat().st_size


def _size(count: int) -> str:
    return f"{count / 10**6:,.1f} MB"


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
