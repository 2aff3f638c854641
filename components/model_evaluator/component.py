"""The contract of ModelEvaluator."""

from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.evaluator import component
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.model_evaluator.executor import FORCE_BLESS_KEY, GATE_KEY, Executor
from components.model_evaluator.gate import Gate


class ModelEvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """The Evaluator's inputs, outputs and parameters, and two more parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        GATE_KEY: component_spec.ExecutionParameter(type=str),
        FORCE_BLESS_KEY: component_spec.ExecutionParameter(type=str),
    }


class ModelEvaluator(component.Evaluator):
    """Evaluator that compares with a baseline where there is one, and decides by a gate of its own.

    TFMA measures both models in one pass over the examples, and is given no thresholds. Without a baseline, bounds of
    changes do not count; nor do bounds on slices of a few examples.

    Outputs:
      evaluation: `ModelEvaluation` as of TFX's Evaluator, with `gate.json`: every bound, and whether it holds.
        Custom properties `dataset_name`, `dataset_version`, `split_counts`, `split_digests` and `reference_dataset` as
        of the examples, and `evaluated_splits` (JSON: those that it is of).
      blessing: `ModelBlessing` as of TFX's Evaluator; custom property `forced_because` has the reason where the model
        is blessed although a bound does not hold.
    """

    SPEC_CLASS = ModelEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        example_splits: Sequence[str],
        eval_config: tfma.EvalConfig,
        gate: Gate,
        force_bless: str = "",
    ) -> None:
        """Constructs the component.

        Args:
          examples: The raw examples.
          model: The new model.
          baseline_model: What ServedModelResolver found.
          example_splits: The splits to evaluate on.
          eval_config: Metrics and slices.
          gate: What the model must keep.
          force_bless: Why the model is to be blessed whatever the bounds say; empty to obey them.
        """
        spec = ModelEvaluatorSpec(
            examples=examples,
            model=model,
            baseline_model=baseline_model,
            example_splits=json_utils.dumps(list(example_splits)),
            eval_config=eval_config,
            fairness_indicator_thresholds=json_utils.dumps(None),
            evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
            blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            **{GATE_KEY: gate.model_dump_json(), FORCE_BLESS_KEY: force_bless},
        )
        # TFX's own constructor makes its own specification.
        base_beam_component.BaseBeamComponent.__init__(self, spec=spec)
