"""What there is to tell of a run, by its record: the more of it is known, the more items there are."""

import getpass
import json
import math
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from components.model_pusher.files import pushed_content
from components.retraining_decider.decision import Decision
from pipeline.runs.record import RunRecord, RunState
from pipeline.runs.tables import comparison_clause, comparison_text
from pipeline.tracking.items import (
    Artifact,
    Beginning,
    Data,
    End,
    Item,
    Measurement,
    Metrics,
    Params,
    PushedModel,
    Tags,
)
from trainer_module.errors import ModelError

RUN_ID_TAG: Final = "petseg.run_id"
LOCATION_TAG: Final = "petseg.location"
ERROR_TAG: Final = "petseg.error"

HISTORY_FILE: Final = "history.json"
_TRAINING: Final = "training"
"""Begins the names of the curves, and is the directory of the artifacts of the training."""

_LONGEST_NAME: Final = 250
_LONGEST_VALUE: Final = 6000
"""Of a param; MLflow's limits."""

LONGEST_TAG: Final = 5000
_CUT: Final = " … (cut; the whole is in config.json)"
_SLICE_METRICS: Final = ("accuracy", "mean_iou")
"""What is told of every slice, and of the served model, beside what a bound is on; three dozen metrics of each breed
would bury the others."""

_NO_PART_OF_A_NAME: Final = re.compile(r"[^\w. :-]", re.ASCII)
_NO_CURVES: Final = ("epoch", "seconds")
_STATUS: Final[Mapping[RunState, Literal["FINISHED", "FAILED", "KILLED"]]] = {
    RunState.COMPLETE: "FINISHED",
    RunState.FAILED: "FAILED",
    RunState.INTERRUPTED: "KILLED",
}


def beginning(record: RunRecord) -> Beginning:
    """Returns what the run is made from on the server."""
    return Beginning(run_id=record.run_id, started_ms=round(record.started.timestamp() * 1000))


def facts(record: RunRecord, model_run: Path | None) -> list[Item]:
    """Returns what is known of a run so far; the same facts give the same items.

    Args:
      record: Of the run.
      model_run: The directory that the Trainer left; None where it did not.
    """
    time_ms = beginning(record).started_ms
    items: list[Item] = [Params(values=_params(record)), Tags(values=_tags(record)), *_data(record)]
    if model_run is not None:
        items += _curves(model_run, time_ms)
    if record.decision is not None and (numbers := _decision_numbers(record.decision)):
        items.append(Metrics(values=numbers, time_ms=time_ms))
    if metrics := _final_metrics(record):
        items.append(Metrics(values=tuple(metrics), time_ms=time_ms))
    if model := _pushed_model(record):
        items.append(model)
    return items


def files(*, model_run: Path | None, page: Path | None, model_card: Path | None, directory: Path | None) -> list[Item]:
    """Returns the files of a run that has ended; those that are not there are left out.

    Args:
      model_run: The directory that the Trainer left.
      page: The report.
      model_card: The model card.
      directory: Of the run's own files: record and configuration.
    """
    own = [directory / name for name in ("run.json", "config.json")] if directory else []
    found: list[Item] = [
        Artifact(path=str(file)) for file in (page, model_card, *own) if file is not None and file.is_file()
    ]
    if model_run is not None and model_run.is_dir():
        found += [Artifact(path=str(file), to=_TRAINING) for file in sorted(model_run.glob("*.json"))]
        found += [
            Artifact(path=str(model_run / name), to=f"{_TRAINING}/{name}")
            for name in ("samples", "tensorboard")
            if (model_run / name).is_dir()
        ]
    return found


def ending(record: RunRecord) -> End:
    """Returns how a run ended; whether its model was blessed does not count."""
    return End(
        status=_STATUS.get(record.state, "KILLED"),
        time_ms=round(record.started.timestamp() * 1000 + record.seconds * 1000),
    )


def curve_points(epoch: int, numbers: Mapping[str, float | None]) -> tuple[Measurement, ...]:
    """Returns the points of an epoch on the curves; numbers that are none are left out."""
    return tuple(
        Measurement(name=metric_name(_TRAINING, name), value=value, step=epoch)
        for name, value in numbers.items()
        if name not in _NO_CURVES and value is not None and math.isfinite(value)
    )


