"""Scores the images of two runs where that was not done, and writes their comparison as a page."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pipeline.report.blocks import PictureRow
from pipeline.report.comparison import Comparison
from pipeline.report.comparison_page import SHOWN_IMAGES, comparison_page
from pipeline.report.facts import Missing
from pipeline.report.gallery import picture_row
from pipeline.report.page import html
from pipeline.report.score_file import SCORES_FILE, saved_scores
from pipeline.run_record import RunRecord
from trainer_module.errors import PetsegError


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
    turned = first.model.card.turns_images
    if first.model.card != second.model.card.model_copy(update={"turns_images": turned}):
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
