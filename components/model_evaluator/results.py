"""What the Evaluator found, as plain numbers, from TFMA's files and the gate's verdict beside them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import metrics_for_slice_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from components.model_evaluator.gate import VERDICT_FILE_NAME, Measured, SliceKey, Verdict

_COUNT_METRIC = "example_count"


@dataclass(frozen=True)
class EvaluationResult:
    """One evaluation.

    Attributes:
      metrics: Metric name to value over all examples; a metric that is not defined (no pixel of its class) is absent.
      served_metrics: The same of the baseline, on the same examples; empty where there is none.
      slices: For each slice, `slice` (feature to value), `examples` (their number) and its metrics.
      verdict: Whether each bound holds, and all that count do.
      distributions: Name to nested lists, over all examples: see
        `components.model_evaluator.sums.EvaluationSums.distributions`.
    """

    metrics: dict[str, float]
    served_metrics: dict[str, float]
    slices: list[dict[str, Any]]
    verdict: Verdict
    distributions: dict[str, list[Any]]


def read_evaluation(evaluation_uri: str) -> EvaluationResult:
    """Reads the `evaluation` artifact on this machine; of a baseline, only the metrics over all examples."""
    files = _TfmaFiles(evaluation_uri)
    by_slice = files.measured()
    overall = by_slice.pop(())
    return EvaluationResult(
        metrics=dict(overall.candidate),
        served_metrics=dict(overall.baseline),
        slices=[
            {"slice": dict(key), "examples": found.examples, "metrics": dict(found.candidate)}
            for key, found in sorted(by_slice.items())
        ],
        verdict=Verdict.model_validate_json((Path(evaluation_uri) / VERDICT_FILE_NAME).read_bytes()),
        distributions={
            item.key.name: _nested_lists(item.value.array_value)
            for item in files.records[()].metric_keys_and_values
            if item.value.HasField("array_value")
            and (item.key.model_name, item.key.is_diff) == (files.candidate, False)
        },
    )


def read_measured(evaluation_uri: str) -> dict[SliceKey, Measured]:
    """Reads what TFMA measured on each slice, for the gate."""
    return _TfmaFiles(evaluation_uri).measured()


class _TfmaFiles:
    """What TFMA wrote, by slice, and the names that it gave the models."""

    def __init__(self, evaluation_uri: str) -> None:
        specs = tfma.load_eval_result(evaluation_uri).config.model_specs
        self.candidate = next((spec.name for spec in specs if not spec.is_baseline), "")
        self._baseline = next((spec.name for spec in specs if spec.is_baseline), None)
        self.records = {
            slicer_lib.deserialize_slice_key(record.slice_key): record for record in tfma.load_metrics(evaluation_uri)
        }

    def measured(self) -> dict[SliceKey, Measured]:
        return {key: self._measured(record) for key, record in self.records.items()}

    def _measured(self, record: metrics_for_slice_pb2.MetricsForSlice) -> Measured:
        """Returns the numbers of a slice that are defined; TFMA's own differences between models are left out."""
        of_model: dict[str, dict[str, float]] = {}
        for item in record.metric_keys_and_values:
            number = item.value.double_value.value
            if item.value.HasField("double_value") and not item.key.is_diff and not math.isnan(number):
                of_model.setdefault(item.key.model_name, {})[item.key.name] = number
        candidate = of_model.get(self.candidate, {})
        baseline: Mapping[str, float] = {} if self._baseline is None else of_model.get(self._baseline, {})
        return Measured(int(candidate.pop(_COUNT_METRIC)), candidate, baseline)


def _nested_lists(array: metrics_for_slice_pb2.ArrayValue) -> list[Any]:
    data_type = metrics_for_slice_pb2.ArrayValue.DataType.Name(array.data_type)
    values: list[Any] = np.array(getattr(array, f"{data_type.lower()}_values")).reshape(array.shape).tolist()
    return values
