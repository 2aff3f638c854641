"""Evaluates an exported model on any TFDS data set, outside the pipeline, with the pipeline's own pieces."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.source import TfdsSource, open_dataset
from pipeline.served_model import ServedModel
from trainer_module.segmentation_metrics import segmentation_metrics

_BATCH_SIZE = 32


def evaluate_model(
    model: ServedModel, source: TfdsSource, split: str, on_progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Computes the Evaluator's metrics of a model on one split.

    Args:
      model: The model.
      source: The data set; `slice_features` are what the metrics are reported by, too.
      split: TFDS slice, such as `test` or `train[:100]`.
      on_progress: Called with the number of examples done and their total.

    Returns:
      `dataset` (name, version, split, examples), `metrics` and `slices`, in the JSON shapes of a run.
    """
    builder = open_dataset(source, {"evaluation": split})
    total = builder.info.splits[split].num_examples
    groups: dict[tuple[str, str] | None, _Group] = {}
    done = 0
    examples = _examples(builder, source, split)
    for batch in iter(lambda: list(itertools.islice(examples, _BATCH_SIZE)), []):
        results = model.evaluate([example.SerializeToString() for example in batch])
        for example, (matrix, loss) in zip(batch, results, strict=True):
            for key in (None, *_slice_keys(example, source)):
                groups.setdefault(key, _Group(len(model.card.class_names))).add(matrix, loss)
        done += len(batch)
        on_progress(done, total)
    overall = groups.pop(None)
    return {
        "dataset": {"name": builder.name, "version": str(builder.version), "split": split, "examples": overall.count},
        "metrics": overall.metrics(model.card.class_names),
        "slices": [
            {"slice": {key[0]: key[1]}, "examples": group.count, "metrics": group.metrics(model.card.class_names)}
            for key, group in sorted((key, group) for key, group in groups.items() if key is not None)
        ],
    }


class _Group:
    """Sums of one group of examples."""

    def __init__(self, num_classes: int) -> None:
        self._matrix = np.zeros((num_classes, num_classes), np.int64)
        self._loss = 0.0
        self.count = 0

    def add(self, matrix: np.ndarray, loss: float) -> None:
        self._matrix += matrix
        self._loss += loss
        self.count += 1

    def metrics(self, class_names: tuple[str, ...]) -> dict[str, float]:
        values = segmentation_metrics(self._matrix, self._loss / self.count, class_names)
        return {name: value for name, value in values.items() if not np.isnan(value)}


def _examples(builder: tfds.core.DatasetBuilder, source: TfdsSource, split: str) -> Iterator[tf.train.Example]:
    convert = ExampleConverter(source, builder.info.features)
    yield from map(convert, tfds.as_numpy(builder.as_dataset(split=split, **encoded_reading(source))))


def _slice_keys(example: tf.train.Example, source: TfdsSource) -> list[tuple[str, str]]:
    keys = []
    for name in source.slice_features:
        feature = example.features.feature[name]
        (value,) = getattr(feature, feature.WhichOneof("kind")).value
        keys.append((name, value.decode() if isinstance(value, bytes) else str(value)))
    return keys
