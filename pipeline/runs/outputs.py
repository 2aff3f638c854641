"""What each component produced, read from its output artifacts: one line for people, and the fields of the record.

Cached components have the outputs of the execution they repeat, so their record is the same.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from components import artifact_properties as properties
from components.retraining_decider.decision import Decision
from components.run_report.report import REPORT_FILE
from components.segmentation_validator.kinds import Kind, counted
from components.suspect_finder.suspects import SUSPECTS_FILE
from pipeline.nodes import (
    DRIFT_DETECTOR,
    EVALUATOR,
    EXAMPLE_GEN,
    EXAMPLE_GEN_DRIVER,
    EXAMPLE_VALIDATOR,
    KSERVE_DEPLOYER,
    MODEL_PROBE,
    PUSHER,
    REFERENCE_EVALUATOR,
    RETRAINING_DECIDER,
    RUN_REPORT,
    SEGMENTATION_VALIDATOR,
    SERVED_MODEL_RESOLVER,
    SERVED_MODEL_RESOLVER_DRIVER,
    SUSPECT_FINDER,
    TRAINER,
    TRANSFORM,
    WARM_START_RESOLVER,
    WARM_START_RESOLVER_DRIVER,
)
from pipeline.runs.record import BaselineRecord, DatasetRecord, DriftRecord, EvaluatedReference, ProbeRecord
from pipeline.runs.tables import probe_line
from pipeline.terminal.tables import metric_value, readable_metric
from trainer_module.errors import ModelError
from trainer_module.features import REFERENCE_SPLIT

PARAMETER_VALUE: Final = "value"
"""Property of an output that is no artifact but a parameter."""

_SHOWN_DIGITS: Final = 12
_SHOWN_WEIGHTS: Final = 4
_MEGABYTE: Final = 10**6


class ProducedArtifact(Protocol):
    """An output artifact: TFX's, or one that is read from elsewhere."""

    uri: str
    """Path of its files on this machine."""

    def get_string_custom_property(self, key: str) -> str: ...

    def get_int_custom_property(self, key: str) -> int: ...


Outputs = Mapping[str, Sequence[ProducedArtifact]]


@dataclass(frozen=True)
class NodeFacts:
    """What is worth knowing of one component's outputs."""

    summary: str
    fields: dict[str, Any] = field(default_factory=dict)
    """Fields of the run's record, by name."""


@dataclass(frozen=True)
class _Produced:
    outputs: Outputs
    settings: Mapping[str, Any]

    def artifact(self, output: str) -> ProducedArtifact:
        return self.outputs[output][0]


def node_facts(node_id: str, outputs: Outputs, settings: Mapping[str, Any]) -> NodeFacts:
    """Returns what a component produced; one that is not known here is described by the names of its outputs.

    Args:
      node_id: Id of the component.
      outputs: Its output artifacts by output name; empty when there are none.
      settings: The resolved configuration.

    Raises:
      ModelError: The evaluation or the probe's findings, which decide what is pushed, cannot be read.
    """
    reader = _READERS.get(node_id)
    if not outputs or reader is None:
        return NodeFacts(", ".join(name.replace("_", " ") for name in outputs))
    try:
        return reader(_Produced(outputs, settings))
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if node_id in (EVALUATOR, REFERENCE_EVALUATOR, MODEL_PROBE):
            raise ModelError(
                f"{node_id} finished, but what it found cannot be read ({reason}); "
                f"run it again with --from {node_id} --no-cache"
            ) from error
        return NodeFacts(f"its outputs cannot be summarized: {reason}")


def _decided(produced: _Produced) -> NodeFacts:
    decision = Decision.model_validate_json(
        produced.artifact("decision").get_string_custom_property(properties.DECISION)
    )
    return NodeFacts(decision.summary, {"decision": decision})


def _identified(produced: _Produced) -> NodeFacts:
    fingerprint = produced.artifact("input_fingerprint").get_string_custom_property(PARAMETER_VALUE)
    return NodeFacts(f"data {fingerprint[:_SHOWN_DIGITS]}")


