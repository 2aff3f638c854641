"""Sends an outbox from a thread while a run goes on, and follows the training for it."""

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.runs.progress import ProgressFollower, TrainingProgress
from pipeline.tracking.delivery import deliver, obstacles
from pipeline.tracking.errors import TrackerError
from pipeline.tracking.items import Item, Metrics
from pipeline.tracking.outbox import Outbox
from pipeline.tracking.server import TrackingServer
from pipeline.tracking.story import curve_points

_LOGGER: Final = logging.getLogger(__name__)
_POLL_SECONDS: Final = 1.0
_FIRST_PAUSE_SECONDS: Final = 5.0
_LONGEST_PAUSE_SECONDS: Final = 60.0


class Courier:
    """The thread, and what it is given to send; nothing here waits for the server but `finish`."""

    def __init__(self, outbox: Outbox, environment: Mapping[str, str], progress_file: Path | None = None) -> None:
        """Constructs the courier.

        Args:
          outbox: Of the run.
          environment: Where the run of a task is named; empty for a run that is no task.
          progress_file: What the Trainer appends its progress to; None where nothing trains.
        """
        self.outbox = outbox
        self._follower = ProgressFollower(progress_file) if progress_file else None
        self._environment = environment
        self._lock = threading.Lock()
        self._news: list[Item] = []
        self._wake = threading.Event()
        self._is_last = threading.Event()
        self._is_over = threading.Event()
        self._is_given_up = threading.Event()
        self._server: TrackingServer | None = None
        self._pause = _FIRST_PAUSE_SECONDS
        self._next_try = 0.0
        self._logged: set[str] = set()

    def start(self) -> None:
        """Starts the thread.

        MLflow is imported here: two threads that import at once may find modules half made.

        Raises:
          TrackerError: MLflow's client is not installed.
        """
        self._server = TrackingServer(self.outbox.state.address)
        threading.Thread(target=self._run, name="tracking", daemon=True).start()

    def tell(self, items: list[Item]) -> None:
        """Has items written to the outbox, and sent as soon as may be."""
        with self._lock:
            self._news += items
        self._wake.set()

    def finish(self, wait_seconds: float) -> None:
        """Waits until everything was sent, or cannot be sent, or the time is up."""
        self._is_last.set()
        self._wake.set()
        if not self._is_over.wait(wait_seconds):
            self._is_given_up.set()
            self._write_news()

    @property
    def url(self) -> str | None:
        """The run's page on the server; None while there is none."""
        place = self.outbox.state.place
        return place.url if place else None

    def _run(self) -> None:
        try:
            with self.outbox.held():
                while not self._is_given_up.is_set():
                    is_last = self._is_last.is_set()
                    self._write_news(training_ended=is_last)
                    self._try(is_last=is_last)
                    if is_last:
                        break
                    self._wake.wait(_POLL_SECONDS)
                    self._wake.clear()
        except TrackerError as error:  # another process sends it
            self.outbox.state.problem = str(error)
        except Exception as error:
            _LOGGER.exception("what is to be told of the run is not sent any more")
            self.outbox.state.problem = f"{type(error).__name__}: {error}"
        finally:
            self._is_over.set()

    def _try(self, *, is_last: bool) -> None:
        if self._server is None or (time.monotonic() < self._next_try and not is_last):
            return
        try:
            deliver(self.outbox, self._server, environment=self._environment, until=self._is_given_up.is_set)
        except TrackerError as error:
            self._log(str(error))
            self._next_try = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        else:
            self._pause = _FIRST_PAUSE_SECONDS
        for line in obstacles(self.outbox):
            self._log(line)

    def _log(self, trouble: str) -> None:
        """Writes to the log what goes wrong, once."""
        if trouble not in self._logged:
            self._logged.add(trouble)
            _LOGGER.warning("MLflow: %s", trouble)

    def _write_news(self, *, training_ended: bool = False) -> None:
        """Writes what came since the last time to the outbox; called by both threads."""
        with self._lock:
            epochs = self._follower.poll(training_ended=training_ended) if self._follower else []
            self.outbox.add([*map(_epoch_item, epochs), *self._news])
            self._news = []


def _epoch_item(progress: TrainingProgress) -> Metrics:
    return Metrics(
        values=curve_points(progress.epoch, progress.metrics), time_ms=round(time.time() * 1000), is_curve=True
    )
