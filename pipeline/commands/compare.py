"""`petseg compare`: two runs side by side."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Group
from rich.text import Text

from pipeline.commands.options import json_option, pipeline_root_option
from pipeline.config import DEFAULT_PIPELINE_ROOT
from pipeline.json_text import json_text
from pipeline.output_capture import captured_output
from pipeline.output_streams import say
from pipeline.run_store import RunStore
from pipeline.tables import PlainTable, numbers_table, print_table

if TYPE_CHECKING:
    from pipeline.report.blocks import Note
    from pipeline.report.blocks import Table as TableBlock
    from pipeline.report.comparison import Comparison

_MOST_IMAGES: Final = 8


@click.command("compare")
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@pipeline_root_option(f"Directory that the runs are under; {DEFAULT_PIPELINE_ROOT} when not given.")
@json_option("Print the comparison as JSON.")
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write it as a page, with curves and the images that changed most.",
)
def compare(first: str, second: str, pipeline_root: str | None, as_json: bool, page: Path | None) -> None:
    """Compare two runs: the settings that differ, the metrics, and the images that changed most.

    Every difference is the second RUN minus the first. RUN is the id of a run, or: latest. A difference is called
    within noise when its 95 % interval includes 0.
    """
    store = RunStore(pipeline_root or DEFAULT_PIPELINE_ROOT)
    records = store.record(first), store.record(second)
    directories = store.runs_dir / records[0].run_id, store.runs_dir / records[1].run_id
    with captured_output(Path(os.devnull)):
        from pipeline.report.comparison import compare_runs
        from pipeline.report.comparison_writing import ensure_scores, write_comparison

        for record, directory in zip(records, directories, strict=True):
            ensure_scores(record, directory)
        comparison = compare_runs(*records, directories)
        if page is not None:
            write_comparison(comparison, page)
    if as_json:
        click.echo(json_text(comparison.as_json(_MOST_IMAGES)))
    else:
        _print(comparison)
    if page is not None:
        say(f"page: {page}", sys.stderr if as_json else sys.stdout)


def _print(comparison: "Comparison") -> None:
    from pipeline.report.comparison_page import (
        headline,
        metrics_block,
        settings_block,
        signed,
        unpaired_note,
    )

    parts = [Text(headline(comparison))]
    if not comparison.same_data:
        parts.append(Text("They evaluated different data.", "yellow"))
    if note := unpaired_note(comparison):
        parts.append(Text(note, "yellow"))
    images = numbers_table("images that changed most", "first", "second", "difference")
    for image in comparison.images[:_MOST_IMAGES]:
        images.add_row(image.name, f"{image.first:.3f}", f"{image.second:.3f}", signed(image.difference))
    tables = [_for_terminal(settings_block(comparison)), _for_terminal(metrics_block(comparison))]
    print_table(Group(*parts, *(part for table in (*tables, images) for part in (Text(), table))))


def _for_terminal(block: "Note | TableBlock") -> PlainTable | Text:
    from pipeline.report.blocks import Note

    if isinstance(block, Note):
        return Text(block.text)
    table = PlainTable()
    for heading, is_number in block.headings:
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in block.cells:
        table.add_row(*(cell.line for cell, _ in row))
    return table
