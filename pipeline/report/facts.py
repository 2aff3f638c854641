"""What is known of a run: its record, and what its components left, as far as it is still there.

What cannot be had is `Missing` and says why, so that a report can say it, too. Nothing here imports TensorFlow or TFX;
what StatisticsGen and ExampleValidator found is read from their files without TFDV.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from components.drift_detector.report import DRIFT_FILE, DriftReport
from components.refused_data import REFUSED_DIRECTORY
from components.segmentation_validator.findings import FindingsSummary
from pipeline.config.schema import Config
from pipeline.nodes import (
    DRIFT_DETECTOR,
    EXAMPLE_GEN,
    EXAMPLE_VALIDATOR,
    SEGMENTATION_VALIDATOR,
    STATISTICS_GEN,
    TRAINER,
)
from pipeline.runs.record import NodeState, RunRecord
from trainer_module import features
from trainer_module.model_card import EncoderWeights

_UNSET: Final = "(not set)"
_SHOWN_ELSEWHERE: Final = ("pipeline.root", "preset")
_SPLIT_PREFIX: Final = "Split-"

_Facts = TypeVar("_Facts")


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


@dataclass(frozen=True)
class Missing:
    """Something that a run did not leave, or that is gone."""

    reason: str
    """A sentence."""


@dataclass(frozen=True)
class Setting:
    """One setting of the run."""

    key: str
    value: str
    default: str


@dataclass(frozen=True)
class History:
    """What the Trainer tells of its epochs."""

    epochs: Sequence[Mapping[str, float | None]]
    """None for a number that is not finite."""

    best_epoch: int
    """The one with the lowest loss on eval, or on train where nothing was measured on eval."""


@dataclass(frozen=True)
class FoundInData:
    """What SegmentationValidator found."""

    summary: FindingsSummary
    directory: Path
    """Where the summary and its pictures are."""


@dataclass(frozen=True)
class RunFacts:
    """Everything that a report says of a run, but for the pictures."""

    record: RunRecord
    settings: Sequence[Setting]
    history: History | Missing
    encoder: EncoderWeights | Missing | None
    """Where its weights came from; None where the network has no encoder, or that is not known."""

    statistics: Sequence[SplitStatistics] | Missing
    anomalies: Sequence[Anomaly] | Missing
    drift: DriftReport | Missing
    findings: FoundInData | Missing

    @property
    def changed_settings(self) -> list[Setting]:
        """The settings that differ from the defaults."""
        changed = (setting for setting in self.settings if setting.value != setting.default)
        return [setting for setting in changed if setting.key not in _SHOWN_ELSEWHERE]

    @property
    def class_names(self) -> list[str]:
        return list(self.record.settings.get("data", {}).get("class_names", ()))

    @property
    def has_not_labelled(self) -> bool:
        """Whether some pixels of the data are not labelled."""
        return self.record.dataset is not None and bool(self.record.dataset.not_labelled_shares)

    @property
    def evaluated_split(self) -> str:
        """What to call the split that was evaluated: its name where the record has it."""
        return str(self.record.settings.get("evaluation", {}).get("split", "evaluated"))


def run_facts(record: RunRecord) -> RunFacts:
    """Returns what is known of a run."""
    slice_features = record.settings.get("data", {}).get("slice_features", ())
    defaults = flat_settings(Config().model_dump(mode="json"))
    settings = flat_settings(record.settings)
    return RunFacts(
        record=record,
        settings=[Setting(key, value, defaults.get(key, _UNSET)) for key, value in settings.items()],
        history=_of_output(record, TRAINER, "model_run", _read_history),
        encoder=_of_output(record, TRAINER, "model_run", _read_encoder),
        statistics=_of_output(
            record, STATISTICS_GEN, "statistics", lambda directory: _read_statistics(directory, slice_features)
        ),
        anomalies=_of_output(record, EXAMPLE_VALIDATOR, "anomalies", _read_anomalies),
        findings=_of_checked(record, SEGMENTATION_VALIDATOR, "findings", _read_findings),
        drift=_of_checked(record, DRIFT_DETECTOR, "drift", _read_drift),
    )


def output_directory(record: RunRecord, node_id: str, output: str) -> Path | Missing:
    """Returns where a component of a run left an output."""
    node = next((node for node in record.nodes if node.id == node_id), None)
    if node is None:
        return Missing(f"The run had no {node_id}.")
    uri = node.outputs.get(output)
    if uri is None and node.state in (NodeState.COMPLETE, NodeState.CACHED):
        return Missing(f"The record does not say where {node_id} left its {output.replace('_', ' ')}.")
    if uri is None:
        return Missing(f"{node_id} did not finish: it is {node.state}.")
    if not Path(uri).is_dir():
        return Missing(f"What {node_id} left at {uri} is gone.")
    return Path(uri)


def examples_directory(record: RunRecord) -> Path | Missing:
    """Returns where the raw examples are that a run worked on; in earlier versions, TfdsExampleGen checked them."""
    if any(node.id == SEGMENTATION_VALIDATOR for node in record.nodes):
        return output_directory(record, SEGMENTATION_VALIDATOR, "checked_examples")
    return output_directory(record, EXAMPLE_GEN, "examples")


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns every setting by its dotted name, as text."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flat_settings(value, f"{prefix}{key}.")
        elif value is None:
            flat[prefix + key] = _UNSET
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


def _of_output(record: RunRecord, node_id: str, output: str, read: Callable[[Path], _Facts]) -> _Facts | Missing:
    directory = output_directory(record, node_id, output)
    if isinstance(directory, Missing):
        return directory
    try:
        return read(directory)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Missing(f"What {node_id} left at {directory} cannot be read: {type(error).__name__}: {error}.")


def _of_checked(record: RunRecord, node_id: str, output: str, read: Callable[[Path], _Facts]) -> _Facts | Missing:
    """Returns what a component left that may refuse the data; where it did, from beside its artifacts."""
    root = record.settings.get("pipeline", {}).get("root", "")
    refused = Path(root, "artifacts", record.pipeline, node_id, REFUSED_DIRECTORY, record.run_id)
    return read(refused) if refused.is_dir() else _of_output(record, node_id, output, read)


def _read_drift(directory: Path) -> DriftReport:
    return DriftReport.parse((directory / DRIFT_FILE).read_bytes())


def _read_findings(directory: Path) -> FoundInData:
    return FoundInData(FindingsSummary.read(directory), directory)


def _read_history(directory: Path) -> History:
    """Reads the history of the Trainer.

    Raises:
      ValueError: It holds no epoch.
    """
    epochs = json.loads((directory / "history.json").read_text(encoding="utf-8"))["epochs"]
    if not epochs:
        raise ValueError("history.json holds no epoch")
    return History(epochs, int(max(epochs, key=_goodness)["epoch"]))


def _read_encoder(directory: Path) -> EncoderWeights | None:
    file = directory / "encoder_weights.json"
    return EncoderWeights.model_validate_json(file.read_bytes()) if file.is_file() else None


def _goodness(epoch: Mapping[str, float | None]) -> float:
    """Returns what the Trainer selects the best weights by; older histories know the loss alone."""
    mean_iou, loss = epoch.get("val_mean_iou"), epoch.get("val_loss", epoch["loss"])
    if mean_iou is not None:
        return mean_iou
    return -math.inf if loss is None else -loss


def _read_statistics(directory: Path, slice_features: Collection[str]) -> list[SplitStatistics]:
    """Reads the `statistics` of StatisticsGen.

    Raises:
      ValueError: There is no split, or a file is damaged.
    """
    from tensorflow_metadata.proto.v0 import statistics_pb2

    found = []
    for split, message in _of_splits(directory, "FeatureStats.pb", statistics_pb2.DatasetFeatureStatisticsList):
        [dataset] = message.datasets
        by_name = {".".join(feature.path.step) or feature.name: feature for feature in dataset.features}
        encoded = {
            name: by_name[name].bytes_stats for name in (features.IMAGE, features.SEGMENTATION_MASK) if name in by_name
        }
        sizes = {
            name: ByteSizes(stats.min_num_bytes, stats.avg_num_bytes, stats.max_num_bytes)
            for name, stats in encoded.items()
        }
        ranks = {name: by_name[name].string_stats.rank_histogram for name in slice_features if name in by_name}
        values = {
            name: {bucket.label: int(bucket.sample_count) for bucket in histogram.buckets}
            for name, histogram in ranks.items()
        }
        found.append(SplitStatistics(split, int(dataset.num_examples), sizes, values))
    return found


def _read_anomalies(directory: Path) -> list[Anomaly]:
    """Reads the `anomalies` of ExampleValidator.

    Raises:
      ValueError: There is no split, or a file is damaged.
    """
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    found = []
    for split, anomalies in _of_splits(directory, "SchemaDiff.pb", anomalies_pb2.Anomalies):
        infos = sorted(anomalies.anomaly_info.items())
        if anomalies.HasField("dataset_anomaly_info"):
            infos.append(("the whole split", anomalies.dataset_anomaly_info))
        for feature, info in infos:
            severity = anomalies_pb2.AnomalyInfo.Severity.Name(info.severity).lower()
            text = info.description or info.short_description
            found.append(Anomaly(split, feature, severity, text))
    return found


def _of_splits(directory: Path, name: str, message_type: Any) -> Iterator[tuple[str, Any]]:
    """Yields each split with the protobuf message that TFDV left of it."""
    from google.protobuf.message import DecodeError

    files = sorted(directory.glob(f"{_SPLIT_PREFIX}*/{name}"))
    if not files:
        raise ValueError(f"it has no {_SPLIT_PREFIX}*/{name}")
    for file in files:
        try:
            message = message_type.FromString(file.read_bytes())
        except DecodeError as error:
            raise ValueError(f"{file.name} of {file.parent.name} is damaged") from error
        yield file.parent.name.removeprefix(_SPLIT_PREFIX), message
