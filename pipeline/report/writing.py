"""Writes the report of a run: the HTML page, and the model card beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.report.blocks import Gallery, Note, PictureRow, Section
from pipeline.report.facts import Missing, RunFacts, output_directory, run_facts
from pipeline.report.gallery import BEST_COUNT, RANDOM_COUNT, WORST_COUNT, picture_row, select
from pipeline.report.metric_sections import class_legend
from pipeline.report.model_card import model_card
from pipeline.report.page import html, run_page
from pipeline.report.score_file import SCORES_FILE, saved_scores
from pipeline.run_record import RunRecord
from trainer_module.errors import PetsegError

REPORT_FILE: Final = "report.html"
MODEL_CARD_FILE: Final = "model_card.md"

_PICTURES: Final = "Pictures"


@dataclass(frozen=True)
class WrittenReport:
    """Where a report is."""

    page: Path
    model_card: Path


def write_report(
    record: RunRecord,
    run_directory: Path,
    output: Path | None = None,
    *,
    with_pictures: bool = True,
) -> WrittenReport:
    """Writes the report of a run, whatever its end was.

    Args:
      record: The record of the run.
      run_directory: Where the scores of single images are kept, and the report where nothing else is said.
      output: The HTML file; the model card goes beside it.
      with_pictures: Whether to predict the evaluated images again, for the gallery.

    Raises:
      PetsegError: A file cannot be written.
      ModelError: The exported model cannot be loaded.
    """
    page = output or run_directory / REPORT_FILE
    written = WrittenReport(page, page.with_name(MODEL_CARD_FILE))
    facts = run_facts(record)
    pictures = _pictures(facts, run_directory) if with_pictures else _no_pictures("The run was interrupted.")
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        written.page.write_text(html(run_page(facts, pictures)), encoding="utf-8")
        written.model_card.write_text(model_card(facts), encoding="utf-8")
    except OSError as error:
        raise PetsegError(f"cannot write the report {str(page)!r}: {error.strerror}; name another --output") from error
    return written


def _no_pictures(reason: str) -> Section:
    return Section(_PICTURES, [Note(f"No predictions to show. {reason}")])


def _pictures(facts: RunFacts, run_directory: Path) -> Section:
    """Returns the section with the gallery."""
    for node_id, output in (("TfdsExampleGen", "examples"), ("Trainer", "model")):
        directory = output_directory(facts.record, node_id, output)
        if isinstance(directory, Missing):
            return _no_pictures(directory.reason)

    from pipeline.report.image_scores import EvaluatedImages, ScoredImage

    images = EvaluatedImages.of_run(facts.record)
    if isinstance(images, Missing):
        return _no_pictures(images.reason)
    model = images.model
    selection = select(saved_scores(images.scored(), run_directory / SCORES_FILE))

    def gallery(title: str, caption: str, chosen: list[ScoredImage]) -> Gallery:
        rows: list[PictureRow] = [picture_row(image, {"prediction": model}, model.card.mask_values) for image in chosen]
        return Gallery(title, caption, rows)

    split = facts.evaluated_split
    return Section(
        _PICTURES,
        [
            class_legend(facts.class_names),
            gallery(
                "A random sample",
                f"{RANDOM_COUNT} images of the {split} split, the same for every model on this data: what to expect.",
                selection.random,
            ),
            gallery(
                "The worst",
                f"The {WORST_COUNT} images with the lowest mean IoU. Look for what they share: a breed, a pose, "
                "a light, or a wrong annotation.",
                selection.worst,
            ),
            gallery(
                "The best",
                f"The {BEST_COUNT} images with the highest mean IoU: what the model finds easy.",
                selection.best,
            ),
        ],
    )