def _served(produced: _Produced) -> NodeFacts:
    path = produced.artifact("served_model").get_string_custom_property(PARAMETER_VALUE).rpartition(" ")[0]
    return NodeFacts(path or "no model")


def _examples(produced: _Produced) -> NodeFacts:
    dataset = _dataset(produced.artifact("examples"))
    return NodeFacts(dataset.summary, {"dataset": dataset})


def _dataset(artifact: ProducedArtifact) -> DatasetRecord:
    return DatasetRecord(
        name=artifact.get_string_custom_property(properties.DATASET_NAME),
        version=artifact.get_string_custom_property(properties.DATASET_VERSION),
        splits=json.loads(artifact.get_string_custom_property(properties.SPLIT_COUNTS)),
        class_pixels=json.loads(artifact.get_string_custom_property(properties.CLASS_PIXELS) or "{}"),
        not_labelled_pixels=json.loads(artifact.get_string_custom_property(properties.NOT_LABELLED_PIXELS) or "{}"),
        digests=json.loads(artifact.get_string_custom_property(properties.SPLIT_DIGESTS) or "{}"),
        date_ranges=json.loads(artifact.get_string_custom_property(properties.DATE_RANGES) or "{}"),
    )


def _validated(produced: _Produced) -> NodeFacts:
    """Returns what was found in the data; what is left of it after drops."""
    artifact, findings = produced.artifact("checked_examples"), produced.artifact("findings")
    dataset, dropped = _dataset(artifact), findings.get_int_custom_property(properties.DROPPED_EXAMPLES)
    counts = json.loads(findings.get_string_custom_property(properties.FINDING_COUNTS) or "{}")
    absent = dataset.absent_classes(produced.settings.get("data", {}).get("class_names", ()))
    told_by_name = (Kind.SHARED_IMAGE, *([Kind.ABSENT_CLASS] if absent else []))
    parts = [f"{dropped:,} dropped, left: {dataset.counts_text}"] if dropped else []
    parts += [counted(kind, counts[kind]) for kind in Kind if kind in counts and kind not in told_by_name]
    shared = json.loads(artifact.get_string_custom_property(properties.SHARED_IMAGES) or "[]")
    parts += [f"{count:,} images of {first} are in {second}" for first, second, count in shared]
    if Kind.ABSENT_CLASS in counts:
        parts += [f"no pixel of {name!r} in {', '.join(splits)}" for name, splits in absent.items()]
    if shares := dataset.not_labelled_shares:
        parts.append(f"not labelled: {', '.join(f'{share:.1%} of {split}' for split, share in shares.items())}")
    fields = {"dataset": dataset, "findings": counts, "dropped_examples": dropped}
    return NodeFacts("; ".join(parts) or "nothing found", fields)


def _anomalies(produced: _Produced) -> NodeFacts:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    count = 0
    for file in Path(produced.artifact("anomalies").uri).glob("Split-*/SchemaDiff.pb"):
        anomalies = anomalies_pb2.Anomalies.FromString(file.read_bytes())
        count += len(anomalies.anomaly_info) + anomalies.HasField("dataset_anomaly_info")
    return NodeFacts({0: "no anomalies", 1: "1 anomaly"}.get(count, f"{count} anomalies"))


def _compared(produced: _Produced) -> NodeFacts:
    from components.drift_detector.report import DRIFT_FILE, DriftReport

    report = DriftReport.parse((Path(produced.artifact("drift").uri) / DRIFT_FILE).read_bytes())
    record = DriftRecord(
        model=report.model or None,
        reason=report.reason or None,
        distances={one.name: one.distance for one in report.comparison.quantities},
        drifted=[one.name for one in report.comparison.drifted],
    )
    return NodeFacts(report.summary, {"drift": record})


def _transformed(produced: _Produced) -> NodeFacts:
    data = produced.settings["data"]
    return NodeFacts(f"{data['image_size']}×{data['image_size']} pixels, normalization {data['normalization']}")


