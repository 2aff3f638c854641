"""What the Evaluator found, as plain numbers."""

import dataclasses
import math
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

_COUNT_METRIC = "example_count"


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """One evaluation.

    Attributes:
      metrics: Metric name to value over all examples; a metric that is not defined (no pixel of its class) is absent.
      slices: For each slice, `slice` (feature to value), `examples` (their number) and its metrics.
      thresholds: For each bound, `metric`, `kind` (min or max), `bound`, `value` and `passed`.
      blessed: Whether every bound holds; None when there is none.
    """

    metrics: dict[str, float]
    slices: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    blessed: bool | None


def read_evaluation(evaluation_uri: str) -> EvaluationResult:
    """Reads the Evaluator's `evaluation` artifact."""
    result = tfma.load_eval_result(evaluation_uri)
    by_slice = {key: _numbers(values) for key, values in result.slicing_metrics}
    overall = by_slice.pop(())
    thresholds = _thresholds(result.config, overall)
    slices = [
        {"slice": dict(key), "examples": int(metrics.pop(_COUNT_METRIC)), "metrics": metrics}
        for key, metrics in sorted(by_slice.items())
    ]
    overall.pop(_COUNT_METRIC)
    blessed = tfma.load_validation_result(evaluation_uri).validation_ok if thresholds else None
    return EvaluationResult(overall, slices, thresholds, blessed)


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """Flattens TFMA's output name → sub-key → metric → value to the one output and sub-key there is."""
    (by_sub_key,) = metrics.values()
    (by_metric,) = by_sub_key.values()
    values = {name: value["doubleValue"] for name, value in by_metric.items() if "doubleValue" in value}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _thresholds(config: config_pb2.EvalConfig, metrics: dict[str, float]) -> list[dict[str, Any]]:
    rows = []
    for metrics_spec in config.metrics_specs:
        for metric, per_slice in sorted(metrics_spec.per_slice_thresholds.items()):
            for kind, bound in _bounds(per_slice.thresholds[0].threshold.value_threshold):
                value = metrics.get(metric)
                passed = value is not None and (value >= bound if kind == "min" else value <= bound)
                rows.append({"metric": metric, "kind": kind, "bound": bound, "value": value, "passed": passed})
    return rows


def _bounds(threshold: config_pb2.GenericValueThreshold) -> list[tuple[str, float]]:
    lower = [("min", threshold.lower_bound.value)] if threshold.HasField("lower_bound") else []
    upper = [("max", threshold.upper_bound.value)] if threshold.HasField("upper_bound") else []
    return lower + upper
