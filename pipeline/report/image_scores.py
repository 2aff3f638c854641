"""How well a run's model does on every single image of the evaluated split.

The images pass one batch at a time; of each only its score is kept, in a file of JSON lines beside the run's record,
which the comparison of two runs reads. Importing this module imports TensorFlow.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf

from pipeline.report.facts import Missing, output_directory
from pipeline.run_record import RunRecord
from pipeline.served_model import ServedModel
from trainer_module import features
from trainer_module.errors import DataError
from trainer_module.segmentation_metrics import pixel_accuracy_and_mean_iou

SCORES_FILE: Final = "image_scores.jsonl"

_BATCH_SIZE: Final = 32
_SERVING_FORMAT: Final = "Format-Serving"
"""Where TFX's Trainer leaves the model to serve, below its `model` output."""


@dataclass(frozen=True)
class ScoredImage:
    """One image with its score."""

    file_name: str
    mean_iou: float
    """Over the classes that occur in it."""

    labels: tuple[str, ...]
    """Values of the slice features."""

    image: bytes
    """Encoded, as is the mask."""

    mask: bytes


@dataclass(frozen=True)
class EvaluatedImages:
    """The images that a run evaluated, and the model that it evaluated on them."""

    model: ServedModel
    files: list[str]
    slice_features: tuple[str, ...]

    @classmethod
    def of_run(cls, record: RunRecord) -> "EvaluatedImages | Missing":
        """Opens what a run left.

        Raises:
          ModelError: The exported model cannot be loaded.
        """
        examples = output_directory(record, "TfdsExampleGen", "examples")
        model = output_directory(record, "Trainer", "model")
        for directory in (examples, model):
            if isinstance(directory, Missing):
                return directory
        split = record.settings["evaluation"]["split"]
        files = sorted(map(str, (Path(str(examples)) / f"Split-{split}").glob("*.gz")))
        if not files:
            return Missing(f"TfdsExampleGen left no files of the split {split!r}.")
        loaded = ServedModel.load(str(Path(str(model)) / _SERVING_FORMAT))
        return cls(loaded, files, tuple(record.settings["data"]["slice_features"]))

    def scored(self, check: Callable[[], None] = lambda: None) -> Iterator[ScoredImage]:
        """Yields every image with its score, in the order of the files.

        Args:
          check: Called before each batch; what it raises ends the pass.
        """
        records = tf.data.TFRecordDataset(self.files, compression_type="GZIP").as_numpy_iterator()
        while batch := list(itertools.islice(records, _BATCH_SIZE)):
            check()
            for serialized, outputs in zip(batch, self.model.evaluate(batch), strict=True):
                yield self._scored(serialized, outputs[features.CONFUSION_MATRIX])

    def chosen(self, file_names: set[str]) -> Iterator[ScoredImage]:
        """Yields the images of those names, scored.

        Raises:
          DataError: One of them is not among the images.
        """
        missing = set(file_names)
        for serialized in tf.data.TFRecordDataset(self.files, compression_type="GZIP").as_numpy_iterator():
            name = _bytes(tf.train.Example.FromString(serialized), features.FILE_NAME).decode(errors="replace")
            if name in missing:
                missing.remove(name)
                [outputs] = self.model.evaluate([serialized])
                yield self._scored(serialized, outputs[features.CONFUSION_MATRIX])
        if missing:
            raise DataError(f"the run's examples have no image {min(missing)!r}; run it again with --no-cache")

    def _scored(self, serialized: bytes, flat_matrix: Any) -> ScoredImage:
        example = tf.train.Example.FromString(serialized)
        side = len(self.model.card.class_names)
        matrix = np.asarray(flat_matrix).reshape(side, side)
        _, mean_iou = pixel_accuracy_and_mean_iou(np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1))
        return ScoredImage(
            _bytes(example, features.FILE_NAME).decode(errors="replace"),
            float(mean_iou),
            tuple(_text(example, name) for name in self.slice_features),
            _bytes(example, features.IMAGE),
            _bytes(example, features.SEGMENTATION_MASK),
        )


def saved_scores(images: Iterator[ScoredImage], file: Path) -> Iterator[ScoredImage]:
    """Passes the images on and writes their scores to a file, which is complete or absent."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as lines:
        for image in images:
            lines.write(json.dumps({"file_name": image.file_name, "mean_iou": image.mean_iou}) + "\n")
            yield image
    partial.replace(file)


def read_scores(file: Path) -> dict[str, float]:
    """Returns the mean IoU of each image by file name.

    Raises:
      OSError: The file is absent or cannot be read.
    """
    with file.open(encoding="utf-8") as lines:
        return {entry["file_name"]: entry["mean_iou"] for entry in map(json.loads, lines)}


def _bytes(example: tf.train.Example, name: str) -> bytes:
    value: bytes = example.features.feature[name].bytes_list.value[0]
    return value


def _text(example: tf.train.Example, name: str) -> str:
    feature = example.features.feature[name]
    (value,) = getattr(feature, feature.WhichOneof("kind")).value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