def metric_name(*parts: str) -> str:
    """Returns a name that MLflow takes, whose parts are shown as groups.

    >>> metric_name("slices", "breed=Saint Bernard/1", "mean_iou")
    'slices/breed_Saint Bernard_1/mean_iou'
    """
    return "/".join(_NO_PART_OF_A_NAME.sub("_", part).strip(". ") or "_" for part in parts)[:_LONGEST_NAME]


def verdict(record: RunRecord) -> str:
    """Returns what came of the model, in words to filter by."""
    if record.probe is not None and not record.probe.passed:
        return "refused by the probe"
    if record.decision is not None and not record.decision.trains:
        return "not trained"
    if record.blessed is None:
        return "not judged"
    if record.force_blessed is not None:
        return "blessed by force"
    return "blessed" if record.blessed else "not blessed"


def _params(record: RunRecord) -> dict[str, str]:
    return dict(_flat(record.settings))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
        return
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - len(_CUT)] + _CUT
    yield metric_name(*name.split("/"))[:_LONGEST_NAME], text


def _tags(record: RunRecord) -> dict[str, str]:
    undefined = [name for name, value in record.metrics.items() if value is None or not math.isfinite(value)]
    dataset, baseline, environment = record.dataset, record.baseline, record.environment
    tags = {
        RUN_ID_TAG: record.run_id,
        "petseg.pipeline": record.pipeline,
        "petseg.preset": record.preset,
        "petseg.verdict": verdict(record) if record.state is not RunState.RUNNING or record.thresholds else None,
        "petseg.force_blessed": record.force_blessed,
        "petseg.decision": record.decision.summary if record.decision else None,
        "petseg.reasons": ", ".join(reason.kind for reason in record.decision.reasons) if record.decision else None,
        "petseg.not_pushed": record.not_pushed,
        ERROR_TAG: record.error,
        "petseg.undefined_metrics": ", ".join(undefined),
        "petseg.dataset": f"{dataset.name} {dataset.version}" if dataset else None,
        "petseg.reference": record.reference.dataset if record.reference else None,
        "petseg.baseline": (baseline.version if baseline.found else baseline.reason) if baseline else None,
        "petseg.compared_with_served": comparison_text(record.comparison) if record.comparison else None,
        "petseg.drifted": ", ".join(record.drift.drifted) if record.drift else None,
        LOCATION_TAG: record.pushed_model,
        "petseg.deployed": record.deployed_model,
        "petseg.host": platform.node(),
        "petseg.code_digest": environment.code_digest if environment else None,
        "petseg.hardware": ", ".join(environment.gpus) or environment.cpu if environment else None,
        **{
            f"petseg.version.{name}": version for name, version in (environment.versions if environment else {}).items()
        },
        "mlflow.source.name": "petseg",
        "mlflow.user": _user(),
        "mlflow.note.content": _note(record),
    }
    return {name: value[:LONGEST_TAG] for name, value in tags.items() if value}


def _decision_numbers(decision: Decision) -> tuple[Measurement, ...]:
    """Returns what the reasons to train go by, each under its kind."""
    return tuple(
        Measurement(name=metric_name("decision", reason.kind, name), value=value, step=0)
        for reason in decision.reasons
        for name, value in reason.numbers.items()
        if math.isfinite(value)
    )


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a pod's user may have no name
        return None


def _note(record: RunRecord) -> str:
    """Returns what the run's page begins with."""
    if record.state is RunState.RUNNING:
        return "The run goes on."
    of_reference = record.reference.thresholds if record.reference else []
    missed = [bound.name for bound in record.thresholds if bound.gated and not bound.passed]
    missed += [f"{bound.name} of the reference set" for bound in of_reference if bound.gated and not bound.passed]
    reasons = [f"{', '.join(dict.fromkeys(missed))} beyond the bounds"] if missed else []
    if record.comparison is not None:
        reasons.append(comparison_clause(record.comparison))
    why = f": {'; '.join(reasons)}" if reasons else ""
    what = f"Verdict: **{verdict(record)}**{why}."
    ended = "" if record.state is RunState.COMPLETE else f"The run {record.state}: {record.error}\n\n"
    return f"{ended}{what} The report is `report.html` among the artifacts."


