"""The sample predictions of a run: the report's section of pictures, and picture files for slides and papers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.report.blocks import Block, Gallery, Note, Section
from pipeline.report.charts import save_learning_curve
from pipeline.report.facts import Missing, RunFacts, run_facts
from pipeline.report.gallery import BEST_COUNT, RANDOM_COUNT, WORST_COUNT, Selection, picture_rows, select, write_sheet
from pipeline.report.image_scores import SCORES_FILE, EvaluatedImages, ScoredImage, load_baseline, saved_scores
from pipeline.report.metric_sections import class_legend, training_gallery
from pipeline.runs.record import RunRecord
from trainer_module.errors import DataError, PetsegError

if TYPE_CHECKING:
    from pipeline.models.loading import ServedModel

_TITLE: Final = "Pictures"
_CHANGES: Final = "The largest changes against the served model"
_CURVES: Final = ("loss", "accuracy", "mean_iou")
_PREDICTIONS_FILE: Final = "predictions.png"
_TRAINING_FILE: Final = "before_and_after_training.png"


@dataclass
class WrittenPictures:
    """What there is to see of a run."""

    files: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Why something could not be drawn, in sentences."""


def no_pictures(reason: str) -> Section:
    """Returns the section that says why there is nothing to see."""
    return Section(_TITLE, [Note(f"No predictions to show. {reason}")])


def pictures_section(facts: RunFacts, run_directory: Path) -> Section:
    """Returns the section with the galleries; leaves the score of each image in the run's directory.

    Raises:
      ModelError: The exported model cannot be loaded.
    """
    images = EvaluatedImages.of_run(facts.record)
    if isinstance(images, Missing):
        return no_pictures(images.reason)
    images.model.check_predicts()
    baseline = load_baseline(facts.record)
    compared = None if isinstance(baseline, Missing) else baseline
    selection = select(saved_scores(images.scored(compared), run_directory / SCORES_FILE))
    captions = {
        "A random sample": f"{RANDOM_COUNT} images of the {facts.evaluated_split} split, the same for every model on "
        "this data: what to expect.",
        "The worst": f"The {WORST_COUNT} images with the lowest mean IoU. Look for what they share: a breed, a pose, "
        "a light, or a wrong annotation.",
        "The best": f"The {BEST_COUNT} images with the highest mean IoU: what the model finds easy.",
    }
    blocks: list[Block] = [class_legend(facts.class_names, with_not_labelled=facts.has_not_labelled)]
    for (title, caption), chosen in zip(
        captions.items(), (selection.random, selection.worst, selection.best), strict=True
    ):
        blocks.append(_gallery(title, caption, selection, chosen, images.model))
    if isinstance(baseline, Missing):
        blocks.append(Note(f"No comparison with the served model. {baseline.reason}"))
    elif baseline is not None:
        blocks.append(_changes(selection, images.model, baseline))
    return Section(_TITLE, blocks)


def write_pictures(record: RunRecord, run_directory: Path, output: Path) -> WrittenPictures:
    """Draws what the run left.

    Args:
      record: The record of the run.
      run_directory: Where the scores of single images are kept.
      output: The directory for the files.

    Raises:
      PetsegError: A file cannot be written.
      DataError: The run left nothing that could be drawn.
      ModelError: The exported model cannot be loaded.
    """
    facts = run_facts(record)
    written = WrittenPictures()
    try:
        output.mkdir(parents=True, exist_ok=True)
        _write_curves(facts, output, written)
        _write_sheet(_predictions(facts, run_directory), output / _PREDICTIONS_FILE, written)
        training = training_gallery(facts)
        _write_sheet(training if isinstance(training, Missing) else [training], output / _TRAINING_FILE, written)
    except OSError as error:
        raise PetsegError(f"cannot write to {str(output)!r}: {error.strerror}; name another --output") from error
    if not written.files:
        raise DataError(f"the run {record.run_id} left nothing to draw: {' '.join(dict.fromkeys(written.missing))}")
    return written


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


def _write_curves(facts: RunFacts, output: Path, written: WrittenPictures) -> None:
    history = facts.history
    if isinstance(history, Missing):
        written.missing.append(f"No history of the training. {history.reason}")
        return
    for metric in (name for name in _CURVES if name in history.epochs[-1]):
        files = [output / f"{metric}.{kind}" for kind in ("svg", "png")]
        save_learning_curve(metric, history.epochs, history.best_epoch, *files)
        written.files += files


def _write_sheet(galleries: list[Gallery] | Missing, file: Path, written: WrittenPictures) -> None:
    if isinstance(galleries, Missing):
        written.missing.append(f"No {file.name}. {galleries.reason}")
    else:
        write_sheet(galleries, file)
        written.files.append(file)


def _predictions(facts: RunFacts, run_directory: Path) -> list[Gallery] | Missing:
    """Returns the random sample and the worst images of the evaluated split, with what the exported model predicts."""
    images = EvaluatedImages.of_run(facts.record)
    if isinstance(images, Missing):
        return images
    images.model.check_predicts()
    selection = select(saved_scores(images.scored(), run_directory / SCORES_FILE))
    title = f"A random sample of the {facts.evaluated_split} split"
    return [
        _gallery(title, "", selection, selection.random, images.model),
        _gallery("The worst", "", selection, selection.worst, images.model),
    ]


def _gallery(
    title: str, caption: str, selection: Selection, chosen: list[ScoredImage], model: "ServedModel"
) -> Gallery:
    """Returns some of the selected images with what the exported model predicts."""
    rows = picture_rows(selection, chosen, {"prediction": model}, model.card.mask_values)
    return Gallery(title, caption, rows)
