"""Tells of runs on Kubeflow Pipelines, whose components run in pods that know no configuration.

The server and the experiment come from the environment, which the compiled package gives to every pod. All pods find
one run on the server by the tag `petseg.run_id`, the id of the Kubeflow run; where Kubeflow Pipelines itself tells
MLflow of its runs, they join the run that it made. Pods keep nothing: what cannot be told is said in their logs.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from pipeline.config.schema import Config
from pipeline.config.tracking import TrackingConfig
from pipeline.runs.record import RunRecord
from pipeline.tracking.address import EXPERIMENT_VARIABLE, URI_VARIABLE, Address
from pipeline.tracking.courier import Courier
from pipeline.tracking.delivery import left_over
from pipeline.tracking.errors import TrackerError
from pipeline.tracking.items import Beginning, End, Item, Resumption, Tags
from pipeline.tracking.outbox import Outbox
from pipeline.tracking.server import RUN_VARIABLE
from pipeline.tracking.story import ERROR_TAG, LONGEST_TAG, beginning, ending, facts, files

KUBEFLOW_TAG: Final = "petseg.kubeflow_run_id"

_WAIT_SECONDS: Final = 5.0
"""At the end of a training, whose epochs are told again with the run's report."""

_REPORT_WAIT_SECONDS: Final = 60.0
"""At the end of a run, where nobody waits for what comes after."""

_EXPERIMENT: Final = "petseg"
"""Of a training in a pod whose environment names a server and no experiment."""

_LOGGER: Final = logging.getLogger(__name__)


def pod_environment(config: Config) -> dict[str, str]:
    """Returns the variables of every component's container; none where the settings name no server.

    Packages depend on settings alone, so the compiler's own environment does not count.
    """
    address = Address.of(config.tracking, config.pipeline.name, {})
    return {URI_VARIABLE: address.uri, EXPERIMENT_VARIABLE: address.experiment} if address else {}


@contextmanager
def training_told(run_id: str, progress_file: Path) -> Iterator[None]:
    """Tells of every epoch of a training in the block, where the environment names a server.

    Args:
      run_id: Id of the Kubeflow run.
      progress_file: What the Trainer appends its progress to.
    """
    start = Beginning(run_id=run_id, started_ms=round(time.time() * 1000))
    with TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        courier = _courier(TrackingConfig(), _EXPERIMENT, start, directory, progress_file)
        if courier is not None:
            courier.tell([Resumption()])
        try:
            yield
        finally:
            if courier is not None:
                courier.finish(_WAIT_SECONDS)


def failure_told(run_id: str, component: str, error: BaseException) -> None:
    """Tells that a component failed or was terminated, and the run with it, where the environment names a server."""
    now_ms = round(time.time() * 1000)
    is_killed = isinstance(error, KeyboardInterrupt)
    reason = f"{component} was terminated" if is_killed else f"{component} failed: {error or type(error).__name__}"
    with TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        start = Beginning(run_id=run_id, started_ms=now_ms)
        courier = _courier(TrackingConfig(), _EXPERIMENT, start, directory)
        if courier is not None:
            status: Literal["KILLED", "FAILED"] = "KILLED" if is_killed else "FAILED"
            tags = {KUBEFLOW_TAG: run_id, ERROR_TAG: reason[:LONGEST_TAG]}
            courier.tell([Tags(values=tags), End(status=status, time_ms=now_ms)])
            courier.finish(_WAIT_SECONDS)


def tell_run(
    record: RunRecord, *, page: Path | None, model_card: Path | None, model_run: Path | None, directory: Path | None
) -> str | None:
    """Tells of a run that has ended: settings, metrics, curves, files, model, and how it ended.

    Args:
      record: Of the run; its id is that of the Kubeflow run.
      page: The report.
      model_card: The model card.
      model_run: The directory that the Trainer left.
      directory: Where the record is as `run.json`.

    Returns:
      The run's page on the server; None where no server is named, or it could not be told.
    """
    tracking = TrackingConfig.model_validate(record.settings.get("tracking", {}))
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        courier = _courier(tracking, record.pipeline, beginning(record), scratch)
        if courier is None:
            return None
        told: list[Item] = [*facts(record, model_run), Tags(values={KUBEFLOW_TAG: record.run_id})]
        told += files(model_run=model_run, page=page, model_card=model_card, directory=directory)
        courier.tell([*told, ending(record)])
        courier.finish(_REPORT_WAIT_SECONDS)
        if left := left_over(courier.outbox):
            _LOGGER.warning("MLflow has not heard all of the run: %s", left)
        return courier.url


def _courier(
    tracking: TrackingConfig, pipeline: str, start: Beginning, directory: str, progress_file: Path | None = None
) -> Courier | None:
    """Returns a courier that has started; None where no server is named, or it cannot be told.

    The run that Kubeflow Pipelines has made is on the server that it names.
    """
    if RUN_VARIABLE in os.environ:
        tracking = tracking.model_copy(update={"mlflow": None})
    try:
        address = Address.of(tracking, pipeline)
        if address is None:
            return None
        courier = Courier(Outbox.begin(Path(directory), address, start), os.environ, progress_file)
        courier.start()
    except TrackerError as error:
        _LOGGER.warning("MLflow does not hear of the run: %s", error)
        return None
    return courier
