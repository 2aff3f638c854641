"""What there is under a pipeline root, and how much of the disk it takes."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pipeline.config.schema import Config
from pipeline.housekeeping.disk import (
    artifact_directories,
    disk_usage,
    refused_directories,
    system_directories,
)
from pipeline.housekeeping.in_use import runs_in_use
from pipeline.housekeeping.known_runs import KnownRun, known_runs
from pipeline.housekeeping.lineage import Lineage
from pipeline.housekeeping.metadata import read_lineage
from pipeline.runs.store import RunStore

_RUN_ID: Final = re.compile(r"\d{8}-\d{6}-\d{6}")
_HALF_PREPARED: Final = re.compile(r"incomplete\.[A-Z0-9]{6}_.+")
"""What TFDS calls a version of a data set while it prepares it."""

_GIVEN_UP_SECONDS: Final = 24 * 3600


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training that was not finished."""

    directory: Path
    written: datetime
    size: int


@dataclass(frozen=True)
class Inventory:
    """What is under a pipeline root; sizes in bytes on the disk."""

    artifacts_dir: Path
    runs_dir: Path
    lineage: Lineage
    runs: list[KnownRun]
    in_use: Mapping[str, str]
    """Id of a run to what its model is in use for."""

    active: str | None
    """The run that goes on."""

    artifacts: Mapping[Path, int] = field(default_factory=dict)
    """Directory of each artifact to its size, also of those that nobody knows."""

    refused: Mapping[Path, tuple[str, int]] = field(default_factory=dict)
    """What was found in data that was refused: the run, the size."""

    scratch: Mapping[Path, int] = field(default_factory=dict)
    """What is needed only while a run goes on."""

    checkpoints: list[Checkpoint] = field(default_factory=list)
    total: int = 0
    """Of the whole root, also of what is never removed here: data sets, pushed models."""

    parts: Mapping[str, int] = field(default_factory=dict)
    """Of that, what its largest directories take, by name."""


def take_inventory(store: RunStore, config: Config, active: str | None) -> Inventory:
    """Looks at a pipeline root.

    Args:
      store: The root.
      config: Says where models are served, and which are pinned.
      active: The run that goes on; None where none does.

    Raises:
      PetsegError: Its metadata, or what is served, cannot be read.
    """
    lineage = read_lineage(store.metadata)
    runs = known_runs(store, lineage)
    return Inventory(
        store.artifacts_dir,
        store.runs_dir,
        lineage,
        runs,
        runs_in_use(store, config, runs),
        active,
        artifacts={path: disk_usage(path) for path in artifact_directories(store.artifacts_dir)},
        refused={path: (run, disk_usage(path)) for run, path in refused_directories(store.artifacts_dir)},
        scratch={} if active else {path: disk_usage(path) for path in _scratch(store)},
        checkpoints=list(_checkpoints(store)),
        total=disk_usage(store.root),
        parts={name: disk_usage(store.root / name) for name in ("artifacts", "data", "serving_model", "runs")},
    )


def _scratch(store: RunStore) -> Iterator[Path]:
    yield from system_directories(store.artifacts_dir)
    for path in store.runs_dir.glob("*"):
        if _RUN_ID.fullmatch(path.name) and not (path / "run.json").exists():
            yield path  # killed before it had a record
    yield from store.temporary_dir.glob("*")
    long_ago = time.time() - _GIVEN_UP_SECONDS
    for pattern in ("*/*", "*/*/*"):
        for path in (store.root / "data").glob(pattern):
            if _HALF_PREPARED.fullmatch(path.name) and path.stat().st_mtime < long_ago:
                yield path


def _checkpoints(store: RunStore) -> Iterator[Checkpoint]:
    for directory in store.checkpoints_dir.glob("training-*"):
        written = max(path.stat().st_mtime for path in (directory, *directory.glob("*")))
        yield Checkpoint(directory, datetime.fromtimestamp(written, UTC), disk_usage(directory))
