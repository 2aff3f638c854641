"""`petseg data import`: a data set in TFDS' form, of images and masks as people have them."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.options import config_options, json_option, pipeline_root_option, resolve_config
from pipeline.data.formats.options import FORMAT_NAMES
from pipeline.terminal.streams import captured_output, json_text, say
from pipeline.terminal.tables import progress_bar
from trainer_module.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.data.importing.importer import Outcome
    from pipeline.data.importing.report import ImportReport
    from pipeline.data.importing.request import ImportRequest


@click.command("import")
@click.argument("source", metavar="SOURCE", type=click.Path(path_type=Path))
@click.option("--name", required=True, metavar="NAME", help="Of the data set, which data.dataset then names.")
@click.option("--data-dir", metavar="DIR", help="TFDS data directory to write into; overrides data.data_dir.")
@click.option("--version", metavar="X.Y.Z", help="Of what is written; without it, 1.0.0 or the next one.")
@click.option("--format", type=click.Choice(FORMAT_NAMES), help="Of SOURCE; without it, found out.")
@click.option("--images", metavar="DIR", help="Folder of the images in SOURCE, where its name does not tell.")
@click.option("--masks", metavar="DIR", help="Folder of the masks in SOURCE.")
@click.option("--mask-template", metavar="T", help="How a mask is called, such as '{stem}_mask.png'.")
@click.option(
    "--class",
    "classes",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="A class and its value in the masks, in the order of the class ids; repeatable. Of labelled objects: the "
    "categories to take.",
)
@click.option(
    "--class-table", metavar="FILE", type=click.Path(path_type=Path), help="Colours or values of the classes."
)
@click.option(
    "--ignore", metavar="VALUE", multiple=True, help="Value, #colour or class of what is not labelled; repeatable."
)
@click.option("--palette", type=click.Choice(["index", "color"]), help="What counts in a mask with a palette.")
@click.option(
    "--unknown", type=click.Choice(["refuse", "ignore"]), default="refuse", show_default=True,
    help="What becomes of values that no class has: the image is dropped, or they are not labelled.",
)  # fmt: skip
@click.option(
    "--jpeg-masks", type=click.Choice(["refuse", "snap"]), default="refuse", show_default=True,
    help="Masks saved as JPEG: drop them with their images, or give each pixel to the nearest class.",
)  # fmt: skip
@click.option(
    "--background", type=click.Choice(["class", "ignore"]), default="class", show_default=True,
    help="What is outside all labelled objects: a class, or not labelled.",
)  # fmt: skip
@click.option(
    "--crowds", type=click.Choice(["ignore", "object"]), default="ignore", show_default=True,
    help="COCO's regions of crowds: not labelled, or of their category.",
)  # fmt: skip
@click.option(
    "--masks-drawn-on", type=click.Choice(["auto", "shown", "stored"]), default="auto", show_default=True,
    help="What the masks of images that EXIF turns were drawn on, where their size does not tell: the image as viewers "
    "show it, or as it is stored. auto: as shown, unless all masks whose size does tell say stored.",
)  # fmt: skip
@click.option(
    "--split", metavar="SHARES", default="train=0.8,eval=0.1,test=0.1", show_default=True,
    help="Shares of the splits, where the source has none.",
)  # fmt: skip
@click.option(
    "--split-by", type=click.Choice(["source", "hash"]),
    help="The source's folders or lists, or the hash of each file's name; without it, source where it has some.",
)  # fmt: skip
@click.option(
    "--split-list",
    "split_lists",
    metavar="FILE=SPLIT",
    multiple=True,
    help="List of the images of a split; repeatable.",
)
@click.option("--group", metavar="REGEX", help="What it finds in the names keeps images together: a patient, a video.")
@click.option("--stratify", is_flag=True, help="Give each split its share of the images of every class.")
@click.option(
    "--date-from", metavar="WHERE", default="import", show_default=True,
    help="The day of each example: import, exif, or how the path writes it, such as %Y-%m-%d.",
)  # fmt: skip
@click.option("--add", is_flag=True, help="Add SOURCE to what other folders have brought in.")
@click.option("--replace", is_flag=True, help="Take SOURCE in place of the folder that made the version before.")
@click.option("--keep-removed", is_flag=True, help="Keep what SOURCE has no more.")
@click.option("--strict", is_flag=True, help="Refuse the whole where a file would be dropped.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes that read; without it, one a core.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, without opening an image.")
@json_option("Print the report as JSON.")
@config_options
@pipeline_root_option("Directory that runs leave everything in, data among it; overrides pipeline.root.")
def import_data(as_json: bool, dry_run: bool, **options: Any) -> None:
    """Make a data set of images and masks, or the next version of one.

    SOURCE is a folder, or a file of annotations: images and masks in folders, COCO, Pascal VOC, Cityscapes, LabelMe, or
    CVAT's segmentation masks. Given again, only new and changed files are read, and the version rises; where nothing is
    new, nothing is written. An import that was broken off goes on where it was.
    """
    request = _request(**options)
    if dry_run:
        _print_plan(request, as_json)
        return
    outcome = _import(request)
    if as_json:
        click.echo(json_text({"is_new": outcome.is_new, **outcome.report.model_dump()}))
        return
    from pipeline.data.importing.display import print_report

    print_report(outcome.report, is_new=outcome.is_new)
    elsewhere = any(options[name] for name in ("data_dir", "pipeline_root", "config_file", "overrides", "preset"))
    _print_next_steps(outcome.report, request.data_dir if elsewhere else None)


def _request(
    *,
    source: Path,
    name: str,
    data_dir: str | None,
    version: str | None,
    classes: tuple[str, ...],
    ignore: tuple[str, ...],
    split: str,
    split_by: Any,
    split_lists: tuple[str, ...],
    group: str | None,
    stratify: bool,
    date_from: str,
    masks_drawn_on: Any,
    add: bool,
    replace: bool,
    keep_removed: bool,
    strict: bool,
    workers: int | None,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
    **of_source: Any,
) -> "ImportRequest":
    """Returns what the options describe.

    Raises:
      ConfigError: They cannot be used.
    """
    from pydantic import ValidationError

    from pipeline.data.formats.options import SourceOptions
    from pipeline.data.importing.dates import DateSource
    from pipeline.data.importing.request import ImportRequest
    from pipeline.data.importing.splitting import SplitRule
    from pipeline.data.importing.workers import usable_cores

    if add and replace:
        raise ConfigError("--add and --replace contradict each other: give one")
    lists = dict(_parted("--split-list", text, reverse=True) for text in split_lists)
    names, values = _classes(classes)
    try:
        source_options = SourceOptions(
            class_names=names,
            mask_values=values,
            ignore=ignore or None,
            split_lists={split: Path(file) for split, file in lists.items()},
            **of_source,
        )
    except ValidationError as error:
        raise ConfigError("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from error
    config = resolve_config(preset, config_file, overrides, pipeline_root, announce_default=False)
    return ImportRequest(
        source=source,
        name=name,
        data_dir=data_dir or config.data_dir,
        options=source_options,
        version=_version(version),
        rule=SplitRule(_shares(split), group, stratify),
        split_by=split_by,
        dates=DateSource(date_from),
        masks_drawn_on=masks_drawn_on,
        mode="add" if add else "replace" if replace else "update",
        keep_removed=keep_removed,
        strict=strict,
        workers=workers or usable_cores(),
    )


def _classes(texts: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Returns the names of classes and, where they are given, their values."""
    pairs = [text.rpartition("=") if "=" in text else (text, "", "") for text in texts]
    if len({bool(mark) for _, mark, _ in pairs}) > 1:
        raise ConfigError(f"--class {' '.join(texts)}: give a value with each of them, or with none")
    try:
        return tuple(name for name, _, _ in pairs), tuple(int(value) for _, mark, value in pairs if mark)
    except ValueError as error:
        raise ConfigError(f"--class {' '.join(texts)}: a value is a whole number, as in soil=0") from error


