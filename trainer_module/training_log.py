"""What training tells while it runs, and what it leaves as its history."""

import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

PROGRESS_FILE_VARIABLE = "PETSEG_PROGRESS_FILE"
"""Environment variable that names the file to which progress is appended; unset, none is written."""

LEARNING_RATE = "learning_rate"
IMAGES_PER_SECOND = "images_per_second"

_SECONDS_BETWEEN_LINES = 0.5

Epoch = dict[str, float | None]
"""What is known of one epoch, by name."""


class EpochFacts(keras.callbacks.Callback):
    """Adds the learning rate and the images per second of training to the logs of each epoch.

    The learning rate is that after the epoch's last step. The images per second leave validation out, but not what the
    first step takes longer.
    """

    def __init__(self, batch_size: int, steps_done: int = 0) -> None:
        """Takes the examples in a batch, and the steps of the first epoch that were done before it was taken up."""
        super().__init__()
        self._batch_size = batch_size
        self._steps_done = steps_done
        self._started = self._seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the time."""
        self._started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the time."""
        self._seconds = time.monotonic() - self._started

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds both to the logs, which are the same for all callbacks."""
        if logs is not None:
            images = (self.params["steps"] - self._steps_done) * self._batch_size
            logs[LEARNING_RATE] = float(self.model.optimizer.learning_rate)
            logs[IMAGES_PER_SECOND] = round(images / max(self._seconds, 1e-6), 3)
        self._steps_done = 0


class HistoryFile(keras.callbacks.Callback):
    """Keeps the history of all finished epochs in a JSON file.

    The file holds `model` (variant), `parameters` (their number) and `epochs`: for each epoch its number from 1, the
    seconds since training began, loss and metrics on the train split and, with the prefix `val_`, on eval, and what
    `EpochFacts` adds. Of a training that was resumed, the seconds count from its first epoch, without what was lost and
    without the pause.
    """

    def __init__(self, path: str, epochs: Sequence[Epoch] = ()) -> None:
        """Starts from the epochs of a training that is resumed."""
        super().__init__()
        self._path = path
        self._epochs = list(epochs)
        self._started = 0.0

    @property
    def epochs(self) -> list[Epoch]:
        """The finished epochs."""
        return list(self._epochs)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes the time, and writes the epochs of before."""
        self._started = time.monotonic()
        if self._epochs:
            self._started -= self._epochs[-1]["seconds"] or 0.0
            self._write()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the epoch and rewrites the file in one step."""
        seconds = round(time.monotonic() - self._started, 3)
        self._epochs.append({"epoch": epoch + 1, "seconds": seconds, **_as_floats(logs)})
        self._write()

    def _write(self) -> None:
        history = {"model": self.model.name, "parameters": self.model.count_params(), "epochs": self._epochs}
        partial = f"{self._path}.partial"
        with tf.io.gfile.GFile(partial, "w") as file:
            json.dump(history, file, indent=2)
        tf.io.gfile.rename(partial, self._path, overwrite=True)


class ProgressLines(keras.callbacks.Callback):
    """Appends progress as JSON lines to the file that `PETSEG_PROGRESS_FILE` names, for whoever shows it.

    A line has `epoch` and `step` (from 1), `epochs` and `steps` (totals), and the running metrics of the epoch; the
    last line of an epoch also has the `val_` metrics.
    """

    def __init__(self) -> None:
        super().__init__()
        self._path = os.environ.get(PROGRESS_FILE_VARIABLE)
        self._epoch = 0
        self._last_line = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes a line when the last is old enough."""
        if time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._write(min(batch + 1, self.params["steps"]), logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the epoch's last line."""
        self._write(self.params["steps"], logs)

    def _write(self, step: int, logs: dict[str, Any] | None) -> None:
        if not self._path:
            return
        self._last_line = time.monotonic()
        position = {
            "epoch": self._epoch,
            "epochs": self.params["epochs"],
            "step": step,
            "steps": self.params["steps"],
        }
        with Path(self._path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(position | _as_floats(logs)) + "\n")


def _as_floats(logs: dict[str, Any] | None) -> Epoch:
    """Returns the numbers; None for one that JSON has not, as the loss of a training that diverged."""
    numbers = {name: float(value) for name, value in (logs or {}).items()}
    return {name: number if math.isfinite(number) else None for name, number in numbers.items()}
