"""Evaluates an exported model on any TFDS data set, outside the pipeline, with the pipeline's own pieces."""

import itertools
from collections.abc import Callable, Collection, Container, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from components.model_evaluator.sums import EvaluationSums, require_outputs
from components.segmentation_validator.examination import MaskMeaning
from components.segmentation_validator.records import checked_example
from components.tfds_example_gen.conversion import ExampleConverter, encoded_reading
from components.tfds_example_gen.parting import positions_of
from components.tfds_example_gen.source import TfdsSource, open_dataset
from pipeline.models.loading import ServedModel

_BATCH_SIZE = 32


def evaluate_model(
    model: ServedModel, source: TfdsSource, split: str, on_progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Computes the Evaluator's metrics of a model on one split.

    Args:
      model: The model.
      source: The data set; `slice_features` are what the metrics are reported by, too.
      split: TFDS slice, such as `test` or `train[:100]`; of a source that a hash parts, one of the splits that it
        makes.
      on_progress: Called with the number of examples done and their total.

    Returns:
      `dataset` (name, version, split, examples), `metrics`, `distributions` and `slices`, in the JSON shapes of a run.

    Raises:
      ModelError: The model was exported by a version of petseg with other metrics.
    """
    require_outputs(model.evaluation_outputs, f"the model in {str(model.directory)!r}")
    class_names, image_pixels = model.card.class_names, model.card.image_size**2
    builder = open_dataset(source, {"evaluation": split})
    parted = source.hash_split
    slice_string = split if parted is None else parted.of
    positions: Collection[int] = (
        range(builder.info.splits[split].num_examples)
        if parted is None
        else positions_of(builder, source, parted, parted.of, split)
    )
    groups: dict[tuple[str, str] | None, EvaluationSums] = {}
    done = 0
    meaning = MaskMeaning(model.card.mask_values, model.card.ignore_values, class_names)
    examples = raw_examples(builder, source, slice_string, meaning, positions)
    for batch in iter(lambda: list(itertools.islice(examples, _BATCH_SIZE)), []):
        results = model.evaluate([example.SerializeToString() for example in batch])
        for example, outputs in zip(batch, results, strict=True):
            for key in (None, *_slice_keys(example, source)):
                groups.setdefault(key, EvaluationSums(len(class_names))).add(outputs)
        done += len(batch)
        on_progress(done, len(positions))
    overall = groups.pop(None)
    return {
        "dataset": {
            "name": builder.name,
            "version": str(builder.version),
            "split": split,
            "examples": overall.examples,
        },
        "metrics": _defined(overall.metrics(class_names, image_pixels)),
        "distributions": {name: array.tolist() for name, array in overall.distributions().items()},
        "slices": [
            {
                "slice": {key[0]: key[1]},
                "examples": group.examples,
                "metrics": _defined(group.metrics(class_names, image_pixels)),
            }
            for key, group in sorted((key, group) for key, group in groups.items() if key is not None)
        ],
    }


def _defined(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not np.isnan(value)}


def raw_examples(
    builder: tfds.core.DatasetBuilder,
    source: TfdsSource,
    split: str,
    meaning: MaskMeaning,
    positions: Container[int] | None = None,
) -> Iterator[tf.train.Example]:
    """Yields the examples of a TFDS slice as the pipeline would, in order, and drops none.

    Args:
      builder: The data set, prepared.
      source: How to read it.
      split: TFDS slice.
      meaning: What the values of its masks mean.
      positions: Of the examples to yield, counted from 0; None: all.

    Raises:
      DataError: An image or mask cannot be used, or the mask has values that the model knows no class for.
    """
    convert = ExampleConverter(source, builder.info.features)
    for position, record in enumerate(tfds.as_numpy(builder.as_dataset(split=split, **encoded_reading(source)))):
        if positions is None or position in positions:
            yield checked_example(convert(record), meaning)


def _slice_keys(example: tf.train.Example, source: TfdsSource) -> list[tuple[str, str]]:
    keys = []
    for name in source.slice_features:
        feature = example.features.feature[name]
        (value,) = getattr(feature, feature.WhichOneof("kind")).value
        keys.append((name, value.decode() if isinstance(value, bytes) else str(value)))
    return keys
