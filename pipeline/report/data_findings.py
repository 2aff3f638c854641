"""What StatisticsGen and ExampleValidator found in the data, read from their files without TFDV."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trainer_module import features

_SPLIT_PREFIX: Final = "Split-"


@dataclass(frozen=True)
class ByteSizes:
    """Sizes of an encoded feature in bytes."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True)
class SplitStatistics:
    """What StatisticsGen found in one split."""

    split: str
    examples: int
    sizes: Mapping[str, ByteSizes]
    """Of image and mask, by feature name."""

    values: Mapping[str, Mapping[str, int]]
    """Slice feature to value to its number of examples, the most frequent first."""


@dataclass(frozen=True)
class Anomaly:
    """Something in one split that the schema does not allow."""

    split: str
    feature: str
    severity: str
    description: str


def read_statistics(directory: Path, slice_features: Collection[str]) -> list[SplitStatistics]:
    """Reads the `statistics` of StatisticsGen.

    Raises:
      ValueError: There is no split, or a file is damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import statistics_pb2

    found = []
    for file in _files(directory, "FeatureStats.pb"):
        try:
            [dataset] = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()).datasets
        except DecodeError as error:
            raise ValueError(f"{file.name} of {file.parent.name} is damaged") from error
        by_name = {".".join(feature.path.step) or feature.name: feature for feature in dataset.features}
        sizes = {
            name: _sizes(by_name[name]) for name in (features.IMAGE, features.SEGMENTATION_MASK) if name in by_name
        }
        values = {name: _values(by_name[name]) for name in slice_features if name in by_name}
        found.append(SplitStatistics(_split(file), int(dataset.num_examples), sizes, values))
    return found


def read_anomalies(directory: Path) -> list[Anomaly]:
    """Reads the `anomalies` of ExampleValidator.

    Raises:
      ValueError: There is no split, or a file is damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    found = []
    for file in _files(directory, "SchemaDiff.pb"):
        try:
            anomalies = anomalies_pb2.Anomalies.FromString(file.read_bytes())
        except DecodeError as error:
            raise ValueError(f"{file.name} of {file.parent.name} is damaged") from error
        infos = sorted(anomalies.anomaly_info.items())
        if anomalies.HasField("dataset_anomaly_info"):
            infos.append(("the whole split", anomalies.dataset_anomaly_info))
        for feature, info in infos:
            severity = anomalies_pb2.AnomalyInfo.Severity.Name(info.severity).lower()
            text = info.description or info.short_description
            found.append(Anomaly(_split(file), feature, severity, text))
    return found


def _files(directory: Path, name: str) -> list[Path]:
    files = sorted(directory.glob(f"{_SPLIT_PREFIX}*/{name}"))
    if not files:
        raise ValueError(f"it has no {_SPLIT_PREFIX}*/{name}")
    return files


def _split(file: Path) -> str:
    return file.parent.name.removeprefix(_SPLIT_PREFIX)


def _sizes(feature: Any) -> ByteSizes:
    stats = feature.bytes_stats
    return ByteSizes(stats.min_num_bytes, stats.avg_num_bytes, stats.max_num_bytes)


def _values(feature: Any) -> dict[str, int]:
    return {bucket.label: int(bucket.sample_count) for bucket in feature.string_stats.rank_histogram.buckets}
