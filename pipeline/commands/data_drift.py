"""`petseg data drift`: a data set beside what a model was trained on."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click
from pydantic import ValidationError
from rich.text import Text

from components.drift_detector.report import DriftVerdict
from pipeline.commands.options import json_option
from pipeline.config.schema import Config
from pipeline.terminal.streams import captured_output, json_text
from pipeline.terminal.tables import PlainTable, console, progress_bar
from trainer_module.config import DataConfig
from trainer_module.drift_config import DriftThresholds

if TYPE_CHECKING:
    from pipeline.data.drift import DataDrift

_DEFAULTS: Final = DataConfig()
_DRIFTED: Final = 3
_MOST_SHOWN: Final = 10
_STYLES: Final = {DriftVerdict.DRIFTED: "bold red", DriftVerdict.CHANCE: "yellow", DriftVerdict.SAME: "green"}


def _thresholds(_ctx: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, float]:
    """Returns all thresholds, those that are given in the place of the defaults."""
    pairs = [text.partition("=") for text in given]
    try:
        thresholds = DriftThresholds.model_validate({name: distance for name, _, distance in pairs})
    except ValidationError as error:
        known = ", ".join(DriftThresholds.model_fields)
        raise click.BadParameter(
            f"got {', '.join(given)}; expected QUANTITY=DISTANCE, a distance from 0 to 1 for one of {known}"
        ) from error
    return thresholds.model_dump()


@click.command()
@click.argument("name")
@click.option(
    "--against", "model_dir", required=True, metavar="MODEL", help="A model version, or the directory of versions."
)
@click.option(
    "--data-dir", default=Config().data_dir, show_default=True, metavar="DIR", help="TFDS data directory that holds it."
)
@click.option("--split", default="train", show_default=True, metavar="S", help="TFDS slice, such as 'train[:10%]'.")
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    callback=_thresholds,
    metavar="QUANTITY=DISTANCE",
    help="Greatest distance that is no drift, instead of the default of data.drift.thresholds; repeatable.",
)
@click.option("--image-feature", default=_DEFAULTS.image_feature, show_default=True)
@click.option("--mask-feature", default=_DEFAULTS.mask_feature, show_default=True)
@click.option(
    "--builder-module",
    "builder_modules",
    multiple=True,
    default=_DEFAULTS.builder_modules,
    show_default=True,
    metavar="MODULE",
    help="Python module that registers further TFDS builders; repeatable.",
)
@json_option("Print the comparison as JSON.")
@click.pass_context
def drift(
    ctx: click.Context, /, model_dir: str, split: str, thresholds: dict[str, float], as_json: bool, **source: Any
) -> None:
    """Compare the prepared TFDS data set NAME with what a model was trained on.

    Exit codes: 0 no drift, 1 failure, 2 bad usage, 3 the data drifted.
    """
    with captured_output(Path(os.devnull)) as (stdout, stderr):
        found = _compare(model_dir, split, thresholds, source, stderr)
        if as_json:
            click.echo(json_text(found.as_json()), file=stdout)
        else:
            _print(found, stdout)
    ctx.exit(_DRIFTED if found.report.comparison.drifted else 0)


def _compare(
    model_dir: str, split: str, thresholds: dict[str, float], source_options: dict[str, Any], stderr: TextIO
) -> "DataDrift":
    from components.tfds_example_gen.source import TfdsSource
    from pipeline.data.drift import data_drift

    name = source_options.pop("name")
    source = TfdsSource(dataset=name, download=False, slice_features=(), **source_options)
    with progress_bar(stderr) as progress:
        task = progress.add_task("examining", total=None)
        return data_drift(
            model_dir, source, split, thresholds, lambda done, total: progress.update(task, completed=done, total=total)
        )


def _print(found: "DataDrift", stdout: TextIO) -> None:
    report = found.report
    comparison = report.comparison
    out = console(stdout)
    out.print(
        f"{found.name} {found.version}, {found.split}: {comparison.current_examples:,} examples beside the "
        f"{comparison.reference_examples:,} that {report.model} was trained on"
    )
    for line in found.unusable[:_MOST_SHOWN]:
        out.print(f"left out: {line}")
    if len(found.unusable) > _MOST_SHOWN:
        out.print(f"left out: {len(found.unusable) - _MOST_SHOWN:,} more (--json names all)")
    for what in comparison.not_compared:
        out.print(f"not compared: {what}")
    table = PlainTable("quantity", "verdict")
    for column in ("distance", "threshold", "by chance"):
        table.add_column(column, justify="right")
    table.add_column("mean, or share")
    for one in comparison.quantities:
        numbers = f"{one.distance:.3f}", f"{one.threshold:.3g}", f"{one.chance:.3f}"
        table.add_row(one.name, Text(one.verdict, _STYLES[one.verdict]), *numbers, one.change)
    out.print()
    out.print(table)
    out.print()
    out.print(report.summary)
