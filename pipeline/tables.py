"""Tables and lines for a terminal, by rich; what is shown is data, and never rich's markup.

Everything that is drawn goes through `console`, `PlainTable` and `progress_bar` here.
"""

from collections.abc import Iterable
from typing import Any, Final, NoReturn, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from pipeline.output_streams import printable

_WIDTH_OF_FILES: Final = 240


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

    def __init__(self, *, space: int = 2, **kwargs: Any) -> None:
        """Constructs the table.

        Args:
          space: Between the columns.
          **kwargs: Of `rich.table.Table`.
        """
        super().__init__(box=None, pad_edge=False, padding=(0, space, 0, 0), header_style="dim", **kwargs)

    def add_column(self, header: RenderableType = "", *args: Any, **kwargs: Any) -> None:
        super().add_column(_as_data(header), *args, **kwargs)

    def add_row(self, *cells: RenderableType | None, **kwargs: Any) -> None:
        super().add_row(*(None if cell is None else _as_data(cell) for cell in cells), **kwargs)


def numbers_table(first: str, *others: str) -> PlainTable:
    """Returns a table whose first column names what the numbers in the other ones are of."""
    table = PlainTable()
    table.add_column(first)
    for other in others:
        table.add_column(other, justify="right")
    return table


def progress_bar(stream: TextIO) -> Progress:
    """Returns a bar that is gone when it is done."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console(stream), transient=True)


def _as_data(cell: RenderableType) -> RenderableType:
    """Returns a cell whose width is that of what is shown."""
    if isinstance(cell, str):
        return Text(printable(cell))
    if isinstance(cell, Text) and printable(cell.plain) != cell.plain:
        return Text(printable(cell.plain), cell.style)
    return cell
