"""The contract of RetrainingDecider."""

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.portable import data_types
from tfx.proto import example_gen_pb2, pusher_pb2
from tfx.types import component_spec

from components.model_evaluator.gate import Gate
from components.model_pusher.origin import Recipe
from components.property_driver import PropertyDriver
from components.retraining_decider.artifact import RetrainingDecision
from components.retraining_decider.decision import DecisionSettings
from components.retraining_decider.executor import (
    ASKED_KEY,
    CUSTOM_CONFIG_KEY,
    DECISION_KEY,
    GATE_KEY,
    INPUT_CONFIG_KEY,
    MEASUREMENT_KEY,
    PUSH_DESTINATION_KEY,
    RECIPE_KEY,
    SETTINGS_KEY,
    Executor,
)
from components.retraining_decider.measurement import MeasurementSettings
from components.tfds_example_gen.messages import source_message
from components.tfds_example_gen.source import TfdsSource

LOOK_KEY: Final = "look"


class LookingDriver(PropertyDriver):
    """Has the component look each time: it goes by data, served model and time, which no cache knows."""

    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        return {LOOK_KEY: uuid.uuid4().hex}


class RetrainingDeciderSpec(component_spec.ComponentSpec):
    """RetrainingDecider's output and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        INPUT_CONFIG_KEY: component_spec.ExecutionParameter(type=example_gen_pb2.Input),
        CUSTOM_CONFIG_KEY: component_spec.ExecutionParameter(type=example_gen_pb2.CustomConfig),
        PUSH_DESTINATION_KEY: component_spec.ExecutionParameter(type=pusher_pb2.PushDestination),
        RECIPE_KEY: component_spec.ExecutionParameter(type=str),
        GATE_KEY: component_spec.ExecutionParameter(type=str),
        SETTINGS_KEY: component_spec.ExecutionParameter(type=str),
        MEASUREMENT_KEY: component_spec.ExecutionParameter(type=str),
        ASKED_KEY: component_spec.ExecutionParameter(type=int),
    }
    INPUTS: ClassVar[dict[str, Any]] = {}
    OUTPUTS: ClassVar[dict[str, Any]] = {DECISION_KEY: component_spec.ChannelParameter(type=RetrainingDecision)}


class RetrainingDecider(base_component.BaseComponent):
    """Decides from evidence whether there is a reason to train, before anything is paid.

    It comes first, and what comes after it runs only if there is one (`components.retraining_decider.decision`). What
    is known already decides where it can; the newest data is measured only where it has changed and that is no reason
    by itself.

    Outputs:
      decision: `RetrainingDecision` with `decision.json`. Custom properties: `trains` (1 or 0), and `decision`, the
        same JSON in ASCII.
    """

    SPEC_CLASS = RetrainingDeciderSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = LookingDriver

    def __init__(
        self,
        source: TfdsSource,
        splits: Mapping[str, str],
        *,
        push_destination: pusher_pb2.PushDestination,
        recipe: Recipe,
        gate: Gate,
        settings: DecisionSettings,
        measurement: MeasurementSettings,
        asked: bool = False,
    ) -> None:
        """Constructs the component.

        Args:
          source: The data set, as TfdsExampleGen reads it.
          splits: Its splits, likewise.
          push_destination: Where models are pushed to, and the ledger is.
          recipe: How a model would be trained and judged.
          gate: What the served model must keep on the newest data.
          settings: What is a reason.
          measurement: What the newest data is measured by.
          asked: Whether somebody wants the training, whatever the evidence.
        """
        inputs = [example_gen_pb2.Input.Split(name=name, pattern=pattern) for name, pattern in splits.items()]
        parameters: dict[str, Any] = {
            INPUT_CONFIG_KEY: example_gen_pb2.Input(splits=inputs),
            CUSTOM_CONFIG_KEY: source_message(source),
            PUSH_DESTINATION_KEY: push_destination,
            RECIPE_KEY: recipe.model_dump_json(),
            GATE_KEY: gate.model_dump_json(),
            SETTINGS_KEY: settings.model_dump_json(),
            MEASUREMENT_KEY: measurement.model_dump_json(),
            ASKED_KEY: int(asked),
        }
        output = types.Channel(type=RetrainingDecision)
        super().__init__(spec=RetrainingDeciderSpec(**parameters, **{DECISION_KEY: output}))