def _parted(option: str, text: str, *, reverse: bool = False) -> tuple[str, str]:
    """Returns the two sides of the last `=`, the right one first if that is wanted."""
    left, mark, right = text.rpartition("=")
    if not (left and mark and right):
        raise ConfigError(f"{option} {text!r}: give two things with = between them")
    return (right, left) if reverse else (left, right)


def _shares(text: str) -> dict[str, float]:
    try:
        return {name.strip(): float(share) for name, share in (_parted("--split", part) for part in text.split(","))}
    except ValueError as error:
        raise ConfigError(f"--split {text!r}: a share is a number, as in train=0.8") from error


def _version(text: str | None) -> Any:
    from pipeline.data.importing.versions import Version

    version = Version.parse(text) if text is not None else None
    if text is not None and version is None:
        raise ConfigError(f"--version {text!r}: give three numbers, as in 1.2.0")
    return version


def _import(request: "ImportRequest") -> "Outcome":
    from pipeline.data.importing.importer import import_pictures

    with captured_output(Path(os.devnull)) as (_, stderr), progress_bar(stderr) as progress:
        task = progress.add_task("importing", total=None)
        try:
            return import_pictures(request, lambda done, total: progress.update(task, completed=done, total=total))
        except KeyboardInterrupt:
            say("what is finished is kept: the same command goes on from there", stderr)
            raise


def _print_plan(request: "ImportRequest", as_json: bool) -> None:
    from pipeline.data.importing.display import print_notes, print_numbers, print_reasons
    from pipeline.data.importing.importer import plan_import
    from pipeline.data.importing.report import reasons_of

    annotations, plan = plan_import(request)
    reasons = reasons_of((entry.name, entry.reason) for entry in plan.dropped)
    facts = {
        "new": len(plan.tasks) - len(plan.changed),
        "changed": len(plan.changed),
        "unchanged": len(plan.unchanged),
        "removed": len(plan.removed),
        "dropped": len(plan.dropped),
    }
    if as_json:
        click.echo(
            json_text(
                {"format_name": annotations.format_name, **facts, "splits": dict(plan.counts), "reasons": reasons}
            )
        )
        return
    say(f"{request.source}: {annotations.format_name}; nothing was opened or written")
    print_numbers("", "files", {**facts, **{f"split {split}": plan.counts[split] for split in plan.splits}})
    print_reasons("dropped", reasons)
    print_notes(plan.notes)


def _print_next_steps(report: "ImportReport", data_dir: str | None) -> None:
    where = f" --data-dir {shlex.quote(data_dir)}" if data_dir else ""
    say("")
    say(f"every file, and what became of it: {report.directory}/import_files.csv")
    say(f"next: petseg data describe {report.name}{where} --write-config {report.name}.toml")
    say(f"then: petseg run --config {report.name}.toml")
