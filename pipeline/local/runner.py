"""Binds the pipeline to this machine and runs it, with everything it leaves under one pipeline root.

`run_pipeline` returns the run's record whether the run was completed, failed or interrupted; it raises only when the
run could not start. TensorFlow and TFX are imported when everything that can be checked without them has been.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.beam.arguments import check_machine
from pipeline.beam.notices import heard_by
from pipeline.beam.preflight import check_services
from pipeline.config.paths import check_no_pattern
from pipeline.config.schema import Config
from pipeline.runs.metadata import MAX_RETRIES, metadata_failure
from pipeline.runs.record import NodeRecord, NodeState, RunRecord, run_environment
from pipeline.runs.session import RecordedRun, RunObserver, record_run
from pipeline.runs.store import RunFiles, RunStore
from pipeline.terminal.streams import notify
from pipeline.tracking.address import Address
from pipeline.tracking.errors import TrackerError
from pipeline.tracking.local import RunTracker
from trainer_module.encoder_catalogue import why_not_at_hand
from trainer_module.errors import ConfigError

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

_STARTING: Final = "starting TensorFlow and TFX"


@dataclass(frozen=True)
class RunRequest:
    """What to run of the pipeline, and how."""

    from_node: str | None = None
    to_node: str | None = None
    use_cache: bool = True
    reset_baseline: bool = False
    """Whether to judge the model as if none were served."""

    force_bless: str = ""
    """Why the model is to be pushed whatever the gate says; empty to obey the gate."""

    retrain: bool = False
    """Whether the run is to decide first whether there is a reason to train."""

    asked: bool = False
    """Whether such a run trains all the same."""

    show_on_stderr: bool = False
    """Whether the display goes to standard error, to keep standard output for a machine."""

    create_pipeline: "Callable[..., Pipeline] | None" = None
    """Makes the graph; None: `pipeline.graph.create_pipeline`."""


def run_pipeline(config: Config, request: RunRequest = RunRequest()) -> RunRecord:
    """Runs the pipeline that a configuration describes.

    Returns:
      The record of the run, also of one that failed or was interrupted.

    Raises:
      ConfigError: The configuration or the request cannot be used, or what Beam or the encoder needs is absent; no run
        was recorded.
      PetsegError: The pipeline root cannot be written to, is full, or is used by another run.
    """
    store = RunStore(config.pipeline.root)
    check_machine(config.pipeline.beam_args, str(store.root))
    check_services(config.pipeline.beam_args)
    config = _with_absolute_paths(config, store.root)
    check_no_pattern("push.destination", config.push.destination or "")
    _check_weights(config, request)
    address = _tracker_address(config)

    def make_run(run_id: str, files: RunFiles) -> RecordedRun:
        trackers = [RunTracker(address, files, config.tracking.wait_seconds)] if address else []
        return _LocalRun(config, request, store, run_id, files, trackers)

    return record_run(store, make_run)


class _LocalRun(RecordedRun):
    """A run under TFX's LocalDagRunner."""

    def __init__(
        self,
        config: Config,
        request: RunRequest,
        store: RunStore,
        run_id: str,
        files: RunFiles,
        observers: Sequence[RunObserver],
    ) -> None:
        record = RunRecord.begin(run_id, config, files.log)
        super().__init__(store, files, record, show_on_stderr=request.show_on_stderr, observers=observers)
        self._config = config
        self._request = request
        self._connection_config: Any = None

    def _run(self) -> None:
        self._files.config.write_text(self._config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        self._display.notice(_STARTING)
        from tfx.orchestration.metadata import sqlite_metadata_connection_config

        from pipeline.local.execution import DagExecution

        self._record.environment = run_environment()
        request, name = self._request, self._config.pipeline.name
        self._connection_config = sqlite_metadata_connection_config(str(self._store.metadata))
        self._connection_config.retry_options.max_num_retries = MAX_RETRIES
        self._cancel_abandoned()
        pipeline = (request.create_pipeline or _graph())(
            self._config,
            pipeline_root=str(self._store.artifacts(name)),
            enable_cache=request.use_cache,
            metadata_connection_config=self._connection_config,
            reset_baseline=request.reset_baseline,
            force_bless=request.force_bless,
            **({"retrain": True, "asked": request.asked} if request.retrain else {}),
        )
        execution = DagExecution(pipeline, self._record.run_id, self._connection_config)
        execution.restrict(request.from_node, request.to_node)
        skipped = execution.skipped
        self._record.nodes = [
            NodeRecord(id=node_id, state=NodeState.SKIPPED if node_id in skipped else NodeState.PENDING)
            for node_id in execution.node_ids
        ]
        self._save()
        with heard_by(self._display.notice):
            execution.run(self)

    def _tidy(self) -> None:
        if self._connection_config is not None:
            self._cancel_abandoned()

    def _write_report(self, *, with_pictures: bool) -> Path:
        from pipeline.report.page import write_report

        return write_report(self._record, self._files.directory, with_pictures=with_pictures).page

    def _cancel_abandoned(self) -> None:
        """Cleans up after executions that no process runs any more."""
        from pipeline.local.execution import cancel_abandoned_executions

        try:
            cancel_abandoned_executions(self._connection_config, self._store.artifacts_dir)
        except Exception as error:
            raise metadata_failure(error, self._store.metadata) from error


def _graph() -> "Callable[..., Pipeline]":
    from pipeline.graph import create_pipeline

    return create_pipeline


def _tracker_address(config: Config) -> Address | None:
    """Returns where the run is told of; None where it is not.

    A tracker that only the environment names, and that cannot be used, is no reason not to run.

    Raises:
      ConfigError: The setting names a tracker that cannot be used.
    """
    try:
        return Address.of_config(config)
    except TrackerError as error:
        notify(f"warning: the run is not tracked: {error}", "yellow")
        return None


def _check_weights(config: Config, request: RunRequest) -> None:
    """Checks that the encoder's weights are here, which the Trainer would miss after all else is done.

    Raises:
      ConfigError: They are not.
    """
    trainer = config.trainer
    is_for_all = request.to_node is None and trainer.warm_start is None
    if is_for_all and trainer.encoder_name and trainer.encoder_weights:
        reason = why_not_at_hand(trainer.encoder_name, trainer.encoder_weights)
        if reason:
            raise ConfigError(reason)


def _with_absolute_paths(config: Config, root: Path) -> Config:
    """Makes the configuration independent of the working directory; `gs://` and the like stay as they are."""

    def absolute(path: str | None) -> str | None:
        return path if not path or "://" in path else str(Path(path).expanduser().resolve())

    sections = {
        "pipeline": config.pipeline.model_copy(update={"root": str(root)}),
        "data": config.data.model_copy(update={"data_dir": absolute(config.data.data_dir)}),
        "push": config.push.model_copy(update={"destination": absolute(config.push.destination)}),
    }
    return config.model_copy(update=sections)
