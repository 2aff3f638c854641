"""Carries a plan out, in an order that leaves a consistent root wherever it is cut off.

First what nobody knows goes, which makes room; then the rows of ML Metadata, all at once: from then on no cache answers
with what is about to go, and what is left of it is an artifact that no metadata knows, which the next cleaning removes.
Then the files.

A disk that is full has no room for the journal of that transaction. Then artifacts go before their rows, one after the
other until there is room: each is renamed first, and TFX takes no cached result whose directory is not there.
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.housekeeping.disk import disk_usage, remove
from pipeline.housekeeping.metadata import DiskFullError, compact, forget
from pipeline.housekeeping.plan import Plan, RunPlan
from pipeline.runs.record import RunRecord
from pipeline.runs.store import RunFiles, RunStore
from trainer_module.errors import PetsegError


@dataclass(frozen=True)
class Removed:
    """What came of it."""

    freed: int
    """Bytes of the disk."""

    left: int
    """What the root takes now."""

    problems: tuple[str, ...] = ()
    """What could not be removed, and why; the next cleaning tries again."""


def carry_out(store: RunStore, plan: Plan, now: datetime) -> Removed:
    """Removes what a plan says; the caller holds the root.

    Raises:
      PetsegError: ML Metadata cannot be changed; nothing that it knows was removed, unless the disk was full.
    """
    problems = remove(leftover.path for leftover in plan.leftovers)
    if plan.executions or plan.artifacts:
        _forget(store, plan)
    problems += remove(plan.directories)
    problems += remove(path for run in plan.runs for path in run.files)
    problems += _mark(store, plan, now)
    notes = [_told(error) for error in problems]
    if plan.executions:
        try:
            compact(store.metadata)
        except DiskFullError as error:
            notes.append(f"{error} It keeps its size, and uses the freed pages for new rows")
    left = disk_usage(store.root)
    return Removed(max(plan.total - left, 0), left, tuple(notes))


def _forget(store: RunStore, plan: Plan) -> None:
    """Removes the rows; where the disk is full, makes room with directories that would go next."""
    doomed = iter(plan.directories)
    while True:
        try:
            forget(store.metadata, plan.executions, plan.artifacts)
        except DiskFullError:
            if not _made_room(store.metadata, doomed):
                raise
        else:
            return


def _made_room(metadata: Path, doomed: Iterator[Path]) -> bool:
    """Removes directories until the journal has room; returns whether any was there to be removed."""
    is_any = False
    for directory in doomed:
        is_any = True
        remove([directory])
        if shutil.disk_usage(metadata.parent).free > metadata.stat().st_size:
            break
    return is_any


def _mark(store: RunStore, plan: Plan, now: datetime) -> list[OSError]:
    """Notes in the records of runs that their artifacts are gone."""
    problems = []
    for run in plan.runs:
        try:
            if run.is_cleaned_now:
                _mark_one(store, run, now)
        except OSError as error:
            problems.append(error)
    return problems


def _mark_one(store: RunStore, run: RunPlan, now: datetime) -> None:
    file = RunFiles(store.runs_dir / run.run.run_id).record
    with suppress(PetsegError):  # it was there a moment ago; without it there is nothing to note
        record = RunRecord.load(file)
        record.cleaned = now
        record.save(file)


def _told(error: OSError) -> str:
    where = f"{str(error.filename)!r}: " if error.filename else ""
    return f"{where}{error.strerror or error}"
