"""Tells of runs on this machine: while they go on, and later of what could not be told then."""

import os
from pathlib import Path
from typing import Final

from pipeline.nodes import TRAINER
from pipeline.runs.record import RunRecord
from pipeline.runs.store import RunFiles, RunStore
from pipeline.tracking.address import Address
from pipeline.tracking.courier import Courier
from pipeline.tracking.delivery import deliver, left_over
from pipeline.tracking.errors import TrackerError
from pipeline.tracking.items import Item
from pipeline.tracking.outbox import DIRECTORY, Outbox
from pipeline.tracking.server import TrackingServer
from pipeline.tracking.story import beginning, ending, facts, files

MODEL_RUN: Final = "model_run"
MODEL_CARD: Final = "model_card.md"


class RunTracker:
    """Tells an MLflow server of one run while it goes on; an observer of `pipeline.runs.session`."""

    def __init__(self, address: Address, run_files: RunFiles, wait_seconds: float) -> None:
        """Constructs the tracker; the server hears of the run when its first component starts.

        Args:
          address: Of the server.
          run_files: The run's own files.
          wait_seconds: How long the end of the run waits at most.
        """
        self._address = address
        self._files = run_files
        self._wait_seconds = wait_seconds
        self._courier: Courier | None = None

    def changed(self, record: RunRecord) -> None:
        """Tells what is known since a component started or ended."""
        if self._courier is None:
            outbox = Outbox.begin(self._files.directory / DIRECTORY, self._address, beginning(record))
            courier = Courier(outbox, {}, self._files.progress)
            courier.start()
            self._courier = courier
        self._courier.tell(facts(record, model_run_of(record)))
        record.tracking = self._courier.url

    def ended(self, record: RunRecord) -> str | None:
        """Tells how the run ended, waits a little, and returns what could not be told, and how to tell it later."""
        self.changed(record)
        if self._courier is None:
            return None
        self._courier.tell(end_items(record, self._files.directory))
        self._courier.finish(self._wait_seconds)
        record.tracking = self._courier.url
        left = left_over(self._courier.outbox)
        return f"{left}; `petseg track sync` sends what waits" if left else None


def model_run_of(record: RunRecord) -> Path | None:
    """Returns the directory that the Trainer left on this machine; None where there is none."""
    uri = next((node.outputs.get(MODEL_RUN) for node in record.nodes if node.id == TRAINER), None)
    return Path(uri) if uri and Path(uri).is_dir() else None


def end_items(record: RunRecord, directory: Path) -> list[Item]:
    """Returns what is told at the end of a run that is recorded in a directory."""
    page = Path(record.report) if record.report else None
    card = page.with_name(MODEL_CARD) if page else None
    told = files(model_run=model_run_of(record), page=page, model_card=card, directory=directory)
    return [*told, ending(record)]


def send_later(store: RunStore, run_id: str, *, address: Address | None, again: bool) -> Outbox:
    """Sends what the server has not heard of a run that has ended, however long ago.

    Args:
      store: The pipeline root.
      run_id: Id of the run.
      address: Of the server. None: what the run was to be sent to, by its settings or the environment.
      again: Whether to send everything anew, to a server that may have lost it.

    Returns:
      The outbox; `left_over` says what the server did not take.

    Raises:
      TrackerError: The server cannot be told now, or none is named.
      PetsegError: There is no such run.
    """
    record, directory = store.record(run_id), store.runs_dir / run_id
    outbox = Outbox.open(directory / DIRECTORY)
    wanted = address or (outbox.state.address if outbox else Address.of_record(record, os.environ))
    if wanted is None:
        raise TrackerError(
            f"no MLflow server is named for the run {run_id}: neither by its settings nor by MLFLOW_TRACKING_URI; name "
            "one with --mlflow URL"
        )
    if outbox is None:
        outbox = Outbox.begin(directory / DIRECTORY, wanted, beginning(record))
    with outbox.held():
        if again or outbox.state.address != wanted:
            outbox.begin_anew(wanted)
        outbox.add([*facts(record, model_run_of(record)), *end_items(record, directory)])
        deliver(outbox, TrackingServer(wanted), environment={}, again=True)
    if outbox.state.place and record.tracking != outbox.state.place.url:
        record.tracking = outbox.state.place.url
        record.save(RunFiles(directory).record)
    return outbox
