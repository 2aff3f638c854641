"""Shows a run while it goes on: a live table on a terminal, one plain line a change elsewhere."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.text import Text

from pipeline.nodes import TRAINER
from pipeline.runs.progress import ProgressFollower, TrainingProgress
from pipeline.runs.record import NodeRecord, NodeState, RunRecord
from pipeline.runs.tables import duration, nodes_table, opening_lines, result_lines
from pipeline.terminal.streams import printable
from pipeline.terminal.tables import PlainTable, console

_REFRESH_SECONDS: Final = 0.25
_SHOW_CURSOR: Final = "\x1b[?25h\n"


class RunDisplay(ABC):
    """Follows the record of one run."""

    def __init__(self, stream: TextIO, record: RunRecord, follower: ProgressFollower) -> None:
        self._stream = stream
        self._record = record
        self._follower = follower
        self._log_lines: list[str] = []

    def explain(self, log_lines: list[str]) -> None:
        """Shows lines when the run has ended, as the last ones of the log."""
        self._log_lines += log_lines

    @contextmanager
    @abstractmethod
    def live(self) -> Iterator[None]:
        """Keeps clocks and training progress up to date while the block runs; shows the result if it ends well."""

    @abstractmethod
    def notice(self, text: str) -> None:
        """Shows what goes on outside of the components; an empty text says that it is over."""

    @abstractmethod
    def node_changed(self, node: NodeRecord) -> None:
        """Shows the new state of a component."""

    @abstractmethod
    def abort(self) -> None:
        """Leaves the terminal usable just before the process exits."""

    @contextmanager
    def _ticking(self) -> Iterator[None]:
        """Calls `_tick` from a thread while the block runs."""
        stop = threading.Event()

        def tick() -> None:
            while not stop.wait(_REFRESH_SECONDS):
                self._tick()

        thread = threading.Thread(target=tick, name="run display", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @abstractmethod
    def _tick(self) -> None:
        """Shows what changes by itself."""


class PlainDisplay(RunDisplay):
    """Prints one line a change, for files, pipes and CI."""

    @contextmanager
    def live(self) -> Iterator[None]:
        self._print(*opening_lines(self._record))
        with self._ticking():
            yield
        self._print(*self._log_lines, *result_lines(self._record))

    def notice(self, text: str) -> None:
        if text:
            self._print(text)

    def node_changed(self, node: NodeRecord) -> None:
        if node.state is NodeState.SKIPPED:
            return
        if node.id == TRAINER:
            self._print_epochs(self._follower.poll(training_ended=node.state is not NodeState.RUNNING))
        took = [duration(node.seconds)] if node.seconds is not None and node.state is not NodeState.RUNNING else []
        self._print(f"{node.id}: " + ", ".join([node.state, *took, *filter(None, [node.summary])]))

    def abort(self) -> None:
        self._stream.flush()

    def _tick(self) -> None:
        self._print_epochs(self._follower.poll())

    def _print_epochs(self, ended: list[TrainingProgress]) -> None:
        for progress in ended:
            self._print(f"{TRAINER}: epoch {progress.epoch}/{progress.epochs}, {progress.describe()}")

    def _print(self, *lines: str) -> None:
        print(*map(printable, lines), sep="\n", file=self._stream, flush=True)


class LiveDisplay(RunDisplay):
    """Redraws a table of the components."""

    def __init__(self, stream: TextIO, record: RunRecord, follower: ProgressFollower) -> None:
        super().__init__(stream, record, follower)
        self._console = console(stream)
        self._notice = ""
        self._notice_started = time.monotonic()
        self._node_started: dict[str, float] = {}
        self._spinner = Spinner("line" if self._console.options.ascii_only else "dots")
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @contextmanager
    def live(self) -> Iterator[None]:
        self._show(*opening_lines(self._record), "")
        with self._live, self._ticking():
            yield
        for line in self._log_lines:
            self._console.print(f"  {printable(line)}", style="dim", soft_wrap=True)
        if self._record.nodes:
            self._console.print(nodes_table(self._record.nodes), Text())
        self._show(*result_lines(self._record))

    def notice(self, text: str) -> None:
        self._notice = text
        self._notice_started = time.monotonic()

    def node_changed(self, node: NodeRecord) -> None:
        if node.state is NodeState.RUNNING:
            self._notice = ""
            self._node_started[node.id] = time.monotonic() - (node.seconds or 0.0)
        self._live.refresh()

    def abort(self) -> None:
        self._stream.write(_SHOW_CURSOR)
        self._stream.flush()

    def _show(self, *lines: str) -> None:
        self._console.print(*map(printable, lines), sep="\n", soft_wrap=True)

    def _tick(self) -> None:
        self._follower.poll()
        self._live.refresh()

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = []
        now = time.monotonic()
        is_training = any(node.id == TRAINER and node.state is NodeState.RUNNING for node in self._record.nodes)
        progress = self._follower.latest if is_training else None
        if self._record.nodes:
            shown = [self._as_shown(node, progress, now) for node in self._record.nodes]
            parts.append(nodes_table(shown, one_line=True))
        if progress is not None:
            parts.append(self._training_bar(progress))
        if self._notice:
            self._spinner.update(text=Text(f"{self._notice}  {duration(now - self._notice_started)}"))
            parts.append(self._spinner)
        return Group(*parts)

    def _as_shown(self, node: NodeRecord, progress: TrainingProgress | None, now: float) -> NodeRecord:
        """Returns the node's record; of a running one with its clock, and with how its training goes."""
        if node.state is not NodeState.RUNNING:
            return node
        trained = progress if node.id == TRAINER else None
        summary = f"epoch {trained.epoch}/{trained.epochs}, {trained.describe()}" if trained else node.summary
        seconds = now - self._node_started.setdefault(node.id, now)
        return node.model_copy(update={"seconds": seconds, "summary": summary})

    def _training_bar(self, progress: TrainingProgress) -> RenderableType:
        left = self._follower.seconds_left
        grid = PlainTable(show_header=False)
        grid.add_row(
            ProgressBar(total=1.0, completed=progress.done, width=40),
            f"step {progress.step}/{progress.steps}",
            f"{duration(left)} left" if left else "",
        )
        return grid


def open_display(stream: TextIO, record: RunRecord, follower: ProgressFollower) -> RunDisplay:
    """Returns the display that suits the stream."""
    live = stream.isatty() and not console(stream).is_dumb_terminal
    return (LiveDisplay if live else PlainDisplay)(stream, record, follower)