def _trained(produced: _Produced) -> NodeFacts:
    history = json.loads((Path(produced.artifact("model_run").uri) / "history.json").read_text(encoding="utf-8"))
    epochs, parameters = history["epochs"], history["parameters"]
    last = epochs[-1]
    prefix = "val_" if "val_loss" in last else ""
    names = [prefix + name for name in ("loss", "accuracy", "mean_iou") if prefix + name in last]
    numbers = [f"{readable_metric(name)} {metric_value(last[name])}" for name in names]
    plural = "" if len(epochs) == 1 else "s"
    summary = ", ".join([f"{parameters:,} parameters", f"{len(epochs)} epoch{plural}", *numbers])
    summary += _warm_start(Path(produced.artifact("model_run").uri) / "warm_start.json")
    return NodeFacts(summary, {"parameters": parameters})


def _warm_start(file: Path) -> str:
    """Returns what the training started from, to be added to the summary; nothing when its weights were new."""
    if not file.is_file():
        return ""
    start = json.loads(file.read_text(encoding="utf-8"))
    taken, fresh = start["taken"], start["fresh"]
    anew = f"; new: {', '.join(fresh[:_SHOWN_WEIGHTS])}{', …' if len(fresh) > _SHOWN_WEIGHTS else ''}" if fresh else ""
    return f", started from {taken} of {taken + len(fresh)} weights of {start['directory']}{anew}"


def _found_warm_start(produced: _Produced) -> NodeFacts:
    facts = _found_baseline(produced)
    return NodeFacts(facts.summary.replace("baseline", "model to start from"))


def _found_baseline(produced: _Produced) -> NodeFacts:
    artifact = produced.artifact("model")
    version, path, reason = (
        artifact.get_string_custom_property(name) or None
        for name in (properties.BASELINE_VERSION, properties.BASELINE_PATH, properties.BASELINE_REASON)
    )
    found = bool(artifact.get_int_custom_property(properties.BASELINE_FOUND))
    served = f"version {version}" if version else ""
    summary = f"baseline: {served}" if found else "no baseline: " + ": ".join(filter(None, [served, reason]))
    return NodeFacts(summary, {"baseline": BaselineRecord(found=found, version=version, path=path, reason=reason)})


def _evaluated_on_reference(produced: _Produced) -> NodeFacts:
    evaluation, facts = produced.artifact("evaluation"), _evaluated(produced)
    counts = json.loads(evaluation.get_string_custom_property(properties.SPLIT_COUNTS) or "{}")
    record = EvaluatedReference(
        dataset=evaluation.get_string_custom_property(properties.REFERENCE_DATASET),
        examples=counts.get(REFERENCE_SPLIT, 0),
        **{name: facts.fields[name] for name in ("metrics", "thresholds", "comparison", "blessed", "force_blessed")},
    )
    return NodeFacts(facts.summary, {"reference": record})


def _evaluated(produced: _Produced) -> NodeFacts:
    from components.model_evaluator.results import read_evaluation

    result = read_evaluation(produced.artifact("evaluation").uri)
    thresholds, comparison = list(result.verdict.bounds), result.verdict.comparison
    blessed = result.verdict.passed
    forced = produced.artifact("blessing").get_string_custom_property(properties.FORCED_BECAUSE) or None
    missed = dict.fromkeys(threshold.name for threshold in thresholds if threshold.gated and not threshold.passed)
    if comparison is not None and not comparison.passes:
        missed[f"{comparison.metric} {comparison.outcome}"] = None
    verdict = {True: "blessed", False: f"not blessed ({', '.join(missed)})", None: "no gate"}[blessed]
    if forced:
        verdict += ", pushed by force"
    numbers = [f"{name} {result.metrics[name]:.4f}" for name in ("accuracy", "mean_iou") if name in result.metrics]
    fields = {
        "metrics": result.metrics,
        "served_metrics": result.served_metrics,
        "comparison": comparison,
        "slices": result.slices,
        "distributions": result.distributions,
        "thresholds": thresholds,
        "blessed": blessed,
        "force_blessed": forced,
    }
    return NodeFacts(f"{', '.join(numbers).replace('mean_iou', 'mean IoU')}: {verdict}", fields)


