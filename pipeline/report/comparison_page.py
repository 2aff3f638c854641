"""The comparison of two runs as a page."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.report import charts
from pipeline.report.blocks import Block, Figure, Figures, Gallery, Note, Page, PictureRow, Section, Verdict
from pipeline.report.comparison import Comparison, headline, metrics_block, settings_block, unpaired_note
from pipeline.report.facts import Missing
from pipeline.report.gallery import picture_row
from pipeline.report.image_scores import EvaluatedImages
from pipeline.report.metric_sections import class_legend
from pipeline.report.page import html
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


def _verdict(comparison: Comparison) -> Verdict:
    reason = "Both evaluated the same data."
    if not comparison.same_data:
        reason = "They evaluated different data, so that the difference is not that of the models alone."
    return Verdict("neutral", headline(comparison), reason)


def _curves(comparison: Comparison) -> list[Block]:
    runs = {}
    for label, facts in (("first", comparison.first), ("second", comparison.second)):
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
    both = (comparison.first, comparison.second)
    legend = class_legend(
        comparison.second.class_names, with_not_labelled=any(facts.has_not_labelled for facts in both)
    )
    return [*notes, legend, gallery]


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
    first, second = (EvaluatedImages.of_run(facts.record) for facts in (comparison.first, comparison.second))
    if isinstance(first, Missing):
        return first
    if isinstance(second, Missing):
        return second
    for model in (first.model, second.model):
        model.check_predicts()
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
