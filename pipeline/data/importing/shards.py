"""Shards of a data set in TFDS' form: written by TFDS' own writer, kept until the version is whole, and taken over."""

import errno
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer, file_adapters, naming
from tensorflow_datasets.core import writer as tfds_writer
from tensorflow_datasets.core.utils.lazy_imports_utils import tensorflow as tf

from components.dataset_card import DatasetCard
from pipeline.data.importing.entries import Entry
from pipeline.data.importing.examples import Fit, Made, Rules, Task, make_example
from trainer_module import features

_WRITER: Final = tfds_writer.ExampleWriter(file_adapters.FileFormat.TFRECORD)
_FRAME_BYTES: Final = 16
"""Of each record in a TFRecord: its length and two checksums."""


class DiskFullError(Exception):
    """There is no room for a shard."""


@dataclass(frozen=True)
class ShardJob:
    """Pictures that are to become a shard."""

    tasks: tuple[Task, ...]
    rules: Rules
    staging: str
    """Directory for the finished shard."""

    @property
    def key(self) -> str:
        """Says what the shard is made of, files and rules; what has been made of the same is not made again."""
        digest = hashlib.sha256(repr((self.rules.card, self.rules.drawn_on, self.rules.labels)).encode())
        for task in self.tasks:
            digest.update(repr((task.entry, self.rules.exif_dates)).encode())
        return digest.hexdigest()[:32]


@dataclass(frozen=True)
class CopyJob:
    """A shard of the version before of which not all records stay."""

    shard: str
    positions: tuple[int, ...]
    """Of the records that stay."""

    entries: tuple[Entry, ...]
    """Of the same."""

    staging: str


@dataclass(frozen=True)
class Shard:
    """A shard that is finished."""

    path: Path
    split: str
    entries: tuple[Entry, ...]
    """Of its examples, in the order of the records."""

    @property
    def record_bytes(self) -> int:
        """Bytes of all its records."""
        return self.path.stat().st_size - _FRAME_BYTES * len(self.entries)


@dataclass(frozen=True)
class ShardResult:
    """What became of the pictures of a job."""

    shard: Shard | None
    """None where none of them came into it."""

    dropped: tuple[Entry, ...]
    put_off: tuple[str, ...]
    """Names of the pictures whose mask does not tell by its size what it was drawn on."""

    fits: Mapping[Fit, int]
    """How many masks of turned images fit in which way."""


def feature_connectors(labels: Iterable[str]) -> tfds.features.FeaturesDict:
    """Returns the features of an imported data set."""
    return tfds.features.FeaturesDict(
        {
            features.IMAGE: tfds.features.Image(shape=(None, None, 3)),
            features.SEGMENTATION_MASK: tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
            features.FILE_NAME: tfds.features.Text(),
            features.DATE: tfds.features.Scalar(dtype=np.int64),
            **{name: tfds.features.Text() for name in labels},
        }
    )


