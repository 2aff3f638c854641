"""Scores the images of two runs where that was not done, and writes their comparison as a page.

The comparison of two runs as a page.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.report import charts
from pipeline.report.blocks import (
    Block,
    Cell,
    Figure,
    Figures,
    Gallery,
    Note,
    Page,
    PictureRow,
    Section,
    Table,
    Verdict,
)
from pipeline.report.comparison import Comparison, MetricDifference
from pipeline.report.facts import Missing, RunFacts
from pipeline.report.gallery import picture_row
from pipeline.report.image_scores import SCORES_FILE, saved_scores
from pipeline.report.metric_sections import class_legend
from pipeline.report.page import html
from pipeline.runs.record import RunRecord
from pipeline.terminal.tables import metric_value, readable_metric
from trainer_module.errors import PetsegError

SHOWN_IMAGES: Final = 8


def comparison_page(comparison: Comparison, pictures: Sequence[PictureRow] | Missing) -> Page:
    """Returns the page that compares two runs.

    Args:
      comparison: What they differ in.
      pictures: The images that changed most, or why there are none to see.
    """
    first, second = comparison.first.record, comparison.second.record
    return Page(
        title=f"{first.run_id} and {second.run_id}",
        subtitle=f"{first.pipeline}, then {second.pipeline}; every difference is the second run minus the first",
        verdict=_verdict(comparison),
        sections=[
            Section("Settings", [settings_block(comparison)]),
            Section("Metrics", [metrics_block(comparison)]),
            Section("Learning curves", _curves(comparison)),
            Section("Images that changed most", _images(comparison, pictures)),
        ],
    )


def headline(comparison: Comparison) -> str:
    """Says in one sentence what became of the mean IoU."""
    found = next((metric for metric in comparison.metrics if metric.name == "mean_iou"), None)
    if found is None or found.difference is None:
        return "The mean IoU cannot be compared: it is not known of both runs."
    words = f"Mean IoU {signed(found.difference)}, from {metric_value(found.first)} to {metric_value(found.second)}"
    return f"{words}: {verdict_word(found)}."


def unpaired_note(comparison: Comparison) -> str:
    """Says how many images could not be compared, and why; empty where all were, or no scores are known."""
    first, second = comparison.unpaired
    if not any(comparison.unpaired) or not all(comparison.evaluated):
        return ""
    return (
        f"Not compared: {first:,} of the {comparison.evaluated[0]:,} images of the first run and {second:,} of the "
        f"{comparison.evaluated[1]:,} of the second. Where two runs did not read the very same data, their images are "
        "paired by file names that one image alone has."
    )


def verdict_word(metric: MetricDifference) -> str:
    """Says whether a difference is more than the choice of the images explains."""
    return {True: "within noise", False: "more than noise", None: ""}[metric.within_noise]


def signed(value: float | None) -> str:
    """Writes a difference with its sign."""
    return "" if value is None else f"{value:+.4f}".replace("-", "−")


def interval_words(interval: tuple[float, float] | None, *, is_signed: bool = False) -> str:
    """Writes an interval; empty where there is none."""
    if interval is None:
        return ""
    write = signed if is_signed else metric_value
    return f"{write(interval[0])} to {write(interval[1])}"


def settings_block(comparison: Comparison) -> Table | Note:
    """Returns the settings that differ."""
    rows = [[setting.key, setting.first, setting.second] for setting in comparison.settings]
    if not rows:
        return Note("Both runs have the same settings.")
    return Table(["setting", "first", "second"], rows, words=("first", "second"))


def metrics_block(comparison: Comparison) -> Table | Note:
    """Returns the metrics of both runs side by side."""
    rows: list[list[str | Cell]] = [
        [
            Cell(readable_metric(metric.name), verdict_word(metric)),
            Cell(metric_value(metric.first), interval_words(metric.first_interval)),
            Cell(metric_value(metric.second), interval_words(metric.second_interval)),
            Cell(signed(metric.difference), interval_words(metric.difference_interval, is_signed=True)),
        ]
        for metric in comparison.metrics
    ]
    if not rows:
        return Note("Neither run evaluated its model.")
    paired = any(metric.difference_interval for metric in comparison.metrics)
    how = "of the difference excludes 0, paired by image" if paired else "of the two runs do not overlap"
    columns = ["metric", "first", "second", "difference"]
    return Table(
        columns,
        rows,
        f"With 95 % intervals. A difference is more than noise where the 95 % interval {how}.",
    )


def _verdict(comparison: Comparison) -> Verdict:
    reason = "Both evaluated the same data."
    if not comparison.same_data:
        reason = "They evaluated different data, so that the difference is not that of the models alone."
    return Verdict("neutral", headline(comparison), reason)


def _curves(comparison: Comparison) -> list[Block]:
    runs = {}
    for label, facts in _labelled(comparison):
        if isinstance(facts.history, Missing):
            return [Note(f"No curves: the {label} run has no history of its training. {facts.history.reason}")]
        runs[label] = facts.history.epochs
    captions = {
        "loss": "Loss on eval. The lower curve generalizes better; one that turns up is overfitting.",
        "accuracy": "Accuracy on eval. Curves that meet at the end differ in speed only, not in quality.",
        "mean_iou": "Mean IoU on eval, by which the best weights are selected.",
    }
    return [
        Figures(
            [
                Figure(charts.compared_curves(f"compared-{metric}", metric, runs), caption)
                for metric, caption in captions.items()
                if any(metric in epochs[-1] for epochs in runs.values())
            ]
        )
    ]


def _labelled(comparison: Comparison) -> list[tuple[str, RunFacts]]:
    return [("first", comparison.first), ("second", comparison.second)]


def _images(comparison: Comparison, pictures: Sequence[PictureRow] | Missing) -> list[Block]:
    note = unpaired_note(comparison)
    notes: list[Block] = [Note(note)] if note else []
    if isinstance(pictures, Missing):
        return [*notes, Note(pictures.reason)]
    gallery = Gallery(
        f"{len(pictures)} of {len(comparison.images):,} images",
        "The largest changes of the mean IoU, in either direction. Look for what the second run gained or lost.",
        pictures,
    )
    return [*notes, class_legend(comparison.second.class_names), gallery]


def ensure_scores(record: RunRecord, run_directory: Path) -> None:
    """Scores the images of a run unless that was done; does nothing for a run that left nothing to score.

    Raises:
      ModelError: The exported model cannot be loaded.
    """
    file = run_directory / SCORES_FILE
    if file.is_file():
        return
    from pipeline.report.image_scores import EvaluatedImages

    images = EvaluatedImages.of_run(record)
    if not isinstance(images, Missing):
        for _ in saved_scores(images.scored(), file):
            pass


def write_comparison(comparison: Comparison, output: Path) -> None:
    """Writes the page.

    Raises:
      PetsegError: It cannot be written.
      ModelError: An exported model cannot be loaded.
    """
    page = html(comparison_page(comparison, _pictures(comparison)))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise PetsegError(
            f"cannot write the comparison {str(output)!r}: {error.strerror}; name another --html"
        ) from error


def _pictures(comparison: Comparison) -> Sequence[PictureRow] | Missing:
    if not comparison.images:
        return Missing("No image was evaluated by both runs, or one of them left no model.")
    from pipeline.report.image_scores import EvaluatedImages

    first, second = (EvaluatedImages.of_run(facts.record) for facts in (comparison.first, comparison.second))
    if isinstance(first, Missing):
        return first
    if isinstance(second, Missing):
        return second
    if not first.model.card.is_for_the_classes_of(second.model.card):
        return Missing("The two models have different classes or image sizes; their masks cannot be laid side by side.")
    shown = comparison.images[:SHOWN_IMAGES]
    models = {"prediction first": first.model, "prediction second": second.model}
    changes = {change.example_id: change for change in shown}
    rows = {}
    for image in first.chosen({*changes}):
        name = changes[image.example_id].name
        rows[image.example_id] = picture_row(image, name, models, first.model.card.mask_values)
    chosen = ((rows[change.example_id], change.words) for change in shown)
    return [dataclasses.replace(row, detail=words) if row.pictures else row for row, words in chosen]
