"""What a written split holds: which images, so that those that two splits share are found, and how much of each class.

Of each image its name and eight bytes are kept. Two different images among a million times a million have the same
eight bytes once in 18 million such pairs of splits.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf
from absl import logging
from numpy.typing import NDArray

from components.tfds_example_gen.example_names import shown_names
from components.tfds_example_gen.source import TfdsSource
from components.tfds_example_gen.splits import separate_splits
from trainer_module import features
from trainer_module.decoding import decode_mask
from trainer_module.errors import DataError

_DIGEST_BYTES: Final = 8
_VALUES: Final = 256
_SHOWN_DUPLICATES: Final = 5


@dataclass(frozen=True)
class SplitContents:
    """One split, as it was written."""

    file_names: dict[str, str]
    """Example id to file name, in order."""

    digests: NDArray[np.uint64]
    """[examples]: of each encoded image, in the same order."""

    class_pixels: list[int]
    """Pixels of each class in the masks as they were read, before any resizing."""

    not_labelled_pixels: int
    """All others."""

    def shared_with(self, other: "SplitContents") -> list[str]:
        """Returns the names (`shown_names`) of the examples whose encoded image another split has, too."""
        is_shared = np.isin(self.digests, other.digests)
        if not is_shared.any():
            return []
        names = shown_names(self.file_names)
        return [names[example_id] for example_id, shared in zip(self.file_names, is_shared, strict=True) if shared]


def read_contents(directory: str, mask_values: Sequence[int]) -> SplitContents:
    """Reads a split once.

    Args:
      directory: Of gzipped TFRecords with examples of the data contract.
      mask_values: The value of each class in the masks; pixels of other values are not labelled.
    """
    spec = {
        name: tf.io.FixedLenFeature([], tf.string)
        for name in (features.IMAGE, features.SEGMENTATION_MASK, features.EXAMPLE_ID, features.FILE_NAME)
    }

    def parse(record: tf.Tensor) -> tuple[tf.Tensor, ...]:
        example = tf.io.parse_single_example(record, spec)
        mask = decode_mask(example[features.SEGMENTATION_MASK])
        counts = tf.math.bincount(mask, minlength=_VALUES, maxlength=_VALUES, dtype=tf.int64)
        return example[features.IMAGE], example[features.EXAMPLE_ID], example[features.FILE_NAME], counts

    files = sorted(tf.io.gfile.glob(f"{directory}/*"))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    file_names, digests, pixels = {}, [], np.zeros(_VALUES, np.int64)
    for image, example_id, file_name, counts in records.as_numpy_iterator():
        file_names[example_id.decode(errors="replace")] = file_name.decode(errors="replace")
        digests.append(int.from_bytes(hashlib.blake2b(image, digest_size=_DIGEST_BYTES).digest(), "little"))
        pixels += counts
    of_classes = pixels[list(mask_values)]
    others = int(pixels.sum() - of_classes.sum())
    return SplitContents(file_names, np.array(digests, np.uint64), of_classes.tolist(), others)


def check_labelled(contents: Mapping[str, SplitContents], source: TfdsSource) -> None:
    """Checks that every split has labelled pixels.

    Raises:
      DataError: One has none, so that nothing could be learned from it, or measured on it.
    """
    for split, found in contents.items():
        if not any(found.class_pixels):
            raise DataError(
                f"no pixel of the split {split!r} is labelled: all {found.not_labelled_pixels:,} have a value of "
                f"data.ignore_values = {list(source.ignore_values)}, and none one of data.mask_values = "
                f"{list(source.mask_values)}. Check both settings, or give the split images with labels."
            )


def check_shared_images(contents: Mapping[str, SplitContents], source: TfdsSource) -> list[tuple[str, str, int]]:
    """Returns which splits share images that must not: two splits, and how many images of the second are in the first.

    Args:
      contents: Split name to what was written.
      source: What was read.

    Raises:
      DataError: There are some, and that is refused.
    """
    found = []
    for first, second, reason, _ in separate_splits(source.evaluation_split):
        both_read = first in contents and second in contents
        names = contents[second].shared_with(contents[first]) if both_read else []
        if not names:
            continue
        shown = ", ".join(map(repr, names[:_SHOWN_DUPLICATES])) + (", …" if len(names) > _SHOWN_DUPLICATES else "")
        message = (
            f"{len(names)} images of the split {second!r} are in the split {first!r} too, bytes for bytes: {shown}; "
            f"{reason}"
        )
        if source.duplicates == "error":
            raise DataError(f'{message}. Take them out of one split, or accept them with data.duplicates = "warn"')
        logging.warning("%s", message)
        found.append((first, second, len(names)))
    return found
