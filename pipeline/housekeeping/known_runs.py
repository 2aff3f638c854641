"""The runs of a pipeline root, as far as cleaning asks for them: by their records, and by ML Metadata without one.

A record that cannot be read, as one of another version of petseg, is no reason to fail; such a run is `UNKNOWN`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pipeline.housekeeping.disk import artifact_directory, disk_usage
from pipeline.housekeeping.lineage import KnownContext, Lineage
from pipeline.nodes import EVALUATOR, TRAINER
from pipeline.runs.record import NodeState, RunRecord, RunState
from pipeline.runs.store import RunFiles, RunStore
from pipeline.tracking.outbox import DIRECTORY, Outbox
from trainer_module.errors import PetsegError

_OF_A_PACKAGE = "package.yaml"
"""File of a dry-run, whose artifacts are elsewhere and whose root looks after itself."""


class Kind(StrEnum):
    """What a run came to."""

    TRAINED = "model"
    """It trained or evaluated one, and was completed."""

    IDLE = "nothing new"
    """It was completed, and had no reason to train, took everything from the cache, or was asked for a part."""

    UNFINISHED = "not finished"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class KnownRun:
    """One run."""

    run_id: str
    kind: Kind
    pipeline: str = ""
    started: datetime | None = None
    number: int = 0
    """Counts up with time, whatever the clock says; 0 of a run that ML Metadata does not know."""

    nodes: frozenset[str] = frozenset()
    """The components of its graph."""

    directories: frozenset[Path] = frozenset()
    """Where its record says that artifacts are, also those that it took from the cache."""

    is_cleaned: bool = False
    """Whether its artifacts were removed before."""

    is_told: bool = True
    """Whether no MLflow server is still to hear of it."""

    files: Mapping[str, int] = field(default_factory=dict)
    """What is in its directory, by name, with the bytes that it takes."""

    record: RunRecord | None = None

    @property
    def order(self) -> tuple[int, str]:
        """Sorts by age; what ML Metadata no longer knows is older than what it does."""
        return self.number, self.run_id


def known_runs(store: RunStore, lineage: Lineage) -> list[KnownRun]:
    """Returns all runs but dry-runs, the oldest first."""
    names = {*store.run_ids(), *lineage.runs}
    found = (_known_run(store, name, lineage.runs.get(name)) for name in sorted(names))
    return sorted((run for run in found if _OF_A_PACKAGE not in run.files), key=lambda run: run.order)


def latest(runs: Collection[KnownRun], kind: Kind) -> list[KnownRun]:
    """Returns the runs of a kind whose artifacts are there, the latest first."""
    chosen = [run for run in runs if run.kind is kind and not run.is_cleaned and (run.number or _is_there(run))]
    return sorted(chosen, key=lambda run: run.order, reverse=True)


def _known_run(store: RunStore, run_id: str, context: KnownContext | None) -> KnownRun:
    directory = store.runs_dir / run_id
    files = {path.name: disk_usage(path) for path in directory.iterdir()} if directory.is_dir() else {}
    number, pipeline = (context.number, context.pipeline) if context else (0, "")
    begun = datetime.fromtimestamp(context.begun_ms / 1000, UTC) if context else None
    try:
        record = store.record(run_id) if RunFiles(directory).record.name in files else None
    except PetsegError:
        record = None
    if record is None:
        return KnownRun(run_id, Kind.UNKNOWN, pipeline, begun, number, files=files)
    return KnownRun(
        run_id,
        _kind(record),
        record.pipeline,
        record.started,
        number,
        nodes=frozenset(node.id for node in record.nodes),
        directories=frozenset(_directories(record, store.artifacts_dir)),
        is_cleaned=record.cleaned is not None,
        is_told=_is_told(directory / DIRECTORY),
        files=files,
        record=record,
    )


def _kind(record: RunRecord) -> Kind:
    if record.state is not RunState.COMPLETE:
        return Kind.UNFINISHED
    executed = {node.id for node in record.nodes if node.state is NodeState.COMPLETE}
    return Kind.TRAINED if executed & {TRAINER, EVALUATOR} else Kind.IDLE


def _directories(record: RunRecord, artifacts: Path) -> Iterator[Path]:
    for node in record.nodes:
        yield from (artifact_directory(artifacts, uri) for uri in node.outputs.values())


def _is_there(run: KnownRun) -> bool:
    return any(path.exists() for path in run.directories)


def _is_told(directory: Path) -> bool:
    """Returns whether nothing waits to be sent; what cannot be read might."""
    try:
        outbox = Outbox.open(directory)
    except PetsegError:
        return False
    return outbox is None or not outbox.waits
