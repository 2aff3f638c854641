"""`petseg evaluate`: the gate's metrics for any exported model on any data."""

import os
from pathlib import Path
from typing import Any, TextIO

import click

from pipeline.json_text import json_text
from pipeline.metric_tables import metric_tables, metric_value, readable_metric
from pipeline.output_capture import captured_output
from pipeline.tables import console, numbers_table, progress_bar
from trainer_module.config import DataConfig

_DEFAULTS = DataConfig()


@click.command()
@click.option(
    "--model", "model_dir", required=True, metavar="DIR", help="A model version, or the directory of versions."
)
@click.option("--dataset", required=True, metavar="NAME", help="TFDS data set, such as oxford_iiit_pet:4.*.*")
@click.option("--data-dir", required=True, metavar="DIR", help="TFDS data directory that holds it, prepared.")
@click.option("--split", required=True, metavar="S", help="TFDS slice, such as test or 'train[:10%]'.")
@click.option("--slice", "slices", multiple=True, metavar="FEATURE", help="Report by this feature, too; repeatable.")
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(model_dir: str, split: str, slices: tuple[str, ...], as_json: bool, **source_options: Any) -> None:
    """Evaluate an exported model on a split of a TFDS data set.

    The metrics are those of the pipeline's Evaluator, from the same signature and the same formulas.
    """
    with captured_output(Path(os.devnull)) as (stdout, stderr):
        result = _evaluate(model_dir, split, slices, source_options, stderr)
        if as_json:
            click.echo(json_text(result), file=stdout)
        else:
            _print_tables(result, stdout)


def _evaluate(
    model_dir: str, split: str, slices: tuple[str, ...], source_options: dict[str, Any], stderr: TextIO
) -> dict[str, Any]:
    from components.tfds_example_gen.source import TfdsSource
    from pipeline.dataset_evaluation import evaluate_model
    from pipeline.served_model import ServedModel

    model = ServedModel.load(model_dir)
    source = TfdsSource(download=False, slice_features=slices, mask_values=model.card.mask_values, **source_options)
    with progress_bar(stderr) as progress:
        task = progress.add_task("evaluating", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        measured = evaluate_model(model, source, split, show)
    return {"model": str(model.directory), "class_names": list(model.card.class_names), **measured}


def _print_tables(result: dict[str, Any], stdout: TextIO) -> None:
    dataset = result["dataset"]
    out = console(stdout)
    out.print(f"{dataset['name']} {dataset['version']}, {dataset['split']}: {dataset['examples']} examples")
    for table in metric_tables(result["metrics"], result["class_names"]):
        out.print()
        out.print(table)
    if result["slices"]:
        columns = ("accuracy", "mean_iou")
        by_slice = numbers_table("slice", "examples", *map(readable_metric, columns))
        for row in result["slices"]:
            label = ", ".join(f"{feature} = {value}" for feature, value in row["slice"].items())
            by_slice.add_row(label, str(row["examples"]), *(metric_value(row["metrics"][name]) for name in columns))
        out.print()
        out.print(by_slice)
