"""The scores of single images, a file of JSON lines beside a run's record, which the comparison of two runs reads."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

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
    example_id: str
    """Tells the image from all others of the same data; empty where an earlier version of petseg scored it."""

    fingerprint: int
    """Of the id, by which the bootstrap draws the image."""

    statistics: tuple[int, ...]
    """See `components.segmentation_evaluation.bootstrap.image_statistics`."""

    @property
    def mean_iou(self) -> float:
        """The mean IoU over the classes that occur in the image."""
        true_positives, pixels = np.split(np.array(self.statistics, np.int64), 2)
        return float(pixel_accuracy_and_mean_iou(true_positives, pixels)[1])

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Reads what `to_json` wrote.

        Earlier versions of petseg knew images by their file names alone; `example_id` is the name's fingerprint there.
        """
        entry: dict[str, Any] = json.loads(line)
        known, statistics = entry["example_id"], tuple(entry["statistics"])
        if isinstance(known, int):
            return cls(entry["file_name"], "", known, statistics)
        return cls(entry["file_name"], known, entry["fingerprint"], statistics)


def saved_scores(images: "Iterator[ScoredImage]", file: Path) -> "Iterator[ScoredImage]":
    """Passes the images on and writes their scores to a file, which is complete or absent."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as lines:
        for image in images:
            lines.write(image.score.to_json() + "\n")
            yield image
    partial.replace(file)


def read_scores(file: Path) -> list[ImageScore]:
    """Returns the score of each image, in the order of evaluation.

    Raises:
      PetsegError: The file is no file of scores.
    """
    try:
        with file.open(encoding="utf-8") as lines:
            return [ImageScore.from_json(line) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PetsegError(
            f"{str(file)!r} is no file of image scores ({type(error).__name__}: {error}); remove it, and "
            "`petseg report` writes it again"
        ) from error
