"""A run that keeps a record and shows itself, whatever executes its components.

A runner says by `RecordedRun` how its components are executed and where the report is written; the record, the display,
the log, the training progress, interruptions and the message of a failure are the same for every runner.
"""

import logging
import os
import shutil
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from components.run_report.report import RECORD_FILE, REPORT_FILE
from pipeline.nodes import RUN_REPORT
from pipeline.runs.display import RunDisplay, open_display
from pipeline.runs.failures import explain_failure, log_tail
from pipeline.runs.metadata import check_metadata_file
from pipeline.runs.outputs import Outputs, node_facts
from pipeline.runs.process import Interruption, environment_variables, interruptible, temporary_directory
from pipeline.runs.progress import PROGRESS_FILE_VARIABLE, ProgressFollower
from pipeline.runs.record import RECORD_VARIABLE, NodeState, RunRecord, RunState
from pipeline.runs.store import RunFiles, RunStore
from pipeline.terminal.streams import captured_output
from trainer_module.errors import ConfigError, PetsegError

CHECKPOINT_DIR_VARIABLE: Final = "PETSEG_CHECKPOINT_DIR"
"""Environment variable of the Trainer that names where checkpoints go; a run keeps one that is set."""

_GPU_MEMORY_GROWTH_VARIABLE: Final = "TF_FORCE_GPU_ALLOW_GROWTH"
_LOGGER: Final = logging.getLogger(__name__)
_STOPPING: Final = "stopping as soon as the current step is done; Ctrl-C again quits at once"
_WITH_THE_REPORT: Final = ("report", "model_card", "metrics")
"""The outputs of RunReport whose files belong to a run."""

_OUTPUT_LOST: Final = "Nothing can be shown on %s: %s. The run goes on without it."


class RunObserver(Protocol):
    """Hears how a run goes; whatever it raises is logged, and the run goes on."""

    def changed(self, record: RunRecord) -> None:
        """A component has started or ended, and the record says what is known since."""

    def ended(self, record: RunRecord) -> str | None:
        """The run has ended, and its report is written; returns a line for whoever watches, or None."""


