"""The shard files behind TFDS slices: which data they hold, what two slices share of them, and which is damaged."""

import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds

from trainer_module.errors import DataError


def _file_identity(path: str) -> bytes:
    if "://" in path:
        stat = tf.io.gfile.stat(path)
        return f"{path}:{stat.length}:{stat.mtime_nsec};".encode()
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def identity(
    builder: tfds.core.DatasetBuilder, splits: Iterable[str], file_identity: Callable[[str], bytes] = _file_identity
) -> str:
    """Returns a digest that changes when the data read for `splits` (TFDS slices) changes.

    It covers name, version and configuration, the slices, and each shard file: by content where it is local, by length
    and time of modification where it is remote.
    """
    slices = sorted(splits)
    digest = hashlib.sha256(builder.info.full_name.encode())
    for slice_string in slices:
        digest.update(f"{slice_string}={builder.info.splits[slice_string].num_examples};".encode())
    for path in _shards(builder, slices):
        digest.update(file_identity(path))
    return digest.hexdigest()


def split_identities(builder: tfds.core.DatasetBuilder, splits: Mapping[str, str]) -> dict[str, str]:
    """Returns the `identity` of each split by itself: split name to digest; each file is read once.

    Args:
      builder: The data set, prepared.
      splits: Split name to TFDS slice.
    """
    read_once = functools.cache(_file_identity)
    return {name: identity(builder, [slice_string], read_once) for name, slice_string in splits.items()}


def shared_examples(builder: tfds.core.DatasetBuilder, one: str, other: str) -> int:
    """Returns how many examples two TFDS slices have in common, by the stretches of files that TFDS reads for them."""
    return sum(
        max(0, min(first.skip + first.take, second.skip + second.take) - max(first.skip, second.skip))
        for first in builder.info.splits[one].file_instructions
        for second in builder.info.splits[other].file_instructions
        if first.filename == second.filename
    )


def check_shards(builder: tfds.core.DatasetBuilder, splits: Iterable[str]) -> None:
    """Reads every record behind `splits` (TFDS slices) to find a damaged file; TensorFlow's own error names none.

    Raises:
      DataError: A file is truncated, or a record does not match its checksum.
    """
    for path in _shards(builder, splits):
        try:
            for _ in tf.data.TFRecordDataset(path):
                pass
        except tf.errors.DataLossError as error:
            raise DataError(
                f"{path!r} of {builder.info.full_name} is damaged: {first_line(error)}. Copy it again, or remove "
                "the data set's directory and let it be prepared again."
            ) from error


def first_line(error: Exception) -> str:
    """Returns the first line of a message, without the names of TensorFlow's internals around it."""
    line = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", str(error).strip().split("\n")[0])
    return line.strip() or type(error).__name__


def _shards(builder: tfds.core.DatasetBuilder, splits: Iterable[str]) -> list[str]:
    instructions = (instruction for split in splits for instruction in builder.info.splits[split].file_instructions)
    return sorted({str(instruction.filename) for instruction in instructions})
