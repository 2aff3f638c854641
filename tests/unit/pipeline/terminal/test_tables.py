"""What is drawn on a terminal is data: as it is, never markup, and without control characters."""

import ast
import io
from pathlib import Path

import pytest
from rich.console import Group
from rich.text import Text

from pipeline.terminal.tables import PlainTable, console, numbers_table, progress_bar

ROOT = Path(__file__).parents[4]
TABLES = ROOT / "pipeline" / "terminal" / "tables.py"
OURS = {"console": {"Console"}, "table": {"Table"}, "progress": {"Progress"}, "": {"print", "markup"}}
"""By module of rich: what reads strings as markup unless it is told not to."""

NAME = "[final] [bold]x[/] :smile: \x1b[31m"
SHOWN = "[final] [bold]x[/] :smile: \\x1b[31m"


def drawn(renderable, **options) -> str:
    stream = io.StringIO()
    console(stream).print(renderable, **options)
    return stream.getvalue()


def rows(table: PlainTable, *cells) -> PlainTable:
    table.add_row(*cells)
    return table


@pytest.mark.parametrize(
    "renderable",
    [
        NAME,
        Text(NAME),
        Group(NAME, Text(NAME)),
        rows(PlainTable(space=1), NAME, Text(NAME)),
        rows(numbers_table(NAME, NAME), NAME, NAME),
        rows(PlainTable(show_header=False), Group(NAME)),
    ],
)
def test_data_are_shown_as_they_are(renderable):
    shown = drawn(renderable)
    assert SHOWN in shown
    assert "\x1b" not in shown.replace(SHOWN, "")


def test_a_name_makes_no_line_of_its_own():
    assert drawn(rows(numbers_table("file"), "a\nb")).splitlines()[1].rstrip() == "a\\nb"


def test_a_description_of_progress_is_data():
    stream = io.StringIO()
    with progress_bar(stream) as progress:
        progress.add_task("making [final] \x1b[31m", total=1)
        assert "making [final] \\x1b" in drawn(progress.get_renderable())


def test_lines_in_a_file_are_not_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert "x" * 200 in drawn(rows(PlainTable(), "x" * 200))


def test_a_reader_that_left_is_an_error_and_ends_no_process():
    class Left(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        console(Left()).print("x")


@pytest.mark.parametrize("package", ["components", "pipeline", "trainer_module"])
def test_nothing_else_draws_with_rich(package):
    """Whoever draws by rich itself prints data as markup, sooner or later."""
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: set[str] = set()
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rich":
                module = (node.module or "").partition(".")[2]
                names = {alias.name for alias in node.names} & OURS.get(module, set())
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names if alias.name.split(".")[0] == "rich"}
            elif isinstance(node, ast.Attribute) and node.attr in ("from_markup", "render_markup"):
                names = {node.attr}
            elif isinstance(node, ast.keyword) and node.arg == "markup" and getattr(node.value, "value", True):
                names = {"markup=True"}
            assert not names or file == TABLES, f"{file}:{node.lineno}: {names}; use pipeline.terminal.tables"