def _data(record: RunRecord) -> list[Item]:
    dataset = record.dataset
    if dataset is None:
        return []
    return [
        Data(
            name=dataset.name,
            version=dataset.version,
            split=split,
            digest=dataset.digests.get(split, ""),
            examples=examples,
        )
        for split, examples in dataset.splits.items()
    ]


def _curves(model_run: Path, time_ms: int) -> list[Item]:
    """Returns the curves of the whole training, also of one that another run did."""
    try:
        epochs = json.loads((model_run / HISTORY_FILE).read_text(encoding="utf-8"))["epochs"]
    except (OSError, ValueError, KeyError):
        return []
    return [
        Metrics(
            values=curve_points(epoch["epoch"], epoch),
            time_ms=time_ms + round((epoch.get("seconds") or 0.0) * 1000),
            is_curve=True,
        )
        for epoch in epochs
    ]


def _final_metrics(record: RunRecord) -> list[Measurement]:
    groups: list[tuple[tuple[str, ...], Mapping[str, float | None]]] = [(("evaluation",), record.metrics)]
    bounded = {bound.metric for bound in record.thresholds if not bound.slice}
    of_served = {name: value for name, value in record.served_metrics.items() if name in {*_SLICE_METRICS, *bounded}}
    groups.append((("served",), of_served))
    of_slices = {*_SLICE_METRICS, *(bound.metric for bound in record.thresholds if bound.slice)}
    for part in record.slices:
        of_slice = ", ".join(f"{feature} {value}" for feature, value in part["slice"].items())
        shown = {name: value for name, value in part["metrics"].items() if name in of_slices}
        groups.append((("slices", of_slice), {**shown, "examples": part.get("examples")}))
    if record.reference is not None:
        groups.append((("reference",), record.reference.metrics))
    if record.probe is not None:
        groups.append((("probe",), record.probe.measurements))
    if record.drift is not None:
        groups.append((("drift",), record.drift.distances))
    groups.append((("model",), {"parameters": record.parameters}))
    if record.state is not RunState.RUNNING:
        groups.append((("seconds",), {node.id: node.seconds for node in record.nodes}))
    numbers: dict[str, float] = {}
    for group, metrics in groups:
        for name, value in metrics.items():
            if value is not None and math.isfinite(value):
                numbers[_unused(metric_name(*group, name), numbers)] = float(value)
    return [Measurement(name=name, value=value) for name, value in numbers.items()]


def _unused(name: str, used: Mapping[str, float]) -> str:
    """Returns the name, with a number where another has become the same by what MLflow does not take."""
    number, free = 2, name
    while free in used:
        free, number = f"{name[: _LONGEST_NAME - 8]} {number}", number + 1
    return free


def _pushed_model(record: RunRecord) -> PushedModel | None:
    source = record.pushed_model
    if source is None or (record.state is RunState.RUNNING and _is_deployed_too(record)):
        return None
    version = source.rstrip("/").rpartition("/")[2]
    probe = record.probe.measurements if record.probe else {}
    tags = {
        "petseg.version": version,
        RUN_ID_TAG: record.run_id,
        "petseg.verdict": verdict(record),
        LOCATION_TAG: source,
        "petseg.digest": _digest(source),
        "petseg.dataset": f"{record.dataset.name} {record.dataset.version}" if record.dataset else "",
        **{f"petseg.probe.{name}": f"{value:.4g}" for name, value in probe.items() if value is not None},
        **{
            f"petseg.{name}": f"{value:.4f}"
            for name in ("accuracy", "mean_iou")
            if (value := record.metrics.get(name)) is not None
        },
    }
    return PushedModel(
        source=source,
        version=version,
        alias=_alias(record),
        tags={name: value for name, value in tags.items() if value},
    )


def _alias(record: RunRecord) -> Literal["champion", "challenger"] | None:
    """Returns what the model is: without KServe servers take the newest; with it, it may not have been deployed."""
    if not _is_deployed_too(record):
        return "champion"
    if record.deployed_model is None:
        return None
    return "challenger" if record.is_canary else "champion"


def _is_deployed_too(record: RunRecord) -> bool:
    return bool(record.settings.get("push", {}).get("kserve", {}).get("enabled", False))


def _digest(directory: str) -> str:
    """Returns what identifies the model; empty where its files cannot be read from here."""
    try:
        return pushed_content(directory) if "://" not in directory and Path(directory).is_dir() else ""
    except (OSError, ModelError):
        return ""
