"""The learning curves and sample predictions of a run as picture files, for slides and papers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.report.blocks import Gallery
from pipeline.report.charts import save_learning_curve
from pipeline.report.facts import Missing, RunFacts, output_directory, run_facts
from pipeline.report.gallery import picture_rows, select
from pipeline.report.score_file import SCORES_FILE, saved_scores
from pipeline.report.sheets import write_sheet
from pipeline.report.training_samples import training_gallery
from pipeline.run_record import RunRecord
from trainer_module.errors import DataError, PetsegError

if TYPE_CHECKING:
    from pipeline.report.image_scores import ScoredImage

_CURVES: Final = ("loss", "accuracy", "mean_iou")
_PREDICTIONS_FILE: Final = "predictions.png"
_TRAINING_FILE: Final = "before_and_after_training.png"


@dataclass
class WrittenPictures:
    """What there is to see of a run."""

    files: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Why something could not be drawn, in sentences."""


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
    for node_id, output in (("TfdsExampleGen", "examples"), ("Trainer", "model")):
        directory = output_directory(facts.record, node_id, output)
        if isinstance(directory, Missing):
            return directory

    from pipeline.report.image_scores import EvaluatedImages

    images = EvaluatedImages.of_run(facts.record)
    if isinstance(images, Missing):
        return images
    selection = select(saved_scores(images.scored(), run_directory / SCORES_FILE))

    def gallery(title: str, chosen: "list[ScoredImage]") -> Gallery:
        models = {"prediction": images.model}
        return Gallery(title, "", picture_rows(selection, chosen, models, images.model.card.mask_values))

    return [
        gallery(f"A random sample of the {facts.evaluated_split} split", selection.random),
        gallery("The worst", selection.worst),
    ]
