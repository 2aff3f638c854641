"""A TFMA metric that makes every segmentation metric from sums over the examples.

The model's evaluation signature returns a few counts an example, so that they alone cross Beam instead of a whole mask,
and the accumulator stays the same size however many images there are.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.model_evaluator.sums import DISTRIBUTIONS, EvaluationSums, replicate_metrics, require_outputs
from trainer_module import features
from trainer_module.segmentation_metrics import difference_metrics, difference_names, metric_names

_REPLICATES = "_replicates"
"""Accuracy and mean IoU of the bootstrap's replicates; TFMA keeps metrics with an underscore out of its results."""


class SegmentationMetrics(metric_types.Metric):
    """All metrics of `trainer_module.segmentation_metrics`, overall and for each slice.

    With a baseline model beside the candidate, both are measured, and the candidate's metrics have those of
    `difference_names`, too.
    """

    def __init__(
        self, class_names: Sequence[str], image_size: int, code_digest: str = "", name: str = "segmentation"
    ) -> None:
        """Constructs the metric.

        Args:
          class_names: Names of the classes in the order of their ids.
          image_size: Side of the candidate's images, in pixels; a baseline may have another.
          code_digest: Identifies the code that computes the metrics, so that a change to it re-runs the Evaluator.
          name: Name of the metric's computation; the metrics have names of their own.
        """
        super().__init__(
            _computations, class_names=class_names, image_size=image_size, code_digest=code_digest, name=name
        )


metric_types.register_metric(SegmentationMetrics)


def eval_config(
    class_names: Sequence[str], image_size: int, slices: Sequence[str], code_digest: str
) -> config_pb2.EvalConfig:
    """Returns what TFX's Evaluator needs to measure a segmentation model; the gate is no part of it.

    Args:
      class_names: Names of the classes in the order of their ids.
      image_size: See `SegmentationMetrics`.
      slices: Features by whose values the metrics are reported too.
      code_digest: See `SegmentationMetrics`.
    """
    metric = config_pb2.MetricConfig(
        class_name=SegmentationMetrics.__name__,
        module=SegmentationMetrics.__module__,
        config=json.dumps({"class_names": list(class_names), "image_size": image_size, "code_digest": code_digest}),
    )
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(signature_name=features.EVALUATION_SIGNATURE)],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[feature]) for feature in slices),
        ],
        metrics_specs=[config_pb2.MetricsSpec(metrics=[metric, config_pb2.MetricConfig(class_name="ExampleCount")])],
    )


def _computations(
    class_names: Sequence[str],
    image_size: int,
    model_names: Sequence[str] | None = None,
    eval_config: config_pb2.EvalConfig | None = None,
    **_: Any,
) -> list[metric_types.MetricComputation | metric_types.DerivedMetricComputation]:
    """Returns the computations; TFMA passes what the names of the parameters say."""
    models = list(model_names or [""])
    specs = [] if eval_config is None else eval_config.model_specs
    baseline = next((spec.name for spec in specs if spec.is_baseline), None)
    names = [*metric_names(class_names), *DISTRIBUTIONS, _REPLICATES]
    computations: list[metric_types.MetricComputation | metric_types.DerivedMetricComputation] = [
        metric_types.MetricComputation(
            [_key(name, model) for name in names],
            preprocessors=None,
            combiner=_SegmentationCombiner(
                tuple(class_names), model, image_pixels=None if model == baseline else image_size**2
            ),
        )
        for model in models
    ]
    if baseline is not None:
        computations += [
            metric_types.DerivedMetricComputation(
                [_key(name, model) for name in difference_names()], functools.partial(_differences, model, baseline)
            )
            for model in models
            if model != baseline
        ]
    return computations


def _key(name: str, model: str) -> metric_types.MetricKey:
    # Keys that say nothing of weights: there are none.
    return metric_types.MetricKey(name, model_name=model, example_weighted=None)


class _SegmentationCombiner(beam.CombineFn):
    """Sums what one model's signature returns, and computes the metrics of the sums.

    Every slice has every metric; one that is undefined there is NaN.
    """

    def __init__(self, class_names: tuple[str, ...], model: str, image_pixels: int | None) -> None:
        self._class_names = class_names
        self._model = model
        self._image_pixels = image_pixels

    def create_accumulator(self) -> EvaluationSums:
        return EvaluationSums(len(self._class_names))

    def add_input(self, accumulator: EvaluationSums, element: metric_types.StandardMetricInputs) -> EvaluationSums:
        outputs = element.get_predictions(self._model)
        require_outputs(outputs, f"the model {self._model!r}" if self._model else "the model")
        accumulator.add(outputs)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[EvaluationSums]) -> EvaluationSums:
        return EvaluationSums.merged(len(self._class_names), accumulators)

    def extract_output(self, accumulator: EvaluationSums) -> dict[metric_types.MetricKey, float | np.ndarray]:
        if not accumulator.examples:
            return {}
        results: dict[str, float | np.ndarray] = {
            **accumulator.metrics(self._class_names, self._image_pixels),
            **accumulator.distributions(),
            _REPLICATES: replicate_metrics(accumulator.replicates),
        }
        return {_key(name, self._model): value for name, value in results.items()}


def _differences(
    model: str, baseline: str, results: Mapping[metric_types.MetricKey, Any]
) -> dict[metric_types.MetricKey, float]:
    """Compares a model with the baseline on one slice, from what the combiners made of it."""
    if _key(_REPLICATES, model) not in results:
        return {}
    candidate, other = (
        (results[_key("accuracy", name)], results[_key("mean_iou", name)]) for name in (model, baseline)
    )
    replicates = results[_key(_REPLICATES, model)], results[_key(_REPLICATES, baseline)]
    differences = difference_metrics(candidate, other, *replicates)
    return {_key(name, model): value for name, value in differences.items()}
