"""Follows the training that goes on, by the lines its Keras callback appends to a file.

The callback finds the file by the environment variable `PETSEG_PROGRESS_FILE` and writes one JSON object a line:
`epoch` and `epochs`, `step` and `steps` of the epoch, `loss`, `accuracy`, `mean_iou`; at the end of an epoch the same
three with the prefix `val_` too.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.terminal.tables import readable_metric

PROGRESS_FILE_VARIABLE: Final = "PETSEG_PROGRESS_FILE"

_METRICS: Final = ("loss", "accuracy", "mean_iou", "val_loss", "val_accuracy", "val_mean_iou")


@dataclass(frozen=True)
class TrainingProgress:
    """How far training has come, and how good it is."""

    epoch: int
    epochs: int
    step: int
    steps: int
    metrics: dict[str, float]

    @classmethod
    def from_json(cls, line: str) -> "TrainingProgress":
        """Reads one line of the file.

        Raises:
          ValueError, KeyError, TypeError: The line is no progress.
        """
        values: Any = json.loads(line)
        if not isinstance(values, dict):
            raise TypeError(f"expected a JSON object, got {line!r}")
        metrics = {name: float(values[name]) for name in _METRICS if values.get(name) is not None}
        epoch, epochs, step, steps = (int(values[name] or 0) for name in ("epoch", "epochs", "step", "steps"))
        return cls(epoch, epochs, step, steps, metrics)

    @property
    def done(self) -> float:
        """Share of all steps that is done; 0 while the number of steps is not known."""
        if self.epochs * self.steps <= 0:
            return 0.0
        return min(1.0, (max(self.epoch - 1, 0) * self.steps + self.step) / (self.epochs * self.steps))

    def describe(self) -> str:
        """Returns the metrics in one line: `loss 0.4211, accuracy 0.812, mean IoU 0.61`."""
        return ", ".join(f"{readable_metric(name)} {value:.4g}" for name, value in self.metrics.items())


class ProgressFollower:
    """Reads what is new in a progress file, and estimates the time that is left; safe to share between threads."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._offset = 0
        self._first: tuple[float, float] | None = None
        self.latest: TrainingProgress | None = None
        self.seconds_left: float | None = None

    def poll(self, *, training_ended: bool = False) -> list[TrainingProgress]:
        """Returns the epochs that ended since the last call, each by its last line.

        Args:
          training_ended: Whether nothing more will come, so that the last epoch counts as ended.
        """
        ended = []
        with self._lock:
            for progress in self._read():
                if self.latest is not None and progress.epoch != self.latest.epoch:
                    ended.append(self.latest)
                self.latest = progress
                self._estimate(progress)
            if training_ended and self.latest is not None:
                ended.append(self.latest)
                self.latest = None
        return ended

    def _read(self) -> list[TrainingProgress]:
        try:
            with self._file.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        found = []
        for line in complete.decode(errors="replace").splitlines():
            try:
                found.append(TrainingProgress.from_json(line))
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def _estimate(self, progress: TrainingProgress) -> None:
        now, done = self._clock(), progress.done
        if self._first is None:
            self._first = (now, done)
        started, done_then = self._first
        if done > done_then:
            self.seconds_left = (now - started) / (done - done_then) * (1 - done)
