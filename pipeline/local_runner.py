"""Binds the pipeline to this machine and runs it, with everything it leaves under one pipeline root.

`run_pipeline` returns the run's record whether the run was completed, failed or interrupted; it raises only when the
run could not start. TensorFlow and TFX are imported when everything that can be checked without them has been.
"""

import logging
import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.config import Config
from pipeline.failure_messages import explain_failure, log_tail
from pipeline.interruption import Interruption, interruptible
from pipeline.node_outputs import Outputs, node_facts
from pipeline.output_capture import captured_output
from pipeline.run_display import RunDisplay, open_display
from pipeline.run_record import NodeRecord, NodeState, RunRecord, RunState
from pipeline.run_store import RunFiles, RunStore
from pipeline.training_progress import PROGRESS_FILE_VARIABLE, ProgressFollower
from trainer_module.errors import ConfigError, PetsegError

if TYPE_CHECKING:
    from tfx import v1 as tfx

_STARTING: Final = "starting TensorFlow and TFX"
_STOPPING: Final = "stopping as soon as the current step is done; Ctrl-C again quits at once"


@dataclass(frozen=True)
class RunRequest:
    """What to run of the pipeline, and how."""

    from_node: str | None = None
    to_node: str | None = None
    use_cache: bool = True
    show_on_stderr: bool = False
    """Whether the display goes to standard error, to keep standard output for a machine."""

    create_pipeline: "Callable[..., tfx.dsl.Pipeline] | None" = None
    """Makes the graph; None: `pipeline.graph.create_pipeline`."""


def run_pipeline(config: Config, request: RunRequest = RunRequest()) -> RunRecord:
    """Runs the pipeline that a configuration describes.

    Returns:
      The record of the run, also of one that failed or was interrupted.

    Raises:
      ConfigError: The configuration or the request cannot be used; no run was recorded.
      PetsegError: The pipeline root cannot be written to, is full, or is used by another run.
    """
    store = RunStore(config.pipeline.root)
    config = _with_absolute_paths(config, store.root)
    store.prepare()
    run_id = store.new_run_id()
    with store.lock(run_id):
        files = store.create_run(run_id)
        try:
            return _LocalRun(config, request, store, run_id, files).execute()
        except ConfigError:
            shutil.rmtree(files.directory, ignore_errors=True)
            raise


