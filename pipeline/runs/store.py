"""What lies under a pipeline root, and who may write to it.

    metadata.sqlite                         ML Metadata of every run
    artifacts/<pipeline name>/…             outputs of the components
    runs/<run id>/config.json               the resolved configuration
                  run.json                  the record (`pipeline.runs.record`)
                  run.log                   everything TFX, TensorFlow and Beam wrote
                  progress.jsonl            the Trainer's progress, one JSON object a line
                  report.html               the report (`pipeline.report`), and model_card.md
                  image_scores.jsonl        how well the model does on each evaluated image
                  tracking/                 what an MLflow server hears of the run (`pipeline.tracking.outbox`)
    checkpoints/training-<digest>/          state of a training that was not finished (`trainer_module.checkpoints`)
    serving_model/<pipeline name>/<version> pushed models
    data/                                   downloaded data sets
    schedule.log, schedule-<name>.json      what scheduled runs print, and what became of the last ones
    tracking_aliases.json                   aliases of registered models that wait for an MLflow server
    tmp/                                    temporary files of the run that is going on
    .lock                                   held by the run that is going on
    .firing                                 held by the firing of a schedule that is going on

Nothing here imports TensorFlow or TFX.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pipeline.config.paths import check_no_pattern
from pipeline.runs.record import RunRecord, RunState
from pipeline.terminal.streams import notify
from trainer_module.errors import ConfigError, PetsegError

LATEST: Final = "latest"
"""Stands for the run that started last."""

RUN_ID_FORMAT: Final = "%Y%m%d-%H%M%S-%f"
"""An id is the UTC time at which the run started, so that ids sort by age."""

CLEANING: Final = "cleaning"
"""Holds the root in the place of a run while old runs are removed."""

MIN_FREE_BYTES: Final = 2**30
_LOCK_WAIT_SECONDS: Final = 1.0
_CLEANING_SECONDS: Final = 600.0
"""How long a run waits for the end of a cleaning at most."""


class RootInUseError(PetsegError):
    """Another run holds the pipeline root."""

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


@dataclass(frozen=True)
class RunFiles:
    """The files of one run."""

    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "config.json"

    @property
    def record(self) -> Path:
        return self.directory / "run.json"

    @property
    def log(self) -> Path:
        return self.directory / "run.log"

    @property
    def progress(self) -> Path:
        return self.directory / "progress.jsonl"


class RunStore:
    """The runs under one pipeline root."""

    def __init__(self, root: str | Path) -> None:
        if "://" in str(root):
            raise ConfigError(f"pipeline.root is {str(root)!r}, but a local run needs a directory of this machine")
        self.root = Path(root).expanduser().resolve()
        self._lock_file = self.root / ".lock"

    @property
    def metadata(self) -> Path:
        return self.root / "metadata.sqlite"

    @property
    def runs_dir(self) -> Path:
        return self.root / "runs"

    @property
    def artifacts_dir(self) -> Path:
        return self.root / "artifacts"

    @property
    def checkpoints_dir(self) -> Path:
        return self.root / "checkpoints"

    @property
    def temporary_dir(self) -> Path:
        return self.root / "tmp"

    def artifacts(self, pipeline_name: str) -> Path:
        """Returns the directory of the outputs of one pipeline's components."""
        return self.artifacts_dir / pipeline_name

    def prepare(self) -> None:
        """Makes the root.

        Raises:
          ConfigError: Its name is one that TFX cannot use.
          PetsegError: It cannot be made or written to, or too little disk is free.
        """
        check_no_pattern("the pipeline root", str(self.root))
        probe = self.root / f".writable.{os.getpid()}"
        try:
            self.runs_dir.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise PetsegError(
                f"cannot write to the pipeline root {str(self.root)!r}: {error.strerror}; "
                "name a directory you may write to with --pipeline-root DIR"
            ) from error
        free = shutil.disk_usage(self.root).free
        if free < MIN_FREE_BYTES:
            raise PetsegError(
                f"a run needs at least {MIN_FREE_BYTES / 2**30:.0f} GiB of free disk, and the pipeline root "
                f"{str(self.root)!r} has {free / 2**30:.2f} GiB; free some, or choose another with --pipeline-root DIR"
            )

    def new_run_id(self) -> str:
        """Returns the id for a run that starts now.

        After the clock was set back it is the moment after the latest run, until the clock has caught up.
        """
        latest = max((moment for name in self._run_names() if (moment := _moment(name))), default=None)
        moment = datetime.now(UTC).replace(tzinfo=None)
        if latest is not None:
            moment = max(moment, latest + timedelta(microseconds=1))
        return moment.strftime(RUN_ID_FORMAT)

    def create_run(self, run_id: str) -> RunFiles:
        """Makes the directory of a new run."""
        files = RunFiles(self.runs_dir / run_id)
        files.directory.mkdir(parents=True)
        return files

    @contextmanager
    def lock(self, run_id: str) -> Iterator[None]:
        """Holds the root for one run, or for a cleaning; a killed process lets go of it by itself.

        The end of a cleaning is waited for, so that no firing of a schedule is lost by it.

        Raises:
          RootInUseError: Another run holds it.
          PetsegError: It cannot be locked.
        """
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise PetsegError(f"cannot open the lock file {str(self._lock_file)!r}: {error.strerror}") from error
        try:
            if not self._acquire(descriptor):
                holder = self.holder()
                run = str(holder.get("run_id", "unknown"))
                raise RootInUseError(
                    f"another run uses the pipeline root {str(self.root)!r} (process {holder.get('pid', 'unknown')}, "
                    f"run {run}); wait until it is done, or choose another root with --pipeline-root DIR",
                    run,
                )
            holder_text = json.dumps({"pid": os.getpid(), "run_id": run_id}).encode()
            with suppress(OSError):  # on a full disk nobody learns who holds it
                os.pwrite(descriptor, holder_text, 0)
                os.truncate(descriptor, len(holder_text))
            yield
        finally:
            os.close(descriptor)

    def active_run(self) -> str | None:
        """Returns the id of the run that is going on, if any."""
        try:
            descriptor = os.open(self._lock_file, os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            run_id = str(self.holder().get("run_id", "unknown"))
            return None if run_id == CLEANING else run_id
        finally:
            os.close(descriptor)
        return None

    def run_ids(self) -> list[str]:
        """Returns the ids of all runs, the latest first."""
        return sorted((file.parent.name for file in self.runs_dir.glob("*/run.json")), reverse=True)

    def record(self, run_id: str) -> RunRecord:
        """Returns the record of a run; one that says it is running, but whose process is gone, was interrupted.

        Args:
          run_id: Id of the run, or `latest`.

        Raises:
          PetsegError: There is no such run, or its record cannot be read.
        """
        if run_id == LATEST:
            run_ids = self.run_ids()
            if not run_ids:
                raise PetsegError(f"there are no runs under {str(self.root)!r}; `petseg run` starts one")
            run_id = run_ids[0]
        file = RunFiles(self.runs_dir / run_id).record
        if not file.is_file():
            raise PetsegError(f"there is no run {run_id!r} under {str(self.root)!r}; `petseg runs` lists them")
        record = RunRecord.load(file)
        if record.state is RunState.RUNNING and self.active_run() != record.run_id:
            record.finish(RunState.INTERRUPTED, "the process ended before the run was done")
        return record

    def _run_names(self) -> list[str]:
        return [entry.name for entry in self.runs_dir.iterdir()] if self.runs_dir.is_dir() else []

    def holder(self) -> dict[str, object]:
        """Returns what the run that holds the root, or held it last, says of itself: `pid` and `run_id`."""
        try:
            holder = json.loads(self._lock_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return holder if isinstance(holder, dict) else {}

    def _acquire(self, descriptor: int) -> bool:
        """Takes the lock; returns whether nobody else has it, when a cleaning has ended."""
        deadline = time.monotonic() + _CLEANING_SECONDS
        is_told = False
        while not _acquire(descriptor):
            holder = self.holder()
            if holder.get("run_id") != CLEANING or time.monotonic() > deadline:
                return False
            if not is_told:
                is_told = True
                notify(f"waiting until old runs under {str(self.root)!r} are removed (process {holder.get('pid')})")
        return True


def _moment(run_id: str) -> datetime | None:
    """Returns the time that a run id tells; None where it tells none."""
    try:
        return datetime.strptime(run_id, RUN_ID_FORMAT)
    except ValueError:
        return None


def _acquire(descriptor: int) -> bool:
    """Takes the lock if nobody has it; `petseg runs` looking at it for a moment is waited for."""
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True
