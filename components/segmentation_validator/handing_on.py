"""The files of the checked examples: those of the examples themselves, where nothing is to be changed in them."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import tensorflow as tf

from components.segmentation_validator.masks import canonical_mask
from trainer_module import features

_FILE_NAME = "data_tfrecord"
"""As TFX's ExampleGen calls them."""


@dataclass(frozen=True)
class SplitChange:
    """What the checked examples of a split have not in common with those that were read."""

    dropped: frozenset[str]
    """Ids of the examples that are left out."""

    changes_masks: bool
    """Whether masks have to be made canonical."""

    @property
    def is_any(self) -> bool:
        return bool(self.dropped) or self.changes_masks


def hand_on(
    sources: Mapping[str, str],
    targets: Mapping[str, str],
    changes: Mapping[str, SplitChange],
    make_pipeline: Callable[[], beam.Pipeline],
) -> None:
    """Writes the checked examples of each split.

    A split without changes has the same files: hard links where there can be, else copies. Another is written by Beam.

    Args:
      sources: Split name to the directory of its gzipped TFRecords.
      targets: Split name to the directory that they are written to.
      changes: Split name to what is changed.
      make_pipeline: Makes the Beam pipeline.
    """
    changed = {split: change for split, change in changes.items() if change.is_any}
    for split in sources.keys() - changed.keys():
        _link(sources[split], targets[split])
    if not changed:
        return
    with make_pipeline() as pipeline:
        for split, change in changed.items():
            (
                pipeline
                | f"Read[{split}]" >> beam.io.ReadFromTFRecord(f"{sources[split]}/*")
                | f"Change[{split}]" >> beam.FlatMap(_changed, change)
                | f"Write[{split}]" >> beam.io.WriteToTFRecord(f"{targets[split]}/{_FILE_NAME}", file_name_suffix=".gz")
            )


def _link(source: str, target: str) -> None:
    tf.io.gfile.makedirs(target)
    for path in sorted(tf.io.gfile.glob(f"{source}/*")):
        link = f"{target}/{path.rpartition('/')[2]}"
        try:
            os.link(Path(path), Path(link))
        except OSError:  # another file system, an object store, or one that knows no links
            tf.io.gfile.copy(path, link, overwrite=True)


def _changed(serialized: bytes, change: SplitChange) -> Iterator[bytes]:
    """Yields the checked example, if it is not dropped; its bytes are the same where its mask is."""
    example = tf.train.Example.FromString(serialized)
    values = example.features.feature
    if values[features.EXAMPLE_ID].bytes_list.value[0].decode(errors="replace") in change.dropped:
        return
    mask = values[features.SEGMENTATION_MASK].bytes_list.value[0]
    canonical = canonical_mask(mask)[0] if change.changes_masks else mask
    if canonical == mask:
        yield serialized
    else:
        values[features.SEGMENTATION_MASK].bytes_list.value[0] = canonical
        yield example.SerializeToString(deterministic=True)
