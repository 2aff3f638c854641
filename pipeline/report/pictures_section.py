"""The section with the pictures: a sample, the worst, the best, and what changed against the served model."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.report.blocks import Block, Gallery, Note, Section
from pipeline.report.facts import Missing, RunFacts, output_directory
from pipeline.report.gallery import BEST_COUNT, RANDOM_COUNT, WORST_COUNT, Selection, picture_rows, select
from pipeline.report.metric_sections import class_legend
from pipeline.report.score_file import SCORES_FILE, saved_scores

if TYPE_CHECKING:
    from pipeline.report.image_scores import ScoredImage
    from pipeline.served_model import ServedModel

_TITLE: Final = "Pictures"
_CHANGES: Final = "The largest changes against the served model"


def no_pictures(reason: str) -> Section:
    """Returns the section that says why there is nothing to see."""
    return Section(_TITLE, [Note(f"No predictions to show. {reason}")])


def pictures_section(facts: RunFacts, run_directory: Path) -> Section:
    """Returns the section with the galleries; leaves the score of each image in the run's directory.

    Raises:
      ModelError: The exported model cannot be loaded.
    """
    for node_id, output in (("TfdsExampleGen", "examples"), ("Trainer", "model")):
        directory = output_directory(facts.record, node_id, output)
        if isinstance(directory, Missing):
            return no_pictures(directory.reason)

    from pipeline.report.image_scores import EvaluatedImages, load_baseline

    images = EvaluatedImages.of_run(facts.record)
    if isinstance(images, Missing):
        return no_pictures(images.reason)
    baseline = load_baseline(facts.record)
    compared = None if isinstance(baseline, Missing) else baseline
    selection = select(saved_scores(images.scored(compared), run_directory / SCORES_FILE))
    blocks = [class_legend(facts.class_names), *_galleries(selection, images.model, facts.evaluated_split)]
    if isinstance(baseline, Missing):
        blocks.append(Note(f"No comparison with the served model. {baseline.reason}"))
    elif baseline is not None:
        blocks.append(_changes(selection, images.model, baseline))
    return Section(_TITLE, blocks)


def _galleries(selection: Selection, model: "ServedModel", split: str) -> list[Block]:
    def gallery(title: str, caption: str, chosen: "list[ScoredImage]") -> Gallery:
        rows = picture_rows(selection, chosen, {"prediction": model}, model.card.mask_values)
        return Gallery(title, caption, rows)

    return [
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
    ]


def _changes(selection: Selection, model: "ServedModel", baseline: "ServedModel") -> Block:
    """Returns the images that the new model does much worse or better on than the served one."""
    if not selection.fallen + selection.risen:
        return Note(f"{_CHANGES}: none. Both models have the same mean IoU on every image.")
    models = {"prediction served": baseline, "prediction new": model}
    rows = picture_rows(selection, selection.fallen + selection.risen, models, baseline.card.mask_values)
    caption = (
        f"First the {len(selection.fallen)} images whose mean IoU fell the most from the served model to the new one, "
        f"then the {len(selection.risen)} where it rose the most: what the new model lost and gained."
    )
    return Gallery(_CHANGES, caption, rows)
