"""Asking an exported model: `petseg evaluate`, the gate's metrics on any data, and `petseg predict`, masks of files."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click
from pydantic import ValidationError

from pipeline.terminal.streams import captured_output, json_text, say
from pipeline.terminal.tables import (
    console,
    is_partly_labelled,
    metric_tables,
    metric_value,
    numbers_table,
    progress_bar,
    readable_metric,
)
from trainer_module.config import DataConfig
from trainer_module.errors import ConfigError, DataError
from trainer_module.hash_split_config import HashSplitConfig
from trainer_module.segmentation_metrics import LABELLED_SHARE

_DEFAULTS = DataConfig()


def _shares(_ctx: click.Context, _param: click.Parameter, text: str | None) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in text.split(",")] if text else []
    return {name.strip(): count.strip() for name, _, count in pairs}


def _hash_split(split: str, of: str | None, shares: dict[str, str], by: str | None) -> dict[str, Any] | None:
    """Returns what the options say of a split that a hash makes; None where they say nothing.

    Raises:
      ConfigError: They cannot be used.
    """
    if of is None:
        if shares or by:
            raise ConfigError("--shares and --by say how --of is parted, and there is no --of")
        return None
    try:
        parted = HashSplitConfig.model_validate(
            {"of": of, **({"shares": shares} if shares else {}), **({"by": by} if by else {})}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"--{'.'.join(map(str, first['loc']))} is {first['input']!r}: {first['msg']}") from error
    if split not in parted.shares:
        raise ConfigError(f"--split is {split!r}, and --shares has {', '.join(parted.shares)}")
    return parted.model_dump()


@click.command()
@click.option(
    "--model", "model_dir", required=True, metavar="DIR", help="A model version, or the directory of versions."
)
@click.option("--flip-averaging", is_flag=True, help="Have it average over each image and its mirror image.")
@click.option("--dataset", required=True, metavar="NAME", help="TFDS data set, such as oxford_iiit_pet:4.*.*")
@click.option("--data-dir", required=True, metavar="DIR", help="TFDS data directory that holds it, prepared.")
@click.option("--split", required=True, metavar="S", help="TFDS slice, such as test or 'train[:10%]'.")
@click.option("--of", metavar="S", help="TFDS slice that data.hash_split parts: --split then names one of its splits.")
@click.option(
    "--shares",
    metavar="NAME=N,…",
    callback=_shares,
    help="With --of: data.hash_split.shares.  [default: train=80,eval=10,test=10]",
)
@click.option("--by", metavar="FEATURE", help="With --of: data.hash_split.by.  [default: image]")
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
def evaluate(
    model_dir: str,
    flip_averaging: bool,
    split: str,
    of: str | None,
    shares: dict[str, str],
    by: str | None,
    slices: tuple[str, ...],
    as_json: bool,
    **source_options: Any,
) -> None:
    """Evaluate an exported model on a split of a TFDS data set.

    The metrics are those of the pipeline's Evaluator, from the same signature and the same formulas.
    """
    if hash_split := _hash_split(split, of, shares, by):
        source_options["hash_split"] = hash_split
    with captured_output(Path(os.devnull)) as (stdout, stderr):
        result = _evaluate(model_dir, flip_averaging, split, slices, source_options, stderr)
        if as_json:
            click.echo(json_text(result), file=stdout)
        else:
            _print_tables(result, stdout)


def _evaluate(
    model_dir: str,
    flip_averaging: bool,
    split: str,
    slices: tuple[str, ...],
    source_options: dict[str, Any],
    stderr: TextIO,
) -> dict[str, Any]:
    from components.tfds_example_gen.source import TfdsSource
    from pipeline.models.evaluation import evaluate_model
    from pipeline.models.loading import ServedModel

    model = ServedModel.load(model_dir, flip_averaging=flip_averaging)
    source = TfdsSource(download=False, slice_features=slices, **source_options)
    with progress_bar(stderr) as progress:
        task = progress.add_task("evaluating", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        measured = evaluate_model(model, source, split, show)
    return {
        "model": str(model.directory),
        "flip_averaging": model.card.flip_averaging,
        "class_names": list(model.card.class_names),
        **measured,
    }


def _print_tables(result: dict[str, Any], stdout: TextIO) -> None:
    dataset = result["dataset"]
    out = console(stdout)
    out.print(f"{dataset['name']} {dataset['version']}, {dataset['split']}: {dataset['examples']} examples")
    for table in metric_tables(result["metrics"], result["class_names"]):
        out.print()
        out.print(table)
    if result["slices"]:
        columns = ["accuracy", "mean_iou"]
        columns += [LABELLED_SHARE] if is_partly_labelled(result["metrics"]) else []
        by_slice = numbers_table("slice", "examples", *map(readable_metric, columns))
        for row in result["slices"]:
            label = ", ".join(f"{feature} = {value}" for feature, value in row["slice"].items())
            by_slice.add_row(label, str(row["examples"]), *(metric_value(row["metrics"].get(name)) for name in columns))
        out.print()
        out.print(by_slice)


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--model", "model_dir", required=True, metavar="DIR", help="A model version, or the directory of versions."
)
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Where to write; made if absent."
)
def predict(images: tuple[Path, ...], model_dir: str, out: Path) -> None:
    """Write the predicted mask and an overlay of each IMAGE (JPEG or PNG), at its own size, as viewers show it.

    NAME_mask.png holds the class ids, with a palette to look at; NAME_overlay.png the photo with the classes tinted.
    """
    _check_names(images)
    with captured_output(Path(os.devnull)) as (stdout, _):
        for path, shares in _predict(images, model_dir, out):
            say(f"{path}: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()), stdout)
        say(f"wrote {2 * len(images)} pictures to {out}", stdout)


def _check_names(images: tuple[Path, ...]) -> None:
    """Refuses, before anything is loaded, missing files and names that would overwrite each other."""
    by_stem: dict[str, Path] = {}
    for path in images:
        if not path.is_file():
            raise DataError(f"there is no image file {str(path)!r}.")
        if path.stem in by_stem:
            raise DataError(
                f"{str(by_stem[path.stem])!r} and {str(path)!r} would both be written as {path.stem}_mask.png; "
                "predict them into different directories."
            )
        by_stem[path.stem] = path


def _predict(images: tuple[Path, ...], model_dir: str, out: Path) -> Iterator[tuple[Path, dict[str, float]]]:
    """Writes the pictures of each image, then yields it with the share of each class."""
    from pipeline.models.loading import ServedModel, overlay_image
    from trainer_module.encoded_images import upright_image
    from trainer_module.model_card import mask_image

    model = ServedModel.load(model_dir)
    names = model.card.class_names
    out.mkdir(parents=True, exist_ok=True)
    for path in images:
        content = path.read_bytes()
        class_ids = model.predict(content, str(path))
        overlay_image(upright_image(content), class_ids, names).save(out / f"{path.stem}_overlay.png")
        mask_image(class_ids, len(names)).save(out / f"{path.stem}_mask.png")
        yield path, {name: float((class_ids == class_id).mean()) for class_id, name in enumerate(names)}
