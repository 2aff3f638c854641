"""The history as a page: the metrics over time, what it comes to, and a row a run or event."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pipeline.history.charts import METRICS, history_chart, save_history_chart
from pipeline.history.entries import REFUSED, Entry, RunEntry, RunOutcome
from pipeline.history.tables import (
    WITHIN_NOISE,
    change_text,
    counted,
    data_text,
    event_reason,
    event_text,
    outcome_text,
    reason_text,
    summary_lines,
    utc,
)
from pipeline.history.timeline import History, folded
from pipeline.report.blocks import Block, Cell, Figure, Figures, Note, Page, Section, Table, Tone, Verdict
from pipeline.report.page import html
from pipeline.terminal.tables import metric_interval, metric_value
from trainer_module.errors import ConfigError, PetsegError

_MOST_DRIFTED: Final = 3
_TONES: Final[dict[RunOutcome, Tone]] = {
    RunOutcome.PUSHED: "good",
    RunOutcome.FAILED: "bad",
    RunOutcome.INTERRUPTED: "bad",
    **dict.fromkeys(REFUSED, "bad"),
}
_CAPTION: Final = (
    "Each mark is a model that was trained, with its 95 % interval; the line is the model that was served: as it was "
    "at its push, then as later runs measured it on their data. Point at a mark to read it. Drift is the largest "
    "Jensen–Shannon distance of the data to what the served model was trained on; below it, the days since the served "
    "model was pushed first."
)
_COLUMNS: Final = ("UTC", "what became of it", "data", "accuracy", "mean IoU", "change", "drift")


def history_page(histories: Sequence[History], root: Path, *, unfolded: bool = False) -> Page:
    """Returns the page.

    Args:
      histories: Of one or more pipelines.
      root: The pipeline root.
      unfolded: Whether each firing that had nothing to do has its row.
    """
    names = ", ".join(history.pipeline for history in histories)
    times = [entry.at for history in histories for entry in history.entries]
    period = f"{utc(min(times))} to {utc(max(times))} · " if times else ""
    return Page(
        title=f"History of {names}",
        subtitle=f"{period}{root}",
        verdict=_verdict(histories),
        sections=[
            section
            for number, history in enumerate(histories)
            for section in _sections(history, f"history-{number}", is_only=len(histories) == 1, unfolded=unfolded)
        ],
    )


def write_page(histories: Sequence[History], root: Path, file: Path, *, unfolded: bool = False) -> None:
    """Writes the page.

    Raises:
      PetsegError: It cannot be written.
    """
    text = html(history_page(histories, root, unfolded=unfolded))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PetsegError(f"cannot write the page {str(file)!r}: {error.strerror}; name another --html") from error


def save_plot(histories: Sequence[History], file: Path) -> None:
    """Draws the chart of one pipeline into a picture file, of the kind that its name ends in.

    Raises:
      ConfigError: There is more than one.
      PetsegError: It cannot be drawn.
    """
    drawn = [history for history in histories if history.entries]
    if len(drawn) > 1:
        names = ", ".join(history.pipeline for history in drawn)
        raise ConfigError(f"--plot draws one pipeline, and there are {names}; name its configuration, as with --config")
    if not drawn:
        raise PetsegError("there is nothing to draw in that time")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_history_chart(drawn[0], file)
    except OSError as error:
        raise PetsegError(f"cannot write the plot {str(file)!r}: {error.strerror}; name another --plot") from error


def _verdict(histories: Sequence[History]) -> Verdict:
    frozen = [history for history in histories if history.freeze]
    served = [history for history in histories if history.served_now]
    headline = "Nothing is served"
    if len(histories) == 1 and histories[0].served_now:
        now = histories[0].served_now
        headline = f"Version {now.version} is served since {now.since:%d %B %Y}"
    elif served:
        headline = f"{counted(len(served), 'pipeline')} of {len(histories)} serve a model"
    if frozen:
        headline = f"Pushes are frozen: {frozen[0].freeze.reason}" if frozen[0].freeze else headline
    of_each = [
        f"{f'{history.pipeline}: ' if len(histories) > 1 else ''}{'; '.join(summary_lines(history))}."
        for history in histories
    ]
    return Verdict("bad" if frozen else "good" if served else "neutral", headline, " ".join(of_each))


def _sections(history: History, name: str, *, is_only: bool, unfolded: bool) -> list[Section]:
    """Returns the sections of one pipeline."""
    prefix = "" if is_only else f"{history.pipeline}: "
    if not history.entries:
        return [Section(f"{prefix}Over time", [Note("Nothing happened in that time.")])]
    chart = Figures([Figure(history_chart(name, history), _CAPTION)], is_wide=True)
    return [
        Section(f"{prefix}Over time", [chart]),
        *([Section(f"{prefix}Why it trained", [_reasons(history)])] if history.reason_counts else []),
        Section(f"{prefix}Runs and events", _rows(history, unfolded=unfolded)),
    ]


def _reasons(history: History) -> Table:
    rows = [
        [counts.reason, f"{counts.runs:,}", f"{counts.pushed:,}", f"{counts.refused:,}"]
        for counts in history.reason_counts
    ]
    caption = (
        "A run that trained for two reasons counts for both. What is neither pushed nor refused failed or goes on."
    )
    return Table(["reason", "trained", "pushed", "refused"], rows, caption)


def _rows(history: History, *, unfolded: bool) -> list[Block]:
    names_data = len({run.dataset for run in history.runs if run.dataset}) > 1
    groups = folded(history.entries, unfolded=unfolded)
    rows = [_row(group, names_data=names_data) for group in reversed(groups)]
    caption = (
        "The latest first; times are in UTC. A change is that of the mean IoU against the model that was served then, "
        f"on the same images; {WITHIN_NOISE} marks one that may be chance."
    )
    words = ("what became of it", "data", "drift")
    return [Table(_COLUMNS, rows, caption, words=words)]


def _row(group: Sequence[Entry], *, names_data: bool) -> list[str | Cell]:
    first, last = group[0], group[-1]
    if not isinstance(first, RunEntry):
        what, came_to = event_text(first)
        return [_time_cell(first.at), Cell(f"{what}: {came_to}", event_reason(first)), "", "", "", "", ""]
    if len(group) > 1:
        until = f"until {last.at.astimezone(UTC):%Y-%m-%d}"
        idle = Cell(f"{len(group)} firings, {first.outcome}", ": ".join(filter(None, (until, first.reason))))
        return [_time_cell(first.started or first.at, first.name), idle, "", "", "", "", ""]
    elsewhere = "" if first.pipeline else " elsewhere"
    size = counted(sum(first.examples.values()), "example") if first.examples else ""
    return [
        _time_cell(first.started or first.at, f"{first.name}{elsewhere}"),
        Cell(outcome_text(first), reason_text(first), tone=_TONES.get(first.outcome, "neutral")),
        Cell(data_text(first, names_data=names_data), size, is_whole=True),
        *(_metric(first, metric) for metric in METRICS),
        change_text(first),
        _drift(first),
    ]


def _time_cell(time: datetime, name: str = "") -> Cell:
    return Cell(f"{time.astimezone(UTC):%Y-%m-%d %H:%M}", name, is_whole=True)


def _metric(run: RunEntry, metric: str) -> Cell:
    if metric not in run.metrics:
        return Cell("")
    return Cell(metric_value(run.metrics[metric]), metric_interval(run.metrics, metric))


def _drift(run: RunEntry) -> Cell:
    if not run.drifted:
        return Cell(f"{run.largest_drift[1]:.2f}" if run.largest_drift else "")
    shown = ", ".join(f"{name} {run.drift.get(name, 0.0):.2f}" for name in run.drifted[:_MOST_DRIFTED])
    more = len(run.drifted) - _MOST_DRIFTED
    return Cell(f"{shown}{f' and {more} more' if more > 0 else ''}", tone="bad")
