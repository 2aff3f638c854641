"""How well a run's model does on every single image of the evaluated split.

The scores are kept beside the run's record, a file of JSON lines that the comparison of two runs reads. The images pass
one batch at a time, and nothing here keeps them. TensorFlow is imported when a model is loaded.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from components.model_evaluator.sums import image_statistics
from pipeline.nodes import SERVED_MODEL_RESOLVER, TRAINER
from pipeline.report.facts import Missing, examples_directory, output_directory
from pipeline.runs.record import RunRecord
from trainer_module import features
from trainer_module.errors import DataError, ModelError, PetsegError
from trainer_module.segmentation_metrics import pixel_accuracy_and_mean_iou

if TYPE_CHECKING:
    import tensorflow as tf

    from pipeline.models.loading import ServedModel

SCORES_FILE: Final = "image_scores.jsonl"

_BATCH_SIZE: Final = 32
_SERVING_FORMAT: Final = "Format-Serving"
"""Where TFX leaves the model to serve, below a `model` output."""


@dataclass(frozen=True)
class ImageScore:
    """What the metrics of one image follow from."""

    file_name: str
    example_id: str
    """Tells the image from all others of the same data; empty where an earlier version of petseg scored it."""

    fingerprint: int
    """Of the id, by which the bootstrap draws the image."""

    statistics: tuple[int, ...]
    """See `components.model_evaluator.sums.image_statistics`."""

    @property
    def mean_iou(self) -> float | None:
        """The mean IoU over the classes that occur in the image; None where no pixel of it is labelled."""
        true_positives, pixels = np.split(np.array(self.statistics, np.int64), 2)
        return float(pixel_accuracy_and_mean_iou(true_positives, pixels)[1]) if pixels.any() else None

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


@dataclass(frozen=True)
class ImageDifference:
    """The mean IoU of one image in both runs, or of both models of one run."""

    name: str
    """What to call it: its file name, or more where others have the same name."""

    file_name: str
    example_id: str
    """In the first run; empty where an earlier version of petseg scored it."""

    first: float
    second: float

    @property
    def difference(self) -> float:
        return self.second - self.first

    @property
    def words(self) -> str:
        """Both values and the change, for people."""
        return f"mean IoU {self.first:.3f} → {self.second:.3f} ({self.difference:+.3f})".replace("-", "−")


@dataclass(frozen=True)
class ScoredImage:
    """One image with its score."""

    score: ImageScore
    labels: tuple[str, ...]
    """Values of the slice features."""

    image: bytes
    """Encoded, as is the mask."""

    mask: bytes
    baseline_score: ImageScore | None = None
    """Of the model that the run's was compared with; None where there is none."""

    @property
    def file_name(self) -> str:
        return self.score.file_name

    @property
    def example_id(self) -> str:
        return self.score.example_id

    @property
    def mean_iou(self) -> float | None:
        return self.score.mean_iou

    @property
    def change(self) -> ImageDifference | None:
        """What became of the mean IoU since the baseline; None without a baseline, and where nothing is labelled."""
        before, after = self.baseline_score.mean_iou if self.baseline_score else None, self.mean_iou
        if before is None or after is None:
            return None
        return ImageDifference(self.file_name, self.file_name, self.example_id, before, after)


