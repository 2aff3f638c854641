"""Reads the histories of the pipelines of a root: run records, ML Metadata where those are gone, push destinations."""

from collections.abc import Callable, Collection, Iterable
from typing import Final

from pipeline.config.schema import Config
from pipeline.history.destinations import Destination, place
from pipeline.history.entries import Entry, RunEntry, RunOutcome
from pipeline.history.metadata_runs import runs_without_record
from pipeline.history.record_runs import run_entry
from pipeline.history.timeline import History
from pipeline.runs.store import RunStore
from trainer_module.errors import PetsegError

Warn = Callable[[str], None]

_OPEN: Final = (RunOutcome.NOT_PUSHED, RunOutcome.ALREADY_SERVED)
"""What another source may know better."""

_FILLED: Final = (
    *("run", "dataset", "dataset_version", "examples", "forced_because"),
    *("reason", "version", "pushed_at"),
)
"""What another source may add."""


def read_histories(store: RunStore, config: Config | None, warn: Warn) -> list[History]:
    """Returns the history of each pipeline that left something, by name.

    Args:
      store: The runs under a pipeline root.
      config: Of the one pipeline that is wanted. None: all that the root knows.
      warn: Is told what cannot be read, and is left out.
    """
    runs = _recorded_runs(store, warn)
    try:
        runs += runs_without_record(store.metadata, store.root, {run.run for run in runs})
    except PetsegError as error:
        warn(f"{error}; runs whose record is gone are left out")
    directories = _directories(store, runs, config)
    found = {name: _destinations(of_pipeline, warn) for name, of_pipeline in sorted(directories.items())}
    histories = [
        History.of(name, directories[name], _merged(name, runs, destinations)) for name, destinations in found.items()
    ]
    return [history for history in histories if history.entries]


def _recorded_runs(store: RunStore, warn: Warn) -> list[RunEntry]:
    runs = []
    for run_id in reversed(store.run_ids()):
        try:
            runs.append(run_entry(store.record(run_id), store.root))
        except PetsegError as error:
            warn(str(error))
    return runs


def _directories(store: RunStore, runs: Iterable[RunEntry], config: Config | None) -> dict[str, list[str]]:
    """Returns the push destinations of each pipeline that is wanted, the latest last."""
    found: dict[str, dict[str, None]] = {}
    if config is None:
        for base in (store.root / "serving_model").glob("*/"):
            found[base.name] = {place(str(base)): None}
    for run in sorted(runs, key=lambda run: run.at):
        directories = found.setdefault(run.pipeline, {})
        directories.pop(run.destination, None)
        directories[run.destination] = None
    if config is not None:
        wanted = found.get(config.pipeline.name, {})
        return {config.pipeline.name: list({**wanted, place(config.serving_model_dir): None})}
    return {name: list(directories) for name, directories in found.items()}


def _destinations(directories: Iterable[str], warn: Warn) -> list[Destination]:
    found = []
    for directory in directories:
        try:
            found.append(Destination.of(directory))
        except (PetsegError, OSError) as error:
            warn(f"{error}; what happened in {directory!r} is known from the runs alone")
    return found


def _merged(pipeline: str, runs: Iterable[RunEntry], destinations: Iterable[Destination]) -> list[Entry]:
    """Returns what happened to a pipeline, each run once."""
    known = [run for run in runs if run.pipeline == pipeline]
    strangers = {run.run for run in runs if run.pipeline != pipeline}
    events: list[Entry] = []
    for destination in destinations:
        known = _with_runs_of(known, destination, strangers)
        events += [*destination.rollbacks, *destination.freezes]
    return [*known, *events]


def _with_runs_of(known: Iterable[RunEntry], destination: Destination, strangers: Collection[str]) -> list[RunEntry]:
    """Returns the runs with what a push destination tells of them, and those that it alone knows."""
    merged = list(known)
    by_run = {run.run: index for index, run in enumerate(merged) if run.run}
    by_version = {(run.destination, run.version): index for index, run in enumerate(merged) if run.version is not None}
    for told in destination.runs:
        if told.run in strangers:
            continue
        index = by_run.get(told.run) if told.run else None
        if index is None and told.version is not None:
            index = by_version.get((told.destination, told.version))
        if index is None:
            index = len(merged)
            merged.append(told)
        else:
            merged[index] = _combined(merged[index], told)
        if told.run:
            by_run[told.run] = index
        if told.version is not None:
            by_version[told.destination, told.version] = index
    return merged


def _combined(known: RunEntry, told: RunEntry) -> RunEntry:
    """Returns what two sources tell of one run; the first knows better, but for what became of its model."""
    changes = {name: getattr(told, name) for name in _FILLED if not getattr(known, name)}
    changes["metrics"] = {**told.metrics, **known.metrics}
    if known.outcome in _OPEN:
        changes["outcome"] = told.outcome
    return known.model_copy(update={**changes, "sources": tuple(dict.fromkeys((*known.sources, *told.sources)))})
