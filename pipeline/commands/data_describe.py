"""`petseg data describe`: what a data set holds, and a configuration for it; `petseg data show`: masks in pictures."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from pipeline.commands.options import config_options, json_option
from pipeline.config.loading import Resolution, resolve_layers
from pipeline.terminal.streams import captured_output, json_text, say
from pipeline.terminal.tables import PlainTable, console, progress_bar
from trainer_module.errors import ConfigError, PetsegError

if TYPE_CHECKING:
    from pipeline.data.description.opening import OpenedDataset
    from pipeline.data.description.survey import Survey
    from pipeline.report.blocks import Table


def _dataset_options(command: Any) -> Any:
    """Adds what names a data set and how to read it."""
    command = config_options(command)
    command = click.option(
        "--split", "splits", metavar="S", multiple=True, help="TFDS slice, such as test or 'train[:10%]'; repeatable."
    )(command)
    command = click.option("--data-dir", metavar="DIR", help="TFDS data directory; overrides data.data_dir.")(command)
    return click.argument("dataset", metavar="NAME")(command)


@click.command()
@_dataset_options
@json_option("Print JSON.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with charts and pictures.")
@click.option(
    "--write-config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a configuration that fits the data, with a reason beside each value.",
)
@click.option("--force", is_flag=True, help="Overwrite the files if they exist.")
def describe(
    dataset: str,
    data_dir: str | None,
    splits: tuple[str, ...],
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    html: Path | None,
    write_config: Path | None,
    force: bool,
) -> None:
    """Say what the TFDS data set NAME holds: sizes, classes, splits, and what is wrong with its images and masks.

    Where nobody says what its masks mean, every value in them is listed. Every image and mask is decoded once.
    """
    for file in filter(None, (html, write_config)):
        _check_target(file, force)
    resolution = _resolution(dataset, data_dir, preset, config_file, overrides)
    with captured_output(Path(os.devnull)) as (stdout, stderr):
        from pipeline.data.description.opening import open_to_look

        opened = open_to_look(resolution, splits)
        survey = _survey(opened, stderr)
        if as_json:
            from pipeline.data.description.tables import as_json as survey_json

            click.echo(json_text(survey_json(survey)), file=stdout)
        else:
            _print(survey, stdout)
        if html is not None:
            from pipeline.data.description.page import description_page

            _write(html, description_page(survey), stdout if not as_json else stderr)
        if write_config is not None:
            from pipeline.data.description.machine import this_machine
            from pipeline.data.description.proposal import proposed_config

            _write(write_config, proposed_config(survey, opened, this_machine()), stdout if not as_json else stderr)


def _resolution(
    dataset: str,
    data_dir: str | None,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
) -> Resolution:
    """Returns the settings under which a data set is read, whether or not anybody says what its classes are."""
    own = [f'data.dataset="{dataset}"', *([f'data.data_dir="{data_dir}"'] if data_dir else [])]
    return resolve_layers(preset=preset, file=config_file, overrides=[*overrides, *own])


def _survey(opened: "OpenedDataset", stderr: TextIO) -> "Survey":
    from pipeline.data.description.survey import survey

    with progress_bar(stderr) as progress:
        task = progress.add_task("looking", total=opened.examples)
        return survey(opened, lambda done: progress.update(task, completed=done))


def _print(survey: "Survey", stdout: TextIO) -> None:
    from pipeline.data.description.tables import (
        absent_classes,
        classes_table,
        findings_table,
        headline,
        labels_table,
        sizes_line,
        splits_table,
    )

    say(f"{survey.full_name} in {survey.data_dir}: {headline(survey)}", stdout)
    say(sizes_line(survey), stdout)
    for line in absent_classes(survey):
        say(line, stdout)
    out = console(stdout)
    for table in (splits_table(survey), classes_table(survey, {}), labels_table(survey), findings_table(survey)):
        if table is not None:
            out.print()
            out.print(_plain(table))
    if not survey.finding_counts:
        out.print("\nNothing is wrong with an image or mask.")


def _plain(table: "Table") -> PlainTable:
    """Returns a table of a page for the terminal."""
    plain = PlainTable()
    for heading, is_number in table.headings:
        plain.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in table.cells:
        plain.add_row(*(cell.line for cell, _ in row))
    return plain


def _check_target(file: Path, force: bool) -> None:
    """Refuses a file that exists, or cannot be made, before anything is looked at."""
    if file.exists() and not force:
        raise ConfigError(f"{str(file)!r} exists; name another file, or overwrite it with --force")
    if not file.parent.is_dir():
        raise ConfigError(f"{str(file)!r} cannot be written: there is no directory {str(file.parent)!r}")


def _write(file: Path, text: str, stream: TextIO) -> None:
    """Writes a whole file or nothing."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise PetsegError(f"cannot write {str(file)!r}: {error.strerror}; name another file") from error
    say(f"wrote {file}", stream)


@click.command()
@_dataset_options
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where to write; made if absent."
)
@click.option("--pages", type=click.IntRange(1), default=3, show_default=True, help="Of each split, at most.")
@click.option("--columns", type=click.IntRange(1, 20), default=5, show_default=True, help="Images beside each other.")
@click.option("--only", metavar="CLASS", help="Only images that have this class, by its name or mask value.")
def show(
    dataset: str,
    data_dir: str | None,
    splits: tuple[str, ...],
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    out: Path,
    pages: int,
    columns: int,
    only: str | None,
) -> None:
    """Draw pages of the images of NAME with their masks laid over them, four rows a page, as JPEG files.

    What is not labelled is striped; the class "background" is left as it is.
    """
    resolution = _resolution(dataset, data_dir, preset, config_file, overrides)
    with captured_output(Path(os.devnull)) as (stdout, _):
        from pipeline.data.description.opening import open_to_look
        from pipeline.data.description.sheets import PagesRequest, write_pages

        opened = open_to_look(resolution, splits)
        for file in write_pages(opened, PagesRequest(opened.splits, pages, columns, only), out):
            say(str(file), stdout)