def _probed(produced: _Produced) -> NodeFacts:
    found = json.loads((Path(produced.artifact("blessing").uri) / "probe.json").read_text(encoding="utf-8"))
    record = ProbeRecord(refusals=found["refusals"], measurements=found["measurements"])
    return NodeFacts(probe_line(record), {"probe": record})


def _pushed(produced: _Produced) -> NodeFacts:
    artifact = produced.artifact("pushed_model")
    if not artifact.get_int_custom_property(properties.PUSHED):
        reason = artifact.get_string_custom_property(properties.NOT_PUSHED_BECAUSE)
        is_served = bool(artifact.get_string_custom_property(properties.ALREADY_SERVED))
        return NodeFacts(f"nothing: {reason}", {} if is_served else {"not_pushed": reason or None})
    destination = artifact.get_string_custom_property(properties.PUSHED_DESTINATION)
    if _is_gone(destination):
        return NodeFacts(f"{destination} is gone; push again with --from Pusher")
    return NodeFacts(destination, {"pushed_model": destination})


def _is_gone(destination: str) -> bool:
    """Returns whether a pushed version is gone; where all versions are out of sight, as in a pod, none is."""
    return "://" not in destination and Path(destination).parent.is_dir() and not Path(destination).is_dir()


def _deployed(produced: _Produced) -> NodeFacts:
    artifact = produced.artifact("deployed_model")
    summary = artifact.get_string_custom_property(properties.DEPLOYMENT_SUMMARY)
    if not artifact.get_int_custom_property(properties.DEPLOYED):
        return NodeFacts(summary)
    is_canary = bool(artifact.get_int_custom_property(properties.DEPLOYED_AS_CANARY))
    return NodeFacts(summary, {"deployed_model": summary, "is_canary": is_canary})


def _suspected(produced: _Produced) -> NodeFacts:
    artifact = produced.artifact("suspects")
    count, of = (artifact.get_int_custom_property(name) for name in (properties.SUSPECTS, properties.EXAMINED_EXAMPLES))
    if not count:
        return NodeFacts(f"the model contradicts none of {of:,} masks")
    return NodeFacts(f"{count:,} of {of:,} masks to look at: {Path(artifact.uri) / SUSPECTS_FILE}")


def _reported(produced: _Produced) -> NodeFacts:
    artifact = produced.artifact("report")
    if reason := artifact.get_string_custom_property(properties.NOT_WRITTEN_BECAUSE):
        return NodeFacts(f"no report: {reason}")
    place = Path(artifact.uri)
    page = place / REPORT_FILE if place.is_dir() else place
    return NodeFacts(f"{page.name}, {page.stat().st_size / _MEGABYTE:.1f} MB")


_READERS: Final[dict[str, Callable[[_Produced], NodeFacts]]] = {
    RETRAINING_DECIDER: _decided,
    EXAMPLE_GEN_DRIVER: _identified,
    EXAMPLE_GEN: _examples,
    SEGMENTATION_VALIDATOR: _validated,
    EXAMPLE_VALIDATOR: _anomalies,
    DRIFT_DETECTOR: _compared,
    TRANSFORM: _transformed,
    WARM_START_RESOLVER_DRIVER: _served,
    WARM_START_RESOLVER: _found_warm_start,
    TRAINER: _trained,
    SERVED_MODEL_RESOLVER_DRIVER: _served,
    SERVED_MODEL_RESOLVER: _found_baseline,
    EVALUATOR: _evaluated,
    REFERENCE_EVALUATOR: _evaluated_on_reference,
    MODEL_PROBE: _probed,
    PUSHER: _pushed,
    KSERVE_DEPLOYER: _deployed,
    SUSPECT_FINDER: _suspected,
    RUN_REPORT: _reported,
}