@dataclass(frozen=True)
class EvaluatedImages:
    """The images that a run evaluated, and the model that it evaluated on them."""

    model: "ServedModel"
    files: list[str]
    slice_features: tuple[str, ...]

    @classmethod
    def of_run(cls, record: RunRecord) -> "EvaluatedImages | Missing":
        """Opens what a run left.

        Raises:
          ModelError: The exported model cannot be loaded.
        """
        examples = examples_directory(record)
        model = output_directory(record, TRAINER, "model")
        for directory in (examples, model):
            if isinstance(directory, Missing):
                return directory
        split = record.settings.get("evaluation", {}).get("split")
        if split is None:
            return Missing("The record does not say which split was evaluated.")
        files = sorted(map(str, (Path(str(examples)) / f"Split-{split}").glob("*.gz")))
        if not files:
            return Missing(f"The run left no files of the split {split!r}.")
        from pipeline.models.loading import ServedModel

        loaded = ServedModel.load(str(Path(str(model)) / _SERVING_FORMAT))
        first = next(_records(files), None)
        has_ids = first is None or features.EXAMPLE_ID in _example(first).features.feature
        if features.EXAMPLE_FINGERPRINT not in loaded.evaluation_outputs or not has_ids:
            return Missing(
                "The run is of an earlier version of petseg, which knew images by their file names alone; run it again."
            )
        return cls(loaded, files, tuple(record.settings.get("data", {}).get("slice_features", ())))

    def scored(self, baseline: "ServedModel | None" = None) -> Iterator[ScoredImage]:
        """Yields every image with its score, in the order of the files.

        Args:
          baseline: A model that is to score them, too.
        """
        records = _records(self.files)
        while batch := list(itertools.islice(records, _BATCH_SIZE)):
            of_baseline = baseline.evaluate(batch) if baseline else itertools.repeat(None, len(batch))
            for serialized, outputs, others in zip(batch, self.model.evaluate(batch), of_baseline, strict=True):
                yield self._scored(serialized, outputs, others)

    def chosen(self, example_ids: set[str]) -> Iterator[ScoredImage]:
        """Yields the images of those ids, scored.

        Raises:
          DataError: One of them is not among the images.
        """
        missing = set(example_ids)
        for serialized in _records(self.files):
            example_id = _bytes(_example(serialized), features.EXAMPLE_ID).decode()
            if example_id in missing:
                missing.remove(example_id)
                [outputs] = self.model.evaluate([serialized])
                yield self._scored(serialized, outputs)
        if missing:
            raise DataError(f"the run's examples have no image {min(missing)!r}; run it again with --no-cache")

    def _scored(
        self, serialized: bytes, outputs: Mapping[str, Any], of_baseline: Mapping[str, Any] | None = None
    ) -> ScoredImage:
        example = _example(serialized)
        return ScoredImage(
            _score(example, outputs),
            tuple(_text(example, name) for name in self.slice_features),
            _bytes(example, features.IMAGE),
            _bytes(example, features.SEGMENTATION_MASK),
            None if of_baseline is None else _score(example, of_baseline),
        )


def saved_scores(images: Iterator[ScoredImage], file: Path) -> Iterator[ScoredImage]:
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


def ensure_scores(record: RunRecord, run_directory: Path) -> None:
    """Scores the images of a run unless that was done; does nothing for a run that left nothing to score.

    Raises:
      ModelError: The exported model cannot be loaded.
    """
    file = run_directory / SCORES_FILE
    if file.is_file():
        return
    images = EvaluatedImages.of_run(record)
    if not isinstance(images, Missing):
        for _ in saved_scores(images.scored(), file):
            pass


def load_baseline(record: RunRecord) -> "ServedModel | Missing | None":
    """Returns the served model that a run's was compared with, from the run's copy; None where there was none."""
    if record.baseline is None or not record.baseline.found:
        return None
    directory = output_directory(record, SERVED_MODEL_RESOLVER, "model")
    if isinstance(directory, Missing):
        return directory
    from pipeline.models.loading import ServedModel

    try:
        model = ServedModel.load(str(directory / _SERVING_FORMAT))
        model.check_predicts()
    except ModelError as error:
        return Missing(f"Its copy cannot be used: {error}")
    return model


def _score(example: "tf.train.Example", outputs: Mapping[str, Any]) -> ImageScore:
    flat = np.asarray(outputs[features.CONFUSION_MATRIX])
    side = math.isqrt(flat.size)
    return ImageScore(
        _bytes(example, features.FILE_NAME).decode(errors="replace"),
        _bytes(example, features.EXAMPLE_ID).decode(),
        int(outputs[features.EXAMPLE_FINGERPRINT]),
        tuple(image_statistics(flat.reshape(side, side)).tolist()),
    )


def _records(files: list[str]) -> Iterator[bytes]:
    import tensorflow as tf

    return iter(tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator())


def _example(serialized: bytes) -> "tf.train.Example":
    import tensorflow as tf

    return tf.train.Example.FromString(serialized)


def _bytes(example: "tf.train.Example", name: str) -> bytes:
    value: bytes = example.features.feature[name].bytes_list.value[0]
    return value


def _text(example: "tf.train.Example", name: str) -> str:
    feature = example.features.feature[name]
    (value,) = getattr(feature, feature.WhichOneof("kind")).value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
