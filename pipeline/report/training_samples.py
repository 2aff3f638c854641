"""The section "Before and after training": what the network predicted of a few images in the course of its training."""

import re
from pathlib import Path
from typing import Final

from PIL import Image

from pipeline.report.blocks import Gallery, Note, Picture, PictureRow, Section
from pipeline.report.facts import Missing, RunFacts, output_directory
from pipeline.report.gallery import thumbnail_uri
from pipeline.report.metric_sections import class_legend

_TITLE: Final = "Before and after training"
_PREDICTION: Final = re.compile(r"(\d+)_epoch_(\d+)\.png")


def training_section(facts: RunFacts) -> Section:
    """Returns the section, or why there is nothing to show."""
    gallery = training_gallery(facts)
    if isinstance(gallery, Missing):
        return Section(_TITLE, [Note(f"No predictions of the training. {gallery.reason}")])
    return Section(_TITLE, [class_legend(facts.class_names, with_errors=False), gallery])


def training_gallery(facts: RunFacts) -> Gallery | Missing:
    """Returns images of the `eval` split with their truth and their predictions, from the untrained network on."""
    model_run = output_directory(facts.record, "Trainer", "model_run")
    if isinstance(model_run, Missing):
        return model_run
    directory = model_run / "samples"
    epochs = _epochs(directory)
    try:
        rows = [_row(directory, number, epochs[number]) for number in sorted(epochs)]
    except OSError as error:
        return Missing(f"The pictures in {directory} cannot be read: {error}.")
    if not rows:
        return Missing(f"The Trainer left no pictures in {directory}.")
    caption = (
        "Images of the eval split, none of which was trained on, after the epochs of trainer.sample_epochs and after "
        "the last."
    )
    return Gallery("The same images, epoch by epoch", caption, rows)


def _epochs(directory: Path) -> dict[int, list[int]]:
    """Returns the number of each image to the epochs of which there are predictions, in order."""
    found: dict[int, list[int]] = {}
    for match in map(_PREDICTION.fullmatch, sorted(path.name for path in directory.glob("*.png"))):
        if match:
            found.setdefault(int(match[1]), []).append(int(match[2]))
    return {number: sorted(epochs) for number, epochs in found.items()}


def _row(directory: Path, number: int, epochs: list[int]) -> PictureRow:
    names = {"image": "image", "truth": "truth"}
    names |= {"before training" if epoch == 0 else f"epoch {epoch}": f"epoch_{epoch:04d}" for epoch in epochs}
    pictures = []
    for label, name in names.items():
        with Image.open(directory / f"{number}_{name}.png") as image:
            pictures.append(Picture(label, thumbnail_uri(image)))
    return PictureRow(f"image {number}", "", pictures)