def finished(job: ShardJob) -> ShardResult | None:
    """Returns what an import that ended early has made of the same pictures; None where it has not."""
    try:
        told = json.loads((Path(job.staging) / f"{job.key}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    result = _result(job, told)
    could_be_read = all(entry.stamp for entry in result.dropped)
    return result if could_be_read else None


def write_shard(job: ShardJob) -> ShardResult:
    """Makes the examples of a shard and writes it.

    Raises:
      DiskFullError: There is no room.
    """
    connectors = feature_connectors(job.rules.labels)
    serializer = example_serializer.ExampleSerializer(connectors.get_serialized_info())
    told: dict[str, Any] = {"entries": [], "put_off": [], "fits": dict.fromkeys(Fit, 0)}

    def records() -> Iterator[tuple[int, bytes]]:
        for number, task in enumerate(job.tasks):
            made = make_example(task, job.rules)
            _tell(made, told)
            if made.example is not None:
                example = serializer.get_tf_example(connectors.encode_example(made.example))
                yield number, example.SerializeToString(deterministic=True)

    staging = Path(job.staging)
    _write(staging / f"{job.key}.tfrecord", records())
    unfinished = staging / f"{job.key}.json.tmp"
    with _room_for(unfinished):
        unfinished.write_text(json.dumps(told), encoding="utf-8")
    unfinished.replace(staging / f"{job.key}.json")
    return _result(job, told)


def copy_shard(job: CopyJob) -> Shard:
    """Writes a shard with those records of another that stay, as they are.

    Raises:
      DiskFullError: There is no room.
    """
    path = (
        Path(job.staging)
        / f"copy-{hashlib.sha256(repr((job.shard, job.positions)).encode()).hexdigest()[:32]}.tfrecord"
    )
    stay = set(job.positions)
    records = file_adapters.TfRecordFileAdapter.make_tf_data(job.shard).as_numpy_iterator()
    _write(path, (each for each in enumerate(records) if each[0] in stay))
    return Shard(path, job.entries[0].split, job.entries)


@dataclass(frozen=True)
class Description:
    """What TFDS keeps of a version beside its shards."""

    directory: Path
    """Of the version, or where it is made."""

    name: str
    version: str
    card: DatasetCard
    labels: tuple[str, ...]
    """Names of the text features."""

    shard_lengths: Mapping[str, Sequence[int]]
    """Split name to the number of examples in each of its shards."""

    record_bytes: Mapping[str, int]
    """Split name to the bytes of its records."""


def write_description(description: Description) -> None:
    """Writes the features, the sizes of splits and shards, and the card."""
    directory, name = description.directory, description.name
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=name, version=tfds.core.Version(description.version), data_dir=str(directory), module_name=""
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description="Images and masks, imported by petseg.",
        features=feature_connectors(description.labels),
        metadata=tfds.core.MetadataDict(description.card.as_metadata()),
    )
    info.set_file_format(file_adapters.FileFormat.TFRECORD)
    info.set_splits(
        tfds.core.splits.SplitDict(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=list(lengths),
                num_bytes=description.record_bytes[split],
                filename_template=_file_names(directory, name, split),
            )
            for split, lengths in description.shard_lengths.items()
        )
    )
    info.write_to_directory(directory)


def shard_files(directory: Path, name: str, split: str, count: int) -> list[Path]:
    """Returns where the shards of a split are in a version."""
    return [Path(file) for file in _file_names(directory, name, split).sharded_filepaths(count)]


def _file_names(directory: Path, name: str, split: str) -> naming.ShardedFileTemplate:
    return naming.ShardedFileTemplate(data_dir=directory, dataset_name=name, split=split, filetype_suffix="tfrecord")


def _tell(made: Made, told: dict[str, Any]) -> None:
    """Adds what became of a picture to what is told of its shard."""
    if made.is_put_off:
        told["put_off"].append(made.entry.name)
        return
    told["entries"].append(made.entry.as_json())
    if made.fit is not None:
        told["fits"][made.fit] += 1


def _result(job: ShardJob, told: Mapping[str, Any]) -> ShardResult:
    entries = [Entry.from_json(values) for values in told["entries"]]
    kept = tuple(entry for entry in entries if entry.is_kept)
    shard = Shard(Path(job.staging) / f"{job.key}.tfrecord", kept[0].split, kept) if kept else None
    dropped = tuple(entry for entry in entries if not entry.is_kept)
    return ShardResult(
        shard, dropped, tuple(told["put_off"]), {Fit(fit): number for fit, number in told["fits"].items()}
    )


def _write(path: Path, records: Iterable[tuple[int, bytes]]) -> None:
    """Writes a file that is there as a whole or not at all."""
    unfinished = path.with_suffix(".tmp")
    with _room_for(unfinished):
        _WRITER.write(unfinished, records)
    unfinished.replace(path)


@contextmanager
def _room_for(file: Path) -> Iterator[None]:
    """Removes a file whose writing fails, and says so where the reason is that the disk is full."""
    try:
        yield
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        file.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(str(file)) from error
    except BaseException:
        file.unlink(missing_ok=True)
        raise
