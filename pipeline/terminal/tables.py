"""What is drawn on a terminal: tables, lines, a bar of progress, and how metrics are written.

Everything that is drawn by rich goes through `console`, `PlainTable` and `progress_bar` here, so that what is shown is
data, and never rich's markup.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from pipeline.terminal.streams import printable
from trainer_module.segmentation_metrics import CLASS_METRICS, DATA_METRICS, LABELLED_SHARE, UNLABELLED_IMAGES

Metrics = Mapping[str, float | None]
"""Metric name to value; None where a metric is undefined."""

_WIDTH_OF_FILES: Final = 240
_HEADLINE: Final = ("accuracy", "mean_iou", "loss")
_HEADLINE_OF_CLASSES: Final = "iou_"
_LOW, _HIGH = "_low", "_high"
_WRITTEN: Final = {"iou": "IoU", "ece": "ECE"}


class _DataConsole(Console):
    """A console that shows a text as it is, but for control characters, which are written as escapes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text, keep_lines=True), segment.style)

    def render_str(self, text: str, **kwargs: Any) -> Text:
        return super().render_str(printable(text, keep_lines=True), **kwargs)

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError  # rich would end the process


def console(stream: TextIO | None = None) -> Console:
    """Returns what draws on a stream: to the width of a terminal; to a file or pipe, without cutting lines.

    Args:
      stream: None: standard output.
    """
    made = _DataConsole(file=stream, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _WIDTH_OF_FILES
    return made


def print_table(renderable: RenderableType) -> None:
    """Prints on standard output."""
    console().print(renderable)


class PlainTable(Table):
    """A table without frame, whose cells are data: a string is shown as it is, on one line."""

    def __init__(self, *headers: str, space: int = 2, **kwargs: Any) -> None:
        """Constructs the table.

        Args:
          *headers: Of columns of text; others are added by `add_column`.
          space: Between the columns.
          **kwargs: Of `rich.table.Table`.
        """
        super().__init__(*headers, box=None, pad_edge=False, padding=(0, space, 0, 0), header_style="dim", **kwargs)

    def add_column(self, header: RenderableType = "", *args: Any, **kwargs: Any) -> None:
        super().add_column(_as_data(header), *args, **kwargs)

    def add_row(self, *cells: RenderableType | None, **kwargs: Any) -> None:
        super().add_row(*(None if cell is None else _as_data(cell) for cell in cells), **kwargs)


def numbers_table(first: str, *others: str) -> PlainTable:
    """Returns a table whose first column names what the numbers in the other ones are of."""
    table = PlainTable(first)
    for other in others:
        table.add_column(other, justify="right")
    return table


def progress_bar(stream: TextIO) -> Progress:
    """Returns a bar that is gone when it is done; nothing of it is written where no terminal shows it."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn(), MofNCompleteColumn())
    drawn = console(stream)
    return Progress(*columns, console=drawn, transient=True, disable=not drawn.is_terminal)


def headline(metrics: Metrics) -> str:
    """Returns the numbers that one line has room for: accuracy, mean IoU, loss, IoU of each class, labelled share."""
    names = [name for name in metrics if name in _HEADLINE or name.startswith(_HEADLINE_OF_CLASSES)]
    if is_partly_labelled(metrics):
        names.append(LABELLED_SHARE)
    return ", ".join(f"{readable_metric(name)} {metric_value(metrics[name])}" for name in names)


def is_partly_labelled(metrics: Metrics) -> bool:
    """Returns whether there are pixels that the metrics are not of."""
    share = metrics.get(LABELLED_SHARE)
    return share is not None and share < 1


def metric_tables(metrics: Metrics, class_names: Sequence[str]) -> list[PlainTable]:
    """Returns all metrics: those of the whole with their intervals, then one row a class."""
    overall = numbers_table("metric", "value", "95 % interval")
    for name in overall_metrics(metrics, class_names):
        overall.add_row(readable_metric(name), metric_value(metrics[name], name), metric_interval(metrics, name))
    kinds = class_metrics(metrics, class_names)
    by_class = numbers_table("class", *map(readable_metric, kinds))
    for name in class_names:
        by_class.add_row(name, *(metric_value(metrics.get(f"{kind}_{name}")) for kind in kinds))
    return [overall, by_class] if kinds else [overall]


def overall_metrics(metrics: Metrics, class_names: Sequence[str]) -> list[str]:
    """Returns the metrics over all classes, without the ends of their intervals.

    How much is labelled is left out where all is.
    """
    of_classes = {f"{metric}_{name}" for metric in CLASS_METRICS for name in class_names}
    ends = {f"{name}{end}" for name in metrics for end in (_LOW, _HIGH)}
    needless = () if is_partly_labelled(metrics) else DATA_METRICS
    return [name for name in metrics if name not in {*of_classes, *ends, *needless}]


def class_metrics(metrics: Metrics, class_names: Sequence[str]) -> list[str]:
    """Returns what is known of single classes: `iou`, where `iou_pet` is a metric."""
    return [kind for kind in CLASS_METRICS if any(f"{kind}_{name}" in metrics for name in class_names)]


def readable_metric(name: str) -> str:
    """Writes a metric's name for people.

    >>> readable_metric("mean_iou")
    'mean IoU'
    """
    return " ".join(_WRITTEN.get(word, word) for word in name.replace("_", " ").split(" "))


def metric_value(value: float | None, name: str = "") -> str:
    """Writes a metric's value for people; by its name, a number of images is told from the others.

    Example:
      >>> metric_value(0.87654)
      '0.8765'
    """
    if value is None:
        return "undefined"
    return f"{value:,.0f}" if name == UNLABELLED_IMAGES else f"{value:.4f}"


def labelled_area(share: float | None) -> str:
    """Writes how much of an area is labelled, so that only all of it is 100 %; empty where that is not known.

    Example:
      >>> labelled_area(0.99999)
      '99.9%'
    """
    return "" if share is None else f"{min(share, 0.999) if share < 1 else share:.1%}"


def size_words(size_bytes: int) -> str:
    """Writes a number of bytes in a unit that has few digits before the point.

    >>> size_words(27_800_000), size_words(500)
    ('27.8 MB', '0.5 kB')
    """
    unit, factor = next((each for each in (("GB", 10**9), ("MB", 10**6)) if size_bytes >= each[1]), ("kB", 10**3))
    return f"{size_bytes / factor:,.1f} {unit}"


def metric_interval(metrics: Metrics, name: str) -> str:
    """Writes the 95 % interval of a metric; empty where there is none."""
    low, high = metrics.get(name + _LOW), metrics.get(name + _HIGH)
    return "" if low is None or high is None else f"{metric_value(low)} to {metric_value(high)}"


def _as_data(cell: RenderableType) -> RenderableType:
    """Returns a cell whose width is that of what is shown."""
    if isinstance(cell, str):
        return Text(printable(cell))
    if isinstance(cell, Text) and printable(cell.plain) != cell.plain:
        return Text(printable(cell.plain), cell.style)
    return cell