class _LocalRun:
    """One run that goes on; it hears of every component and keeps record and display up to date."""

    def __init__(self, config: Config, request: RunRequest, store: RunStore, run_id: str, files: RunFiles) -> None:
        self._config = config
        self._request = request
        self._store = store
        self._files = files
        self._record = RunRecord.begin(run_id, config, files.log)
        self._started = self._node_started = time.monotonic()
        self._display: RunDisplay
        self._interruption: Interruption
        self._connection_config: Any = None

    def execute(self) -> RunRecord:
        """Runs to the end, whatever the end is."""
        self._files.config.write_text(self._config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        self._save()
        with captured_output(self._files.log) as (stdout, stderr), self._python_log(), self._progress_file():
            stream = stderr if self._request.show_on_stderr else stdout
            self._display = open_display(stream, self._record, ProgressFollower(self._files.progress))
            with (
                interruptible(lambda: self._display.notice(_STOPPING), self._display.abort) as self._interruption,
                self._display.live(),
            ):
                self._run_to_end()
        return self._record

    def node_started(self, node_id: str) -> None:
        self._interruption.check()
        self._node_started = time.monotonic()
        self._change(node_id, NodeState.RUNNING)

    def node_finished(self, node_id: str, state: NodeState, outputs: Outputs) -> None:
        facts = node_facts(node_id, outputs, self._record.settings)
        for name, value in facts.fields.items():
            setattr(self._record, name, value)
        if state is not NodeState.SKIPPED:
            self._record.node(node_id).summary = facts.summary
        self._change(node_id, state)
        self._interruption.check()

    def _run_to_end(self) -> None:
        try:
            self._run()
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, ConfigError) and not self._record.nodes:
                raise
            self._end_early(error)
        else:
            self._record.finish(RunState.COMPLETE)
        try:
            self._save()
        except OSError as error:
            self._log(error)

    def _run(self) -> None:
        self._display.notice(_STARTING)
        from tfx.v1.orchestration.metadata import sqlite_metadata_connection_config

        from pipeline.dag_execution import DagExecution

        request, name = self._request, self._config.pipeline.name
        self._connection_config = sqlite_metadata_connection_config(str(self._store.metadata))
        self._reap()
        pipeline = (request.create_pipeline or _graph())(
            self._config,
            pipeline_root=str(self._store.artifacts(name)),
            enable_cache=request.use_cache,
            metadata_connection_config=self._connection_config,
        )
        execution = DagExecution(pipeline, self._record.run_id, self._connection_config)
        execution.restrict(request.from_node, request.to_node)
        skipped = execution.skipped
        states = {
            node_id: NodeState.SKIPPED if node_id in skipped else NodeState.PENDING for node_id in execution.node_ids
        }
        self._record.nodes = [NodeRecord(id=node_id, state=state) for node_id, state in states.items()]
        self._save()
        execution.run(self)

    def _reap(self) -> None:
        """Cleans up after executions that no process runs any more."""
        from pipeline.abandoned_executions import reap_abandoned_executions

        try:
            reap_abandoned_executions(self._connection_config, self._store.artifacts_dir)
        except Exception as error:
            raise PetsegError(
                f"{str(self._store.metadata)!r} cannot be used as a database of ML Metadata: {error}; move it away to "
                "start with an empty cache, or choose another root with --pipeline-root DIR"
            ) from error

    def _end_early(self, error: BaseException) -> None:
        """Leaves metadata, disk and record consistent after a failure or an interruption."""
        running = self._record.running_node()
        self._log(error)
        if isinstance(error, KeyboardInterrupt) or self._interruption.requested:
            idle = "between components" if self._record.nodes else "before the first component"
            where = f"in {running.id}" if running else idle
            state, message = RunState.INTERRUPTED, f"interrupted {where}"
        else:
            failure = explain_failure(error, self._store.root)
            state, message = RunState.FAILED, failure.message
            if not failure.is_foreseen:
                self._display.explain(log_tail(self._files.log))
        try:
            if self._connection_config is not None:
                self._reap()
        except PetsegError as reap_error:
            self._log(reap_error)
        self._record.finish(state, message)
        if running is not None:
            running.seconds = self._node_seconds()
            self._display.node_changed(running)

    def _change(self, node_id: str, state: NodeState) -> None:
        node = self._record.node(node_id)
        node.state = state
        if state not in (NodeState.RUNNING, NodeState.SKIPPED):
            node.seconds = self._node_seconds()
        self._save()
        self._display.node_changed(node)

    def _node_seconds(self) -> float:
        return round(time.monotonic() - self._node_started, 3)

    def _save(self) -> None:
        self._record.seconds = round(time.monotonic() - self._started, 3)
        self._record.save(self._files.record)

    def _log(self, error: BaseException) -> None:
        try:
            with self._files.log.open("a", encoding="utf-8") as log:
                traceback.print_exception(error, file=log)
        except OSError:
            pass  # a full disk; the message is shown all the same

    @contextmanager
    def _python_log(self) -> Iterator[None]:
        """Writes what Python's loggers say to the log, with the time; TFX's own are silent unless asked."""
        handler = logging.FileHandler(self._files.log, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        tfx_logger = logging.getLogger("absl")
        level = tfx_logger.level
        tfx_logger.setLevel(logging.INFO)
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)
            tfx_logger.setLevel(level)
            handler.close()

    @contextmanager
    def _progress_file(self) -> Iterator[None]:
        """Tells the Trainer where to write its progress."""
        os.environ[PROGRESS_FILE_VARIABLE] = str(self._files.progress)
        try:
            yield
        finally:
            del os.environ[PROGRESS_FILE_VARIABLE]


def _graph() -> "Callable[..., tfx.dsl.Pipeline]":
    from pipeline.graph import create_pipeline

    return create_pipeline


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
