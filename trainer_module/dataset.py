"""Transformed examples as batches for Keras."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray

from trainer_module import features
from trainer_module.augmentation import NUM_DRAWS, augment, is_active
from trainer_module.config import AugmentationConfig
from trainer_module.preprocessing import decode_image_xf, decode_mask_xf, normalize

_SHUFFLE_BUFFER_EXAMPLES = 4096
_PREFETCHED_BATCHES = 4
_PARALLELISM = os.cpu_count() or 1


@dataclass(frozen=True)
class Examples:
    """A few examples in memory."""

    pixels: NDArray[np.uint8]
    """[examples, image_size, image_size, 3], RGB."""

    images: NDArray[np.float32]
    """The same, normalized for the network."""

    class_ids: NDArray[np.uint8]
    """[examples, image_size, image_size], with `features.NOT_LABELLED` among them."""


def count_examples(file_patterns: Sequence[str]) -> int:
    """Counts the records of the files, by reading them once."""
    return int(_records(file_patterns).reduce(0, lambda count, _: count + 1))


def count_class_pixels(
    file_patterns: Sequence[str], transform_output: tft.TFTransformOutput, image_size: int, num_classes: int
) -> NDArray[np.int64]:
    """Counts the labelled pixels of each class, [num_classes], by reading the masks of all examples once.

    One more pass over the files takes seconds, and only a training that weighs its classes needs it; an analyzer of
    Transform would make every data set pay, and run Transform anew for a setting of the Trainer.
    """
    spec = {features.SEGMENTATION_MASK_XF: transform_output.transformed_feature_spec()[features.SEGMENTATION_MASK_XF]}

    def pixels(record: tf.Tensor) -> tf.Tensor:
        serialized = tf.io.parse_single_example(record, spec)[features.SEGMENTATION_MASK_XF]
        class_ids = tf.cast(decode_mask_xf(serialized, image_size), tf.int32)
        return tf.math.bincount(class_ids, minlength=num_classes, maxlength=num_classes, dtype=tf.int64)

    counts = _records(file_patterns).map(pixels, num_parallel_calls=_PARALLELISM)
    return np.asarray(counts.reduce(np.zeros(num_classes, np.int64), lambda total, count: total + count))


def train_dataset(
    file_patterns: Sequence[str],
    transform_output: tft.TFTransformOutput,
    image_size: int,
    batch_size: int,
    seed: int,
    *,
    num_examples: int,
    augmentation: AugmentationConfig,
    reflects_masks: bool = True,
    skip_batches: int = 0,
) -> tf.data.Dataset:
    """Returns endless batches in another order each epoch, augmented. Elements as in `eval_dataset`.

    `seed` determines the order, and with the number of a batch how its images are changed: neither depends on the
    number of threads or workers, nor on where the reading starts.

    Args:
      file_patterns: Files of transformed examples.
      transform_output: What Transform left.
      image_size: Side of the images, in pixels.
      batch_size: Examples in a batch.
      seed: Of order and augmentation.
      num_examples: Examples in the files.
      augmentation: How to change images and masks.
      reflects_masks: See `augment`.
      skip_batches: Leaves out so many batches of the start; their records are read but not decoded.
    """

    def shuffled(_: tf.Tensor) -> tf.data.Dataset:
        records = _records(file_patterns)
        if num_examples <= _SHUFFLE_BUFFER_EXAMPLES:
            records = records.cache()  # the buffer holds all of them anyway: unzipped once, in the same memory
        return records.shuffle(_SHUFFLE_BUFFER_EXAMPLES, seed=seed).repeat().skip(skip_batches * batch_size)

    def augmented(number: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        images, offset, scale, class_ids = batch
        draws = tf.random.stateless_uniform((tf.shape(images)[0], NUM_DRAWS), seed=(seed, number))
        images, class_ids = augment(images, class_ids, draws, augmentation, reflects_masks=reflects_masks)
        return normalize(images, offset, scale), class_ids

    # A shuffled data set draws another order for each iterator over it, and distribution strategies make more than
    # one. Made anew inside flat_map, it gives every iterator the order that its first would have.
    records = tf.data.Dataset.range(1).flat_map(shuffled)
    records = records.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    batches = _batches(records, transform_output, image_size, batch_size)
    if is_active(augmentation):
        return _prepared(batches.enumerate(skip_batches), augmented)
    return _prepared(batches, _to_model_input)


def eval_dataset(
    file_patterns: Sequence[str], transform_output: tft.TFTransformOutput, image_size: int, batch_size: int
) -> tf.data.Dataset:
    """Returns one pass in file order; the last batch may be smaller.

    Elements are pairs of normalized images, float32 [batch, image_size, image_size, 3], and class ids, uint8
    [batch, image_size, image_size].
    """
    return _prepared(_batches(_records(file_patterns), transform_output, image_size, batch_size), _to_model_input)


def first_examples(
    file_patterns: Sequence[str], transform_output: tft.TFTransformOutput, image_size: int, count: int
) -> Examples:
    """Returns the first examples in file order, or all where there are fewer."""
    batches = _batches(_records(file_patterns), transform_output, image_size, count)
    pixels, offset, scale, class_ids = next(iter(batches))
    return Examples(pixels.numpy(), normalize(pixels, offset, scale).numpy(), class_ids.numpy())


def _records(file_patterns: Sequence[str]) -> tf.data.Dataset:
    files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
    return tf.data.TFRecordDataset(files, compression_type="GZIP")


def _batches(
    records: tf.data.Dataset, transform_output: tft.TFTransformOutput, image_size: int, batch_size: int
) -> tf.data.Dataset:
    """Returns batches of images, uint8, offset and scale of their normalization, and class ids."""
    feature_spec = transform_output.transformed_feature_spec()

    def parse(record: tf.Tensor) -> tuple[tf.Tensor, ...]:
        example = tf.io.parse_single_example(record, feature_spec)
        return (
            decode_image_xf(example[features.IMAGE_XF], image_size),
            example[features.IMAGE_OFFSET_XF],
            example[features.IMAGE_SCALE_XF],
            decode_mask_xf(example[features.SEGMENTATION_MASK_XF], image_size),
        )

    return records.map(parse, num_parallel_calls=_PARALLELISM).batch(batch_size)


def _to_model_input(
    image: tf.Tensor, offset: tf.Tensor, scale: tf.Tensor, class_ids: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    return normalize(image, offset, scale), class_ids


def _prepared(batches: tf.data.Dataset, to_model_input: Callable[..., Any]) -> tf.data.Dataset:
    # No autotuning: its thread keeps an iterator from closing, for up to 45 seconds at the end of a training of two
    # minutes, and its buffers grow with the memory there is.
    options = tf.data.Options()
    options.autotune.enabled = False
    # There may be fewer files than workers: each takes its share of every batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    prepared = batches.map(to_model_input, num_parallel_calls=_PARALLELISM)
    return prepared.prefetch(_PREFETCHED_BATCHES).with_options(options)
