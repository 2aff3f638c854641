"""`petseg export`: forms of a model that are smaller or quicker, with what each costs."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Group
from rich.text import Text

from pipeline.commands.options import NOT_BLESSED, config_options, json_option, pipeline_root_option, resolve_config
from pipeline.export.request import ExportData, ExportRequest, Optimization
from pipeline.terminal.streams import captured_output, json_text, notify, say
from pipeline.terminal.tables import PlainTable, metric_value, numbers_table, print_table, progress_bar, readable_metric
from trainer_module.errors import PetsegError

if TYPE_CHECKING:
    from pipeline.export.exporting import ExportOutcome
    from pipeline.export.measurement import FormMeasured

_CALIBRATION_EXAMPLES: Final = 100
_ORIGINAL: Final = "original"
_METRICS: Final = ("accuracy", "mean_iou")


@click.command("export")
@click.option(
    "--optimize",
    "optimizations",
    multiple=True,
    required=True,
    type=click.Choice([one.value for one in Optimization]),
    help="frozen: a SavedModel for servers. float16, int8, int8_full: files for TensorFlow Lite. Repeatable.",
)
@click.option(
    "--output",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Gets frozen as a version, DIR/<number>, and the others as DIR/<form>; made if absent.",
)
@click.option(
    "--model",
    "model_dir",
    metavar="DIR",
    help="A model version, or the directory of versions; without it, the push destination of the configuration.",
)
@click.option(
    "--flip-averaging",
    is_flag=True,
    help="Have the forms average over an image and its mirror image, for twice the time; measured against the model.",
)
@click.option("--dataset", metavar="NAME", help="TFDS data set to measure on; overrides data.dataset.")
@click.option("--data-dir", metavar="DIR", help="TFDS data directory that holds it, prepared; overrides data.data_dir.")
@click.option("--split", metavar="S", help="TFDS slice to measure on; without it, that of evaluation.split.")
@click.option("--calibration-split", metavar="S", help="TFDS slice for int8_full; without it, data.splits.train.")
@click.option(
    "--calibration-examples",
    type=click.IntRange(min=1),
    default=_CALIBRATION_EXAMPLES,
    show_default=True,
    help="How many of its examples are drawn.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Draws them.")
@click.option(
    "--max-accuracy-loss",
    type=click.FloatRange(min=0, max=1),
    help="Write nothing, and exit with 3, when a form's accuracy is lower than the original's by more.",
)
@click.option("--force", "replace", is_flag=True, help="Replace earlier files for TensorFlow Lite in DIR.")
@json_option("Print what was measured and written as JSON.")
@config_options
@pipeline_root_option("Directory that runs leave everything in; overrides pipeline.root.")
@click.pass_context
def export(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """Make optimized forms of an exported model, and measure what each gains and costs.

    They are measured where data are named, by the configuration or the options of the data set, or where the model is
    that of the configuration. Exit codes: 0 written, 1 failure, 2 bad usage or configuration, 3 a form loses more than
    --max-accuracy-loss.
    """
    request = _request(**options)
    request.check()
    outcome = _export(request)
    if as_json:
        click.echo(json_text(outcome))
    else:
        print_table(_tables(outcome))
        for directory in outcome.written.values():
            say(f"wrote {directory}")
    for refusal in outcome.refusals:
        notify(f"nothing is written: {refusal}", "red")
    ctx.exit(NOT_BLESSED if outcome.refusals else 0)


def _request(
    optimizations: tuple[str, ...],
    model_dir: str | None,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
    dataset: str | None,
    data_dir: str | None,
    split: str | None,
    calibration_split: str | None,
    **options: Any,
) -> ExportRequest:
    """Returns what the options describe."""
    config = resolve_config(preset, config_file, overrides, pipeline_root, announce_default=model_dir is None)
    is_parted = config.data.hash_split is not None
    data = ExportData(
        dataset=dataset or config.data.dataset,
        data_dir=data_dir or config.data_dir,
        split=split or config.data.splits[config.evaluation.split],
        calibration_split=calibration_split or config.data.splits["train"],
        config=config,
        part=config.evaluation.split if is_parted and not split else "",
        calibration_part="train" if is_parted and not calibration_split else "",
    )
    named = any([dataset, data_dir, split, calibration_split, preset, config_file, overrides, model_dir is None])
    return ExportRequest(
        model=model_dir or config.serving_model_dir,
        optimizations=tuple(map(Optimization, dict.fromkeys(optimizations))),
        data=data if named else None,
        **options,
    )


def _export(request: ExportRequest) -> "ExportOutcome":
    with captured_output(Path(os.devnull)) as (_, stderr):
        from pipeline.export.exporting import export

        with progress_bar(stderr) as progress:
            task = progress.add_task("loading", total=None)

            def show(what: str, done: int, total: int | None) -> None:
                progress.update(task, description=what, completed=done, total=total)

            try:
                return export(request, show)
            except OSError as error:
                raise PetsegError(f"cannot write to {str(request.output)!r}: {error}") from error


def _tables(outcome: "ExportOutcome") -> Group:
    """Returns the sizes, and, where it was measured, cost and gain of each form beside the original."""
    sizes = {_ORIGINAL: outcome.original_bytes, **outcome.form_bytes}
    if outcome.measured is None or outcome.dataset is None:
        table = numbers_table("", "MB")
        for name, size in sizes.items():
            table.add_row(name, f"{size / 1e6:.1f}")
        return Group(table, Text("The cost in accuracy was not measured: no data were named.", "yellow"))
    measured, dataset = outcome.measured, outcome.dataset
    rows = {_ORIGINAL: measured.original, **measured.forms}
    split = f"{dataset['part']} of {dataset['split']}" if "part" in dataset else dataset["split"]
    heading = (
        f"{dataset['name']} {dataset['version']}, {split}: {measured.examples} examples, one at a time, "
        f"{measured.threads} processors"
    )
    return Group(Text(heading), Text(), _overall(rows, sizes), Text(), _by_class(rows))


def _overall(rows: Mapping[str, "FormMeasured"], sizes: Mapping[str, int]) -> PlainTable:
    table = numbers_table("", "MB", *_with_difference(_METRICS), "pixels changed", "p50 ms", "ratio", "CPU ms", "ratio")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{sizes[name] / 1e6:.1f}",
            *_values(row, _METRICS),
            "" if name == _ORIGINAL else f"{row.changed_pixels:.2%}",
            f"{row.latency_p50_ms:.1f}",
            f"{row.latency_ratio:.2f}",
            f"{row.cpu_ms:.1f}",
            f"{row.cpu_ratio:.2f}",
        )
    return table


def _by_class(rows: Mapping[str, "FormMeasured"]) -> PlainTable:
    names = [name for name in rows[_ORIGINAL].metrics if name not in _METRICS]
    table = numbers_table("", *_with_difference(names))
    for name, row in rows.items():
        table.add_row(name, *_values(row, names))
    return table


def _with_difference(names: "tuple[str, ...] | list[str]") -> Iterator[str]:
    for name in names:
        yield from (readable_metric(name), "change")


def _values(row: "FormMeasured", names: "tuple[str, ...] | list[str]") -> Iterator[str]:
    for name in names:
        difference = row.differences.get(name)
        yield metric_value(row.metrics.get(name))
        yield "" if difference is None else f"{difference:+.4f}"