class RecordedRun(ABC):
    """One run that goes on; it hears of every component and keeps record and display up to date."""

    def __init__(
        self,
        store: RunStore,
        files: RunFiles,
        record: RunRecord,
        *,
        show_on_stderr: bool,
        observers: Sequence[RunObserver] = (),
    ) -> None:
        """Constructs the run.

        Args:
          store: Where it is recorded.
          files: Its own files there.
          record: Its record, without components as yet.
          show_on_stderr: Whether the display goes to standard error, to keep standard output for a machine.
          observers: Who hears of every component, and of the end.
        """
        self._observers = observers
        self._store = store
        self._files = files
        self._record = record
        self._show_on_stderr = show_on_stderr
        self._started = self._node_started = time.monotonic()
        self._display: RunDisplay
        self._interruption: Interruption

    @abstractmethod
    def _run(self) -> None:
        """Fills `_record.nodes`, then executes the components; each is reported as it starts and finishes."""

    @abstractmethod
    def _tidy(self) -> None:
        """Leaves metadata and disk consistent after a failure or an interruption."""

    @abstractmethod
    def _write_report(self, *, with_pictures: bool) -> Path:
        """Writes the report of a run without RunReport, as one that failed; returns where its page is."""

    def _abort(self) -> None:
        """Called just before the process exits at once, from another thread."""
        self._display.abort()

    def execute(self) -> RunRecord:
        """Runs to the end, whatever the end is.

        Raises:
          ConfigError: The run could not start.
        """
        self._save()
        with (
            temporary_directory(self._store.temporary_dir),
            captured_output(self._files.log) as (stdout, stderr),
            self._python_log(),
            environment_variables(self._component_variables()),
        ):
            stream = stderr if self._show_on_stderr else stdout
            for output, name in ((stdout, "standard output"), (stderr, "standard error")):
                output.watch(partial(_LOGGER.warning, _OUTPUT_LOST, name))
            self._display = open_display(stream, self._record, ProgressFollower(self._files.progress))
            with (
                interruptible(lambda: self._display.notice(_STOPPING), self._abort) as self._interruption,
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
        self._record.node(node_id).outputs = {
            name: artifacts[0].uri for name, artifacts in outputs.items() if artifacts and artifacts[0].uri
        }
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
        self._end_with_report()

    def _end_with_report(self) -> None:
        """Takes the report from RunReport, or has it written where that did not run; a run without one is as good."""
        try:
            page = self._reported()
            if page is None:
                self._display.notice("writing the report")
                page = self._write_report(with_pictures=not self._interruption.requested)
            self._record.report = str(page)
            self._record.save(self._files.record)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the run itself has ended)
            self._log(error)
            self._display.notice(f"no report was written ({error or type(error).__name__}); see the log")
        else:
            self._display.notice("")
        self._tell_the_end()

    def _tell_the_end(self) -> None:
        """Tells the observers that the run has ended, and keeps what they add to the record."""
        for observer in self._observers:
            try:
                if line := observer.ended(self._record):
                    self._display.explain([line])
                self._record.save(self._files.record)
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the run itself has ended)
                self._log(error)

    def _tell_the_change(self) -> None:
        for observer in self._observers:
            try:
                observer.changed(self._record)
            except Exception as error:  # noqa: BLE001 (the run does not depend on who watches it)
                self._log(error)

    def _reported(self) -> Path | None:
        """Brings what RunReport left to the run's files, and returns the page; None where it left none in this run."""
        node = next((node for node in self._record.nodes if node.id == RUN_REPORT), None)
        if node is None or node.state is not NodeState.COMPLETE:
            return None
        page = self._files.directory / REPORT_FILE
        for path in (Path(node.outputs[output]) for output in _WITH_THE_REPORT if output in node.outputs):
            for file in path.iterdir() if path.is_dir() else (path,):
                if file.name != RECORD_FILE:  # the run's own goes on
                    shutil.copyfile(file, self._files.directory / file.name)
        return page if page.is_file() else None

    def _end_early(self, error: BaseException) -> None:
        """Leaves metadata, disk and record consistent after a failure or an interruption."""
        running = self._record.running_node()
        self._log(error)
        if isinstance(error, KeyboardInterrupt) or self._interruption.requested:
            idle = "between components" if self._record.nodes else "before the first component"
            where = f"in {running.id}" if running else idle
            state, message = RunState.INTERRUPTED, f"interrupted {where}"
        else:
            failure = explain_failure(error, self._store.root, self._store.metadata)
            state, message = RunState.FAILED, failure.message
            if not failure.is_foreseen:
                self._display.explain(log_tail(self._files.log))
        try:
            self._tidy()
        except PetsegError as tidy_error:
            self._log(tidy_error)
        self._record.finish(state, message)
        if running is not None:
            running.seconds = self._node_seconds()
            self._display.node_changed(running)

    def _change(self, node_id: str, state: NodeState) -> None:
        node = self._record.node(node_id)
        node.state = state
        if state not in (NodeState.RUNNING, NodeState.SKIPPED):
            node.seconds = self._node_seconds()
        self._tell_the_change()
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

    def _component_variables(self) -> dict[str, str]:
        """Returns what tells components where progress, checkpoints and record are, and TensorFlow to share GPUs."""
        return {
            RECORD_VARIABLE: str(self._files.record),
            PROGRESS_FILE_VARIABLE: str(self._files.progress),
            CHECKPOINT_DIR_VARIABLE: os.environ.get(CHECKPOINT_DIR_VARIABLE) or str(self._store.checkpoints_dir),
            _GPU_MEMORY_GROWTH_VARIABLE: os.environ.get(_GPU_MEMORY_GROWTH_VARIABLE, "true"),
        }


def record_run(store: RunStore, make_run: Callable[[str, RunFiles], RecordedRun]) -> RunRecord:
    """Makes a run under a pipeline root and executes it; one that could not start leaves nothing.

    Args:
      store: The pipeline root, which is held until the run has ended.
      make_run: Makes the run, given its id and its files.

    Raises:
      ConfigError: The run could not start.
      PetsegError: The pipeline root cannot be written to, is full, or is used by another run; its metadata is locked
        or damaged.
    """
    store.prepare()
    run_id = store.new_run_id()
    with store.lock(run_id):
        check_metadata_file(store.metadata)
        files = store.create_run(run_id)
        try:
            return make_run(run_id, files).execute()
        except ConfigError:
            shutil.rmtree(files.directory, ignore_errors=True)
            raise
