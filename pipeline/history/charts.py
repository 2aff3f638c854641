"""The chart of a history: panels one above the other that share the time."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipeline.history.entries import REFUSED, RunEntry, RunOutcome
from pipeline.history.tables import outcome_text, utc
from pipeline.history.timeline import History, ServedModel, is_idle
from pipeline.report.svg import FIRST, GRID, INK, MUTED, SECOND, STYLE, Chart
from pipeline.terminal.tables import metric_interval, metric_value, readable_metric

METRICS: Final = ("accuracy", "mean_iou")

_WIDTH: Final = 960
_PIXELS: Final = 62
"""Of a panel of height 1."""

_MOST_TITLED: Final = 400
"""With more runs that had something to do, the marks are too close to be pointed at, and say nothing."""

_MARGIN: Final = 0.02
_TICK: Final = "|"
"""The mark of runs that are many and say nothing."""

_DAY_SECONDS: Final = 86_400


class _Mark(NamedTuple):
    """How the runs of one kind are drawn."""

    label: str
    outcomes: Sequence[RunOutcome]
    marker: str
    color: str
    is_filled: bool


_MARKS: Final = (
    _Mark("pushed", (RunOutcome.PUSHED,), "o", FIRST, is_filled=True),
    _Mark("refused", REFUSED, "o", FIRST, is_filled=False),
    _Mark("not pushed", (RunOutcome.NOT_PUSHED, RunOutcome.ALREADY_SERVED), "s", MUTED, is_filled=False),
    _Mark("failed", (RunOutcome.FAILED, RunOutcome.INTERRUPTED), "x", SECOND, is_filled=True),
    _Mark("nothing to do", (RunOutcome.NOTHING_TO_DO,), _TICK, MUTED, is_filled=True),
)

_Draw = Callable[[Chart, Axes], None]


@mpl.rc_context(STYLE)
def history_chart(name: str, history: History) -> str:
    """Draws what happened over time; of a history that has entries.

    Args:
      name: Different for each chart of a page.
      history: Of one pipeline.
    """
    trained = [run for run in history.runs if not is_idle(run)]
    return _history_chart(name, history, is_titled=len(trained) <= _MOST_TITLED).svg(chart_text(history))


@mpl.rc_context(STYLE)
def save_history_chart(history: History, *files: Path) -> None:
    """Draws the same into picture files, of the kinds that their names end in."""
    _history_chart("history", history, is_titled=False).save(*files)


def chart_text(history: History) -> str:
    """Says what the chart shows, for those who cannot see it."""
    counts = history.counts
    became = ", ".join(f"{number} {outcome}" for outcome, number in counts.outcomes.items())
    period = f"{history.entries[0].at:%Y-%m-%d} to {history.entries[-1].at:%Y-%m-%d}"
    return (
        f"Accuracy and mean IoU of the trained and the served models of {history.pipeline} over time, {period}; "
        f"{counts.runs} runs: {became}; {counts.rollbacks} rollbacks, {len(history.freezes)} freezes. "
        "The table below has all numbers."
    )


def _history_chart(name: str, history: History, *, is_titled: bool) -> Chart:
    drawn = _Drawing(history, is_titled=is_titled)
    panels: list[tuple[float, _Draw]] = [
        *((3.0, drawn.metric(metric)) for metric in METRICS if drawn.has(metric)),
        (0.45 * max(len(drawn.lanes), 2), drawn.runs),
        *([(1.3, drawn.drift)] if any(run.drift for run in history.runs) else []),
        *([(1.3, drawn.age)] if any(one.pushed_first for one in history.served) else []),
    ]
    heights = [height for height, _ in panels]
    chart = Chart(_WIDTH, round(90 + _PIXELS * sum(heights)), name, heights)
    for axes, (_, draw) in zip(chart.panels, panels, strict=True):
        drawn.events(chart, axes)
        draw(chart, axes)
    _finish(chart, drawn)
    return chart


def _finish(chart: Chart, drawn: "_Drawing") -> None:
    last = chart.panels[-1]
    margin = _MARGIN * (drawn.end - drawn.start) or 1 / 24
    last.set_xlim(drawn.start - margin, drawn.end + margin)
    locator = dates.AutoDateLocator(tz=UTC, minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
    last.xaxis.set_major_locator(locator)
    last.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    last.set_xlabel("UTC")
    labelled = {
        label: handle for axes in chart.panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    chart.figure.legend(labelled.values(), labelled.keys(), loc="outside upper left", ncols=len(labelled) or 1)
    chart.figure.align_ylabels(chart.panels)


class _Drawing:
    """A history on its way to a chart."""

    def __init__(self, history: History, *, is_titled: bool) -> None:
        """Constructs it.

        Args:
          history: With entries.
          is_titled: Whether the marks of runs say what they are.
        """
        self._history = history
        self._is_titled = is_titled
        times = [entry.at for entry in history.entries]
        self.start, self.end = _day(times[0]), _day(times[-1])
        self._measured: dict[str, list[RunEntry]] = {}
        for run in history.runs:
            self._measured.setdefault(run.served_version, []).append(run)
        present = {run.outcome for run in history.runs}
        self.lanes = [mark for mark in _MARKS if present & {*mark.outcomes}]

    def has(self, metric: str) -> bool:
        return any(run.metrics.get(metric) is not None for run in self._history.runs)

    def metric(self, metric: str) -> _Draw:
        """Returns what draws a metric of the trained models, and of the served one beside it."""

        def draw(chart: Chart, axes: Axes) -> None:
            for model in self._history.served:
                self._served_line(chart, axes, metric, model)
            for mark in self.lanes:
                runs = [run for run in self._of(mark) if run.metrics.get(metric) is not None]
                _intervals(axes, runs, metric)
                self._points(chart, axes, mark, runs, [run.metrics[metric] or 0.0 for run in runs], metric)
            axes.set_ylabel(readable_metric(metric))

        return draw

    def runs(self, chart: Chart, axes: Axes) -> None:
        """Draws which end each run had, a row an end."""
        for row, mark in enumerate(self.lanes):
            runs = self._of(mark)
            if mark.marker == _TICK:
                _bars(axes, [(_day(run.at), row - 0.15, row + 0.15) for run in runs], color=mark.color, linewidth=1)
            else:
                self._points(chart, axes, mark, runs, [float(row)] * len(runs), None)
        axes.set_yticks(range(len(self.lanes)), [mark.label for mark in self.lanes])
        axes.set_ylim(len(self.lanes) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.grid(visible=False, axis="y")

    def drift(self, chart: Chart, axes: Axes) -> None:
        """Draws the largest distance of the data of each run."""
        for drifted, color, label in ((False, MUTED, "no drift"), (True, SECOND, "drift")):
            found = [(run, run.largest_drift) for run in self._history.runs if bool(run.drifted) is drifted]
            points = [(_day(run.at), distance[1], run, distance[0]) for run, distance in found if distance]
            _bars(axes, [(x, 0.0, y) for x, y, *_ in points], color=color, linewidth=1)
            titles = [
                f"{utc(run.at)}, {run.name}: {name} {y:.3f}{', beyond its bound' if drifted else ''}"
                for _, y, run, name in points
            ]
            places = [(x, y) for x, y, *_ in points]
            self._marks(chart, axes, places, titles, marker="D", color=color, markersize=4, label=label)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("drift")

    def age(self, chart: Chart, axes: Axes) -> None:
        """Draws how long ago the served model was pushed first."""
        for model in self._history.served:
            if model.pushed_first is not None:
                since, until = self._span(model)
                first = _day(model.pushed_first)
                [line] = axes.plot([since, until], [since - first, until - first], color=INK, linewidth=1.5)
                line.set_gid(chart.title_id(f"version {model.version}, pushed first {utc(model.pushed_first)}"))
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.set_ylabel("served\nmodel, days")

    def events(self, chart: Chart, axes: Axes) -> None:
        """Draws rollbacks and freezes, through all panels."""
        for freeze in self._history.freezes:
            since = max(_day(freeze.since), self.start)
            until = _day(freeze.until) if freeze.until else self.end
            span = axes.axvspan(since, until, color=GRID, alpha=0.6, linewidth=0, label="frozen")
            span.set_gid(chart.title_id(f"frozen since {utc(freeze.since)}: {freeze.reason}"))
        for rollback in self._history.rollbacks:
            line = axes.axvline(_day(rollback.at), color=SECOND, linewidth=1.2, linestyle=":", label="rollback")
            line.set_gid(chart.title_id(f"{utc(rollback.at)}: rollback of {rollback.version} to {rollback.restored}"))

    def _of(self, mark: _Mark) -> list[RunEntry]:
        return [run for run in self._history.runs if run.outcome in mark.outcomes]

    def _span(self, model: ServedModel) -> tuple[float, float]:
        until = _day(model.until) if model.until else self.end
        return max(_day(model.since), self.start), min(max(until, self.start), self.end)

    def _served_line(self, chart: Chart, axes: Axes, metric: str, model: ServedModel) -> None:
        """Draws a metric of a served model: as it was at its push, then as later runs measured it on their data."""
        since, until = self._span(model)
        value = model.metrics.get(metric)
        places = [] if value is None else [(since, value)]
        for run in self._measured.get(str(model.version), ()):
            measured = run.of_served(metric)
            if measured is not None:
                places.append((min(max(_day(run.at), since), until), measured))
        if not places:
            return
        xs, ys = zip(*[*places, (until, places[-1][1])], strict=True)
        [line] = axes.plot(xs, ys, drawstyle="steps-post", color=SECOND, linewidth=2, label="served")
        copy = f" ({model.copy_of} again)" if model.copy_of is not None else ""
        words = f"version {model.version}{copy}, served since {utc(model.since)}"
        line.set_gid(chart.title_id(f"{words}: {readable_metric(metric)} {metric_value(places[-1][1])}"))

    def _points(
        self,
        chart: Chart,
        axes: Axes,
        mark: _Mark,
        runs: Sequence[RunEntry],
        heights: Sequence[float],
        metric: str | None,
    ) -> None:
        """Draws runs as the marks of their kind, at these heights."""
        face = mark.color if mark.is_filled else "none"
        places = [(_day(run.at), height) for run, height in zip(runs, heights, strict=True)]
        titles = [_words(run, metric) for run in runs]
        label = mark.label if metric else None
        self._marks(
            chart, axes, places, titles, marker=mark.marker, color=mark.color, markerfacecolor=face, label=label
        )

    def _marks(
        self,
        chart: Chart,
        axes: Axes,
        places: Sequence[tuple[float, float]],
        titles: Sequence[str],
        *,
        label: str | None,
        color: str,
        marker: str,
        markersize: float = 5,
        markerfacecolor: str | None = None,
    ) -> None:
        """Draws marks of one kind, each with what it says, or all at once where they say nothing."""
        if not places:
            return
        shape: dict[str, Any] = {"marker": marker, "color": color, "markersize": markersize, "linestyle": "none"}
        shape["markerfacecolor"] = markerfacecolor or color
        if not self._is_titled:
            axes.plot(*zip(*places, strict=True), label=label, **shape)
            return
        for (x, y), title in zip(places, titles, strict=True):
            [point] = axes.plot([x], [y], label=label, **shape)
            point.set_gid(chart.title_id(title))


def _intervals(axes: Axes, runs: Sequence[RunEntry], metric: str) -> None:
    """Draws the 95 % intervals of a metric."""
    bounds = [(_day(run.at), run.metrics.get(f"{metric}_low"), run.metrics.get(f"{metric}_high")) for run in runs]
    known = [(x, low, high) for x, low, high in bounds if low is not None and high is not None]
    _bars(axes, known, color=FIRST, alpha=0.35, linewidth=1.5)


def _bars(axes: Axes, bars: Sequence[tuple[float, float, float]], **style: Any) -> None:
    """Draws upright bars, each at a place from a height to another; as one line with gaps, a tenth of the size."""
    points = [point for x, low, high in bars for point in ((x, low), (x, high), (x, math.nan))]
    if points:
        axes.plot(*zip(*points, strict=True), solid_capstyle="butt", **style)


def _words(run: RunEntry, metric: str | None) -> str:
    """Returns what a mark says: `2026-11-29 03:04 UTC, 20261129-…: mean IoU 0.8123 (0.8011 to 0.8235), pushed 17`."""
    words = f"{utc(run.at)}, {run.name}: "
    if metric is not None:
        interval = metric_interval(run.metrics, metric)
        words += (
            f"{readable_metric(metric)} {metric_value(run.metrics[metric])}{f' ({interval})' if interval else ''}, "
        )
    return f"{words}{outcome_text(run)}"


def _day(time: datetime) -> float:
    """Returns a time as matplotlib has it: in days since 1970."""
    return time.timestamp() / _DAY_SECONDS
