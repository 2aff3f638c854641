"""Shows a run while it goes on: a live table on a terminal, one line a change elsewhere."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.run_record import NodeRecord, NodeState, RunRecord, RunState
from pipeline.training_progress import ProgressFollower, TrainingProgress

TRAINER: Final = "Trainer"

_REFRESH_SECONDS: Final = 0.25
_STYLES: Final = {
    NodeState.PENDING: "dim",
    NodeState.RUNNING: "bold cyan",
    NodeState.COMPLETE: "green",
    NodeState.CACHED: "blue",
    NodeState.FAILED: "bold red",
    NodeState.SKIPPED: "dim",
    NodeState.INTERRUPTED: "yellow",
}


class RunDisplay(ABC):
    """Follows one run's record; every method may be called while `live` is entered."""

    def __init__(self, record: RunRecord, follower: ProgressFollower) -> None:
        self._record = record
        self._follower = follower

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keeps the display up to date, in a thread, while the block runs."""
        stop = threading.Event()

        def refresh() -> None:
            while not stop.wait(_REFRESH_SECONDS):
                self._tick(self._follower.poll())

        thread = threading.Thread(target=refresh, name="run display", daemon=True)
        with self._shown():
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()
                self._tick(self._follower.poll())

    @abstractmethod
    def _shown(self) -> "contextmanager[None]":
        """Shows the display and takes it away again."""

    @abstractmethod
    def _tick(self, ended_epochs: list[TrainingProgress]) -> None:
        """Shows what changed by itself: clocks and training progress."""
