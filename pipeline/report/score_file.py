"""The scores of single images, a file of JSON lines beside a run's record, which the comparison of two runs reads."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer_module.errors import PetsegError
from trainer_module.segmentation_metrics import pixel_accuracy_and_mean_iou

if TYPE_CHECKING:
    from pipeline.report.image_scores import ScoredImage

SCORES_FILE: Final = "image_scores.jsonl"


@dataclass(frozen=True)
class ImageScore:
    """What the metrics of one image follow from."""

    file_name: str
    example_id: int
    """The same for the same file in every run."""

    statistics: tuple[int, ...]
    """See `components.segmentation_evaluation.bootstrap.image_statistics`."""

    @property
    def mean_iou(self) -> float:
        """The mean IoU over the classes that occur in the image."""
        true_positives, pixels = np.split(np.array(self.statistics, np.int64), 2)
        return float(pixel_accuracy_and_mean_iou(true_positives, pixels)[1])

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def saved_scores(images: "Iterator[ScoredImage]", file: Path) -> "Iterator[ScoredImage]":
    """Passes the images on and writes their scores to a file, which is complete or absent."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as lines:
        for image in images:
            lines.write(image.score.to_json() + "\n")
            yield image
    partial.replace(file)


def read_scores(file: Path) -> dict[str, ImageScore]:
    """Returns the score of each image by file name.

    Raises:
      PetsegError: The file is no file of scores.
    """
    try:
        with file.open(encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines]
        scores = (ImageScore(entry["file_name"], entry["example_id"], tuple(entry["statistics"])) for entry in entries)
        return {score.file_name: score for score in scores}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PetsegError(
            f"{str(file)!r} is no file of image scores ({type(error).__name__}: {error}); remove it, and "
            "`petseg report` writes it again"
        ) from error
