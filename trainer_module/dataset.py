"""Transformed examples as batches for Keras."""

import os
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from trainer_module import features
from trainer_module.preprocessing import decode_image_xf, decode_mask_xf, normalize

_SHUFFLE_BUFFER_EXAMPLES = 4096
_PREFETCHED_BATCHES = 4


def count_examples(file_patterns: Sequence[str]) -> int:
    """Counts the records of the files, by reading them once."""
    return int(_records(file_patterns).reduce(0, lambda count, _: count + 1))


def train_dataset(
    file_patterns: Sequence[str],
    transform_output: tft.TFTransformOutput,
    image_size: int,
    batch_size: int,
    seed: int,
    skip_batches: int = 0,
) -> tf.data.Dataset:
    """Returns endless batches in another order each epoch, determined by `seed`. Elements as in `eval_dataset`.

    Args:
      file_patterns: Files of transformed examples.
      transform_output: What Transform left.
      image_size: Side of the images, in pixels.
      batch_size: Examples in a batch.
      seed: Of the order.
      skip_batches: Leaves out so many batches of the start; their records are read but not decoded.
    """

    def shuffled(_: tf.Tensor) -> tf.data.Dataset:
        records = _records(file_patterns).shuffle(_SHUFFLE_BUFFER_EXAMPLES, seed=seed).repeat()
        return records.skip(skip_batches * batch_size)

    # A shuffled data set draws another order for each iterator over it, and distribution strategies make more than
    # one. Made anew inside flat_map, it gives every iterator the order that its first would have.
    records = tf.data.Dataset.range(1).flat_map(shuffled)
    records = records.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return _batches(records, transform_output, image_size, batch_size)


def eval_dataset(
    file_patterns: Sequence[str], transform_output: tft.TFTransformOutput, image_size: int, batch_size: int
) -> tf.data.Dataset:
    """Returns one pass in file order; the last batch may be smaller.

    Elements are pairs of normalized images, float32 [batch, image_size, image_size, 3], and class ids, uint8
    [batch, image_size, image_size].
    """
    return _batches(_records(file_patterns), transform_output, image_size, batch_size)


def _records(file_patterns: Sequence[str]) -> tf.data.Dataset:
    files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
    return tf.data.TFRecordDataset(files, compression_type="GZIP")


def _batches(
    records: tf.data.Dataset, transform_output: tft.TFTransformOutput, image_size: int, batch_size: int
) -> tf.data.Dataset:
    feature_spec = transform_output.transformed_feature_spec()

    def parse(record: tf.Tensor) -> tuple[tf.Tensor, ...]:
        example = tf.io.parse_single_example(record, feature_spec)
        return (
            decode_image_xf(example[features.IMAGE_XF], image_size),
            example[features.IMAGE_OFFSET_XF],
            example[features.IMAGE_SCALE_XF],
            decode_mask_xf(example[features.SEGMENTATION_MASK_XF], image_size),
        )

    def to_model_input(
        image: tf.Tensor, offset: tf.Tensor, scale: tf.Tensor, class_ids: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return normalize(image, offset, scale), class_ids

    # No autotuning: its thread keeps an iterator from closing, for up to 45 seconds at the end of a training of two
    # minutes, and its buffers grow with the memory there is.
    options = tf.data.Options()
    options.autotune.enabled = False
    # There may be fewer files than workers: each takes its share of every batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    parallelism = os.cpu_count() or 1
    return (
        records.map(parse, num_parallel_calls=parallelism)
        .batch(batch_size)
        .map(to_model_input, num_parallel_calls=parallelism)
        .prefetch(_PREFETCHED_BATCHES)
        .with_options(options)
    )
