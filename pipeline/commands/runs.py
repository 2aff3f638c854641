"""The commands that look at runs: `petseg runs`, `petseg compare`, `petseg report` and `petseg pictures`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Group, RenderableType
from rich.text import Text

from components.run_report.report import REPORT_FILE
from pipeline.commands.options import json_option, pipeline_root_option
from pipeline.config.schema import DEFAULT_PIPELINE_ROOT
from pipeline.runs.store import LATEST, RunStore
from pipeline.runs.tables import gone, run_details, runs_table
from pipeline.terminal.streams import captured_output, json_text, notify, say
from pipeline.terminal.tables import PlainTable, numbers_table, print_table
from trainer_module.errors import PetsegError

if TYPE_CHECKING:
    from pipeline.report.blocks import Table
    from pipeline.report.comparison import Comparison

_MOST_IMAGES: Final = 8


@click.command("runs")
@click.argument("action", type=click.Choice(["list", "show"]), default="list", required=False)
@click.argument("run", required=False)
@pipeline_root_option(f"Directory that the runs are under; {DEFAULT_PIPELINE_ROOT} when not given.")
@json_option("Print the records as JSON.")
def runs(action: str, run: str | None, pipeline_root: str | None, as_json: bool) -> None:
    """List the runs so far, the latest first (list), or show one (show RUN).

    RUN is the id of a run, or: latest.
    """
    if action == "list" and run is not None:
        raise click.UsageError(f"list takes no run; did you mean: petseg runs show {run}")
    store = RunStore(pipeline_root or DEFAULT_PIPELINE_ROOT)
    if action == "show":
        record = store.record(run or LATEST)
        if as_json:
            click.echo(json_text(record))
        else:
            print_table(run_details(record))
        return
    records = []
    for run_id in store.run_ids():
        try:
            records.append(store.record(run_id))
        except PetsegError as error:
            notify(f"warning: {error}")
    if as_json:
        click.echo(json_text([record.model_dump(mode="json") for record in records]))
    elif records:
        print_table(runs_table(records))
    else:
        click.echo(f"no runs under {str(store.root)!r}; `petseg run` starts one")


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
        from pipeline.report.image_scores import ensure_scores

        for record, directory in zip(records, directories, strict=True):
            ensure_scores(record, directory)
        comparison = compare_runs(*records, directories)
        if page is not None:
            from pipeline.report.comparison_page import write_comparison

            write_comparison(comparison, page)
    if as_json:
        click.echo(json_text(comparison.as_json(_MOST_IMAGES)))
    else:
        _print(comparison)
    if page is not None:
        say(f"page: {page}", sys.stderr if as_json else sys.stdout)


def _print(comparison: "Comparison") -> None:
    from pipeline.report.blocks import Note
    from pipeline.report.comparison import headline, metrics_block, settings_block, signed, unpaired_note

    parts: list[RenderableType] = [Text(headline(comparison))]
    if not comparison.same_data:
        parts.append(Text("They evaluated different data.", "yellow"))
    if note := unpaired_note(comparison):
        parts.append(Text(note, "yellow"))
    images = numbers_table("images that changed most", "first", "second", "difference")
    for image in comparison.images[:_MOST_IMAGES]:
        images.add_row(image.name, f"{image.first:.3f}", f"{image.second:.3f}", signed(image.difference))
    for block in (settings_block(comparison), metrics_block(comparison)):
        parts += [Text(), Text(block.text) if isinstance(block, Note) else _plain(block)]
    print_table(Group(*parts, Text(), images))


def _plain(block: "Table") -> PlainTable:
    """Returns a table of the page for the terminal."""
    table = PlainTable()
    for heading, is_number in block.headings:
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in block.cells:
        table.add_row(*(cell.line for cell, _ in row))
    return table


@click.command("report")
@click.argument("run", default=LATEST, required=False)
@pipeline_root_option(f"Directory that the runs are under; {DEFAULT_PIPELINE_ROOT} when not given.")
@click.option("--open", "open_page", is_flag=True, help="Show it in the browser.")
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The HTML file; report.html in the run's directory when not given.",
)
def report(run: str, pipeline_root: str | None, open_page: bool, output: Path | None) -> None:
    """Write the report of a run: one HTML file that needs no network, and the model card beside it.

    RUN is the id of a run; the one that started last when not given. `petseg run` writes the report of its own run; of
    a run whose artifacts `petseg clean` removed, there is that one alone.
    """
    store = RunStore(pipeline_root or DEFAULT_PIPELINE_ROOT)
    record = store.record(run)
    directory = store.runs_dir / record.run_id
    if record.cleaned is not None:
        page = directory / REPORT_FILE
        if output is not None or not page.is_file():
            raise PetsegError(gone(record))
        notify(f"{gone(record)}; this is the report that it ended with")
        say(str(page))
    else:
        with captured_output(Path(os.devnull)) as (stdout, _):
            from pipeline.report.page import write_report

            written = write_report(record, directory, output)
            page = written.page
            for file in (page, written.model_card, written.suspects):
                if file is not None:
                    say(str(file), stdout)
    if open_page:
        click.launch(str(page.resolve()))


@click.command("pictures")
@click.argument("run", default=LATEST, required=False)
@pipeline_root_option(f"Directory that the runs are under; {DEFAULT_PIPELINE_ROOT} when not given.")
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the files go; pictures in the run's directory when not given.",
)
def pictures(run: str, pipeline_root: str | None, output: Path | None) -> None:
    """Draw the learning curves and sample predictions of a run as picture files.

    Curves are drawn as SVG and PNG; predictions as two sheets, PNG: a random sample with the worst images, and the same
    images before, during and after training. What a run does not have is named and left out.

    RUN is the id of a run; the one that started last when not given.
    """
    store = RunStore(pipeline_root or DEFAULT_PIPELINE_ROOT)
    record = store.record(run)
    if record.cleaned is not None:
        raise PetsegError(gone(record))
    directory = store.runs_dir / record.run_id
    with captured_output(Path(os.devnull)) as (stdout, stderr):
        from pipeline.report.pictures import write_pictures

        written = write_pictures(record, directory, output or directory / "pictures")
        for file in written.files:
            say(str(file), stdout)
        for reason in written.missing:
            say(f"left out: {reason}", stderr)
