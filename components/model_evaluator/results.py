"""What the Evaluator found, as plain numbers."""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import metrics_for_slice_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from components.model_evaluator.gate import Verdict

_COUNT_METRIC = "example_count"


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """One evaluation.

    Attributes:
      metrics: Metric name to value over all examples; a metric that is not defined (no pixel of its class) is absent.
      slices: For each slice, `slice` (feature to value), `examples` (their number) and its metrics.
      verdict: Whether each bound holds, and all that count do.
      distributions: Name to nested lists, over all examples: see
        `components.model_evaluator.sums.EvaluationSums.distributions`.
    """

    metrics: dict[str, float]
    slices: list[dict[str, Any]]
    verdict: Verdict
    distributions: dict[str, list[Any]]


def read_evaluation(evaluation_uri: str) -> EvaluationResult:
    """Reads the Evaluator's `evaluation` artifact; of a candidate and a baseline model, the candidate's results."""
    config = tfma.load_eval_result(evaluation_uri).config
    models = {"", *(spec.name for spec in config.model_specs if not spec.is_baseline)}
    records = {
        slicer_lib.deserialize_slice_key(record.slice_key): record for record in tfma.load_metrics(evaluation_uri)
    }
    by_slice = {key: _numbers(record, models) for key, record in records.items()}
    overall = by_slice.pop(())
    slices = [
        {"slice": dict(key), "examples": int(metrics.pop(_COUNT_METRIC)), "metrics": metrics}
        for key, metrics in sorted(by_slice.items())
    ]
    overall.pop(_COUNT_METRIC)
    return EvaluationResult(overall, slices, Verdict.load(evaluation_uri), _arrays(records[()], models))


def _numbers(record: metrics_for_slice_pb2.MetricsForSlice, models: set[str]) -> dict[str, float]:
    """Returns the numbers of a slice that are defined; TFMA's own differences between models are left out."""
    values = {
        item.key.name: item.value.double_value.value
        for item in record.metric_keys_and_values
        if item.value.HasField("double_value") and item.key.model_name in models and not item.key.is_diff
    }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _arrays(record: metrics_for_slice_pb2.MetricsForSlice, models: set[str]) -> dict[str, list[Any]]:
    return {
        item.key.name: _nested_lists(item.value.array_value)
        for item in record.metric_keys_and_values
        if item.value.HasField("array_value") and item.key.model_name in models and not item.key.is_diff
    }


def _nested_lists(array: metrics_for_slice_pb2.ArrayValue) -> list[Any]:
    data_type = metrics_for_slice_pb2.ArrayValue.DataType.Name(array.data_type)
    values: list[Any] = np.array(getattr(array, f"{data_type.lower()}_values")).reshape(array.shape).tolist()
    return values
