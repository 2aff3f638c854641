"""What is known of a run: its record, and what its components left, as far as it is still there.

What cannot be had is `Missing` and says why, so that a report can say it, too. Nothing here imports TensorFlow or TFX.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pipeline.config import Config
from pipeline.report.data_findings import Anomaly, SplitStatistics, read_anomalies, read_statistics
from pipeline.run_record import NodeState, RunRecord

_UNSET: Final = "(not set)"
_SHOWN_ELSEWHERE: Final = ("pipeline.root", "preset")

_Facts = TypeVar("_Facts")


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
class RunFacts:
    """Everything that a report says of a run, but for the pictures."""

    record: RunRecord
    settings: Sequence[Setting]
    history: History | Missing
    statistics: Sequence[SplitStatistics] | Missing
    anomalies: Sequence[Anomaly] | Missing

    @property
    def changed_settings(self) -> list[Setting]:
        """The settings that differ from the defaults."""
        changed = (setting for setting in self.settings if setting.value != setting.default)
        return [setting for setting in changed if setting.key not in _SHOWN_ELSEWHERE]

    @property
    def class_names(self) -> list[str]:
        return list(self.record.settings.get("data", {}).get("class_names", ()))

    @property
    def evaluated_split(self) -> str:
        """What to call the split that was evaluated: its name where the record has it."""
        return str(self.record.settings.get("evaluation", {}).get("split", "evaluated"))


def run_facts(record: RunRecord) -> RunFacts:
    """Returns what is known of a run."""
    slice_features = record.settings.get("data", {}).get("slice_features", ())
    return RunFacts(
        record=record,
        settings=_settings(record.settings),
        history=_of_output(record, "Trainer", "model_run", _read_history),
        statistics=_of_output(
            record, "StatisticsGen", "statistics", lambda directory: read_statistics(directory, slice_features)
        ),
        anomalies=_of_output(record, "ExampleValidator", "anomalies", read_anomalies),
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


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns every setting by its dotted name, as text."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flat_settings(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = _as_text(value)
    return flat


def _settings(settings: Mapping[str, Any]) -> list[Setting]:
    defaults = flat_settings(Config().model_dump(mode="json"))
    return [Setting(key, value, defaults.get(key, _UNSET)) for key, value in flat_settings(settings).items()]


def _as_text(value: Any) -> str:
    if value is None:
        return _UNSET
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _of_output(record: RunRecord, node_id: str, output: str, read: Callable[[Path], _Facts]) -> _Facts | Missing:
    directory = output_directory(record, node_id, output)
    if isinstance(directory, Missing):
        return directory
    try:
        return read(directory)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Missing(f"What {node_id} left at {directory} cannot be read: {type(error).__name__}: {error}.")


def _read_history(directory: Path) -> History:
    """Reads the history of the Trainer.

    Raises:
      ValueError: It holds no epoch.
    """
    epochs = json.loads((directory / "history.json").read_text(encoding="utf-8"))["epochs"]
    if not epochs:
        raise ValueError("history.json holds no epoch")
    return History(epochs, int(max(epochs, key=_goodness)["epoch"]))


def _goodness(epoch: Mapping[str, float | None]) -> float:
    """Returns what the Trainer selects the best weights by; older histories know the loss alone."""
    mean_iou, loss = epoch.get("val_mean_iou"), epoch.get("val_loss", epoch["loss"])
    if mean_iou is not None:
        return mean_iou
    return -math.inf if loss is None else -loss
