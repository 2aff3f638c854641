"""A TFMA metric that makes every segmentation metric from the sum of the examples' confusion matrices.

The model's evaluation signature returns one small matrix and one loss an example, so that a few numbers cross Beam
instead of a whole mask, and the accumulator stays the same size however many images there are.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from trainer_module import features
from trainer_module.segmentation_metrics import metric_names, segmentation_metrics

_Accumulator = tuple[np.ndarray, float, int]


class SegmentationMetrics(metric_types.Metric):
    """All metrics of `trainer_module.segmentation_metrics`, overall and for each slice."""

    def __init__(self, class_names: Sequence[str], code_digest: str = "", name: str = "segmentation") -> None:
        """Constructs the metric.

        Args:
          class_names: Names of the classes in the order of their ids.
          code_digest: Identifies the code that computes the metrics, so that a change to it re-runs the Evaluator.
          name: Name of the metric's computation; the metrics have names of their own.
        """
        super().__init__(
            metric_util.merge_per_key_computations(_computations),
            class_names=class_names,
            code_digest=code_digest,
            name=name,
        )


metric_types.register_metric(SegmentationMetrics)


def _computations(
    class_names: Sequence[str],
    model_name: str = "",
    output_name: str = "",
    **_: Any,
) -> list[metric_types.MetricComputation]:
    # TFMA looks thresholds by metric name up under keys that say nothing of weights.
    keys = {
        metric: metric_types.MetricKey(metric, model_name=model_name, output_name=output_name, example_weighted=None)
        for metric in metric_names(class_names)
    }
    combiner = _SegmentationCombiner(tuple(class_names), keys)
    return [metric_types.MetricComputation(keys=list(keys.values()), preprocessors=None, combiner=combiner)]


class _SegmentationCombiner(beam.CombineFn):
    """Sums confusion matrices and losses, and computes the metrics of the sums."""

    def __init__(self, class_names: tuple[str, ...], keys: dict[str, metric_types.MetricKey]) -> None:
        self._class_names = class_names
        self._keys = keys
        first = next(iter(keys.values()))
        self._model_name, self._output_name = first.model_name, first.output_name

    def create_accumulator(self) -> _Accumulator:
        return np.zeros(len(self._class_names) ** 2, np.int64), 0.0, 0

    def add_input(self, accumulator: _Accumulator, element: metric_types.StandardMetricInputs) -> _Accumulator:
        prediction = element.get_predictions(self._model_name, self._output_name)
        matrix, loss, count = accumulator
        matrix = matrix + np.asarray(prediction[features.CONFUSION_MATRIX], np.int64).reshape(-1)
        return matrix, loss + np.asarray(prediction[features.LOSS]).item(), count + 1

    def merge_accumulators(self, accumulators: Iterable[_Accumulator]) -> _Accumulator:
        matrices, losses, counts = zip(*accumulators, strict=True)
        return np.sum(matrices, axis=0), float(sum(losses)), sum(counts)

    def extract_output(self, accumulator: _Accumulator) -> dict[metric_types.MetricKey, float]:
        matrix, loss, count = accumulator
        if count == 0:
            return {}
        side = len(self._class_names)
        metrics = segmentation_metrics(matrix.reshape(side, side), loss / count, self._class_names)
        return {self._keys[metric]: value for metric, value in metrics.items()}


def eval_config(
    class_names: Sequence[str],
    bounds: dict[str, tuple[float | None, float | None]],
    slices: Sequence[str],
    code_digest: str,
) -> config_pb2.EvalConfig:
    """Returns what TFX's Evaluator needs to measure and gate a segmentation model.

    Args:
      class_names: Names of the classes in the order of their ids.
      bounds: Metric name to its lower and upper bound; None where there is none.
      slices: Features by whose values the metrics are reported too.
      code_digest: See `SegmentationMetrics`.
    """
    thresholds = {metric: _overall_threshold(*bound) for metric, bound in bounds.items()}
    metric = config_pb2.MetricConfig(
        class_name=SegmentationMetrics.__name__,
        module=SegmentationMetrics.__module__,
        config=json.dumps({"class_names": list(class_names), "code_digest": code_digest}),
    )
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(signature_name=features.EVALUATION_SIGNATURE)],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[feature]) for feature in slices),
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[metric, config_pb2.MetricConfig(class_name="ExampleCount")], per_slice_thresholds=thresholds
            )
        ],
    )


def with_lower_bound(config: config_pb2.EvalConfig, metric: str, bound: float) -> config_pb2.EvalConfig:
    """Returns the configuration with another lower bound on a metric; 0 takes the bound away."""
    changed = config_pb2.EvalConfig()
    changed.CopyFrom(config)
    thresholds = changed.metrics_specs[0].per_slice_thresholds
    old = thresholds[metric].thresholds[0].threshold.value_threshold if metric in thresholds else None
    upper = old.upper_bound.value if old is not None and old.HasField("upper_bound") else None
    thresholds.pop(metric, None)
    if bound or upper is not None:
        thresholds[metric].CopyFrom(_overall_threshold(bound or None, upper))
    return changed


def _overall_threshold(lower: float | None, upper: float | None) -> config_pb2.PerSliceMetricThresholds:
    """Returns bounds for all examples together; plain thresholds would hold for every slice."""
    bound = config_pb2.GenericValueThreshold(
        **({} if lower is None else {"lower_bound": {"value": lower}}),
        **({} if upper is None else {"upper_bound": {"value": upper}}),
    )
    threshold = config_pb2.MetricThreshold(value_threshold=bound)
    overall = config_pb2.PerSliceMetricThreshold(slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold)
    return config_pb2.PerSliceMetricThresholds(thresholds=[overall])
