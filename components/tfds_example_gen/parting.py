"""Splits that a hash makes: where an example belongs follows from its own content, whatever else is in the data set.

The rule is that of TFX's ExampleGen for `SplitConfig.partition_feature_name`: SHA-256 of the serialized feature, modulo
the number of buckets. It is stated here once more because not only Beam goes by it, and because an image is to stay
where it is when TFX changes; a test holds the two together.
"""

import bisect
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from components.tfds_example_gen.conversion import feature_of
from components.tfds_example_gen.hash_split import BY_IMAGE, HashSplit, hashable_features
from components.tfds_example_gen.source import TfdsSource, has_dates
from trainer_module.errors import DataError
from trainer_module.features import DATE, FILE_NAME

_CONTENT_BYTES: Final = 16


class Parting:
    """Tells of a record which split it is in; travels to Beam's workers."""

    def __init__(
        self,
        split: HashSplit,
        image_feature: str,
        feature_connectors: Mapping[str, tfds.features.FeatureConnector],
    ) -> None:
        self.feature = image_feature if split.by == BY_IMAGE else split.by
        label = feature_connectors[self.feature]
        self._label = label if isinstance(label, tfds.features.ClassLabel) else None
        self.slice = split.of
        self.names = [*split.buckets]
        self._ends = [*itertools.accumulate(split.buckets.values())]

    def __call__(self, record: Mapping[str, Any]) -> str:
        """Returns the split of a record, which has its image encoded; a class label counts by its name."""
        value = record[self.feature]
        return self.of_value(value if self._label is None else self._label.int2str(int(value)).encode())

    def of_value(self, value: bytes | int) -> str:
        """Returns the split of the records that have a value."""
        content = feature_of(value).SerializeToString(deterministic=True)
        bucket = int.from_bytes(hashlib.sha256(content).digest(), "big") % self._ends[-1]
        return self.names[bisect.bisect(self._ends, bucket)]


@dataclass(frozen=True)
class PartedExamples:
    """What is to be known of the examples of each split before they are read for good."""

    contents: Mapping[str, NDArray[np.void]]
    """Split name to the digest of each of its examples, in their order."""

    days: Mapping[str, NDArray[np.int64]]
    """Split name to the day of each of its examples, since 1970-01-01; empty of data without dates."""

    def digests(self, first_days: Mapping[str, int]) -> dict[str, str]:
        """Returns split to a digest of its examples that are of a day or later, whatever files and order they are in.

        Args:
          first_days: Split name to that day; splits that are not in it are read whole.
        """
        return {
            split: digest_of(contents[self.days[split] >= first_days[split]] if split in first_days else contents)
            for split, contents in self.contents.items()
        }


def parted_examples(builder: tfds.core.DatasetBuilder, source: TfdsSource, split: HashSplit) -> PartedExamples:
    """Reads a data set once, without decoding an image, and parts it.

    Raises:
      DataError: A split has no example.
    """
    part = Parting(split, source.image_feature, builder.info.features)
    contents: dict[str, list[bytes]] = {name: [] for name in split.shares}
    days: dict[str, list[int]] = {name: [] for name in split.shares}
    dated = has_dates(builder)
    for record, content in _contents(builder, source, split.of):
        name = part(record)
        contents[name].append(content)
        if dated:
            days[name].append(int(record[DATE]))
    empty = [name for name, of_split in contents.items() if not of_split]
    if empty:
        total = sum(map(len, contents.values()))
        raise DataError(
            f"data.hash_split: of the {total:,} examples of {split.of!r} of {builder.info.full_name} none falls to "
            f"{', '.join(map(repr, empty))} by the hash of {split.by!r}; the shares are {split.shares}. Raise its "
            "share, hash another feature, or bring in more data"
        )
    return PartedExamples(
        {name: _array(of_split) for name, of_split in contents.items()},
        {name: np.array(of_split, np.int64) for name, of_split in days.items()} if dated else {},
    )


def positions_of(
    builder: tfds.core.DatasetBuilder, source: TfdsSource, split: HashSplit, slice_string: str, name: str
) -> frozenset[int]:
    """Returns the positions in a TFDS slice, read in order, of the examples that belong to a split.

    Args:
      builder: The data set, prepared.
      source: Which of its features are the images.
      split: How it is parted.
      slice_string: The slice, of which nothing but what is hashed is read.
      name: Of the split.

    Raises:
      DataError: There is no such example.
    """
    part = Parting(split, source.image_feature, builder.info.features)
    decoders = tfds.decode.PartialDecoding(
        {part.feature: True}, {part.feature: tfds.decode.SkipDecoding()} if split.by == BY_IMAGE else {}
    )
    records = builder.as_dataset(
        split=slice_string, decoders=decoders, read_config=tfds.ReadConfig(interleave_cycle_length=1)
    )
    found = frozenset(position for position, record in enumerate(tfds.as_numpy(records)) if part(record) == name)
    if not found:
        raise DataError(f"no example of {slice_string!r} of {builder.info.full_name} belongs to the split {name!r}.")
    return found


def content_of_slice(builder: tfds.core.DatasetBuilder, source: TfdsSource, slice_string: str) -> str:
    """Returns a digest of the examples of a TFDS slice, whatever files they are in and in whatever order."""
    return digest_of(_array(content for _, content in _contents(builder, source, slice_string)))


def digest_of(contents: NDArray[np.void]) -> str:
    """Returns a digest of examples, by the digest of each, in whatever order."""
    return hashlib.sha256(b"".join(sorted(contents.tolist()))).hexdigest()


def _contents(
    builder: tfds.core.DatasetBuilder, source: TfdsSource, slice_string: str
) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """Yields each record, as far as it counts, with a digest of image, mask and labels, without its name and day."""
    pictures, scalars = (source.image_feature, source.mask_feature), hashable_features(builder)
    hashed = [*pictures, *(name for name in scalars if name not in (FILE_NAME, DATE))]
    decoders = tfds.decode.PartialDecoding(
        dict.fromkeys((*pictures, *scalars), True), dict.fromkeys(pictures, tfds.decode.SkipDecoding())
    )
    records = builder.as_dataset(split=slice_string, decoders=decoders, shuffle_files=False)
    for record in tfds.as_numpy(records):
        digest = hashlib.blake2b(digest_size=_CONTENT_BYTES)
        for name in hashed:
            value = record[name] if isinstance(record[name], bytes) else str(record[name]).encode()
            digest.update(len(value).to_bytes(8, "big") + value)
        yield record, digest.digest()


def _array(contents: Iterable[bytes]) -> NDArray[np.void]:
    """Returns digests in the memory that they take, to choose from them by a mask."""
    return np.frombuffer(b"".join(contents), np.dtype((np.void, _CONTENT_BYTES)))
