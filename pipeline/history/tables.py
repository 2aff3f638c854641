"""The history as a table: a line a run or event, firings that had nothing to do folded into one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.history.entries import REFUSED, Entry, FreezeEntry, RollbackEntry, RunEntry, RunOutcome, stamp
from pipeline.history.timeline import History, folded
from pipeline.terminal.tables import PlainTable, metric_value, readable_metric

COMPARED: Final = "mean_iou"
WITHIN_NOISE: Final = "~"

_METRICS: Final = ("accuracy", COMPARED)
_WIDE: Final = 140
"""From this many columns on there is room for reasons."""

_STYLES: Final = {
    RunOutcome.PUSHED: "green",
    RunOutcome.NOTHING_TO_DO: "dim",
    RunOutcome.FAILED: "bold red",
    RunOutcome.INTERRUPTED: "yellow",
    RunOutcome.RUNNING: "bold cyan",
    **dict.fromkeys(REFUSED, "yellow"),
}
_SHORT: Final = {RunOutcome.NOT_SERVABLE: "not servable"}


def history_report(history: History, *, width: int, unfolded: bool = False) -> RenderableType:
    """Returns the table under the name of the pipeline, and what it comes to.

    Args:
      history: Of one pipeline.
      width: Columns of the terminal.
      unfolded: Whether each firing that had nothing to do has its line.
    """
    table = history_table(history, with_reasons=width >= _WIDE, unfolded=unfolded)
    lines = [Text(line, overflow="fold") for line in summary_lines(history)]
    return Group(Text(_heading(history), "bold"), table, Text(), *lines)


def history_table(history: History, *, with_reasons: bool, unfolded: bool = False) -> PlainTable:
    """Returns a line a run or event, the latest last, in 100 columns; reasons need more."""
    table = PlainTable(space=1)
    table.add_column("run, or UTC", no_wrap=True, min_width=22)
    table.add_column("why", no_wrap=True, overflow="ellipsis", min_width=8)
    table.add_column("data", no_wrap=True, overflow="ellipsis", min_width=5)
    for metric in _METRICS:
        table.add_column(readable_metric(metric), no_wrap=True, min_width=8)
    table.add_column("change", no_wrap=True, min_width=8)
    table.add_column("what became of it", no_wrap=True, overflow="ellipsis", min_width=17)
    table.add_column("drift", no_wrap=True, overflow="ellipsis", min_width=5)
    if with_reasons:
        table.add_column("reason", no_wrap=True, overflow="ellipsis")
    names_data = len({run.dataset for run in history.runs if run.dataset}) > 1
    for group in folded(history.entries, unfolded=unfolded):
        cells = _cells(group, names_data=names_data)
        table.add_row(*(cells if with_reasons else cells[:-1]))
    return table


def summary_lines(history: History) -> list[str]:
    """Returns what the history comes to: counts, what is served, and what keeps models from being pushed."""
    counts = history.counts
    became = [f"{number:,} {outcome}" for outcome, number in counts.outcomes.items()]
    rolled_back = counted(counts.rollbacks, "rollback")
    lines = [f"{counted(counts.runs, 'run')}: {', '.join(became)}" if counts.runs else "no runs"]
    if counts.rollbacks:
        lines[0] += f"; {rolled_back}"
    if history.served_now is None:
        lines.append("nothing is served")
    else:
        lines.append(served_line(history))
    if history.freeze is not None:
        by = f" by {history.freeze.by}" if history.freeze.by else ""
        lines.append(f"pushes are frozen since {utc(history.freeze.since)}{by}: {history.freeze.reason}")
    return lines


def served_line(history: History) -> str:
    """Returns which version is served since when: `served: version 17 since 2026-11-29 03:04 UTC, mean IoU 0.8123`."""
    served = history.served_now
    if served is None:
        return "nothing is served"
    copy = f" (version {served.copy_of} again)" if served.copy_of is not None else ""
    numbers = [
        f"{readable_metric(name)} {metric_value(served.metrics[name])}" for name in _METRICS if name in served.metrics
    ]
    return ", ".join([f"served: version {served.version}{copy} since {utc(served.since)}", *numbers])


def data_text(run: RunEntry, *, names_data: bool) -> str:
    """Returns the version of the data, with the name of the data set where that is not always the same."""
    return run.data if names_data else run.dataset_version


def change_text(run: RunEntry) -> str:
    """Returns how far the model is above the served one; with a mark where that may be chance."""
    change = run.change(COMPARED)
    if change is None:
        return ""
    return f"{change:+.4f}{WITHIN_NOISE if run.is_within_noise(COMPARED) else ''}"


def outcome_text(run: RunEntry) -> str:
    """Returns what became of a run, with the version that it pushed."""
    short = _SHORT.get(run.outcome, str(run.outcome))
    if run.version is None:
        return short
    forced = " by force" if run.forced_because else ""
    return f"{f'{short}, ' if run.outcome is not RunOutcome.PUSHED else ''}pushed{forced} {run.version}"


def reason_text(run: RunEntry) -> str:
    """Returns why a run trained, and why its model was pushed by force or not at all."""
    decided = [reason.text for reason in run.decision.reasons] if run.decision else []
    return "; ".join(filter(None, [*decided, run.forced_because, run.reason]))


def event_text(entry: RollbackEntry | FreezeEntry) -> tuple[str, str]:
    """Returns what happened in a word, and what it came to."""
    if isinstance(entry, FreezeEntry):
        return entry.kind, "nothing is pushed" if entry.kind == "freeze" else "pushed again"
    return "rollback", f"to {entry.restored}"


def event_reason(entry: RollbackEntry | FreezeEntry) -> str:
    """Returns the rest of what is known of an event."""
    if isinstance(entry, FreezeEntry):
        return ", ".join(filter(None, (entry.reason, f"by {entry.by}" if entry.by else "")))
    withdrawn = f"version {entry.version} is withdrawn" if entry.version is not None else ""
    served = f"{entry.restored} is served as {entry.copy_version}" if entry.copy_version is not None else ""
    return ", ".join(filter(None, (withdrawn, served)))


def counted(number: int, noun: str) -> str:
    """Writes a number of things.

    >>> counted(1, "run"), counted(1200, "run")
    ('1 run', '1,200 runs')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def utc(time: datetime) -> str:
    """Writes a time for people."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _heading(history: History) -> str:
    datasets = list(dict.fromkeys(run.dataset for run in history.runs if run.dataset))
    return ", ".join(filter(None, (history.pipeline, datasets[0] if len(datasets) == 1 else "")))


def _cells(group: Sequence[Entry], *, names_data: bool) -> list[str | Text]:
    """Returns the cells of a line."""
    first, last = group[0], group[-1]
    if not isinstance(first, RunEntry):
        what, came_to = event_text(first)
        return [stamp(first.at.astimezone(UTC)), Text(what, "bold"), "", "", "", "", came_to, "", event_reason(first)]
    if len(group) > 1:
        idle = Text(f"nothing until {last.at.astimezone(UTC):%Y-%m-%d}", _STYLES[RunOutcome.NOTHING_TO_DO])
        return [first.name, f"{len(group)} firings", "", "", "", "", idle, "", first.reason]
    metrics = [metric_value(first.metrics[name]) if name in first.metrics else "" for name in _METRICS]
    return [
        first.name,
        ", ".join(first.reasons),
        data_text(first, names_data=names_data),
        *metrics,
        change_text(first),
        Text(outcome_text(first), _STYLES.get(first.outcome, "")),
        _drift_cell(first),
        reason_text(first),
    ]


def _drift_cell(run: RunEntry) -> Text:
    found = run.largest_drift
    if found is None:
        return Text()
    name, distance = found
    return Text(f"{distance:.2f} {name}", "bold red") if run.drifted else Text(f"{distance:.2f}")
