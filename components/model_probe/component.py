"""The contract of ModelProbe."""

from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from components.model_probe.executor import SETTINGS_KEY, Executor
from components.model_probe.findings import ProbeSettings


class ModelProbeSpec(component_spec.ComponentSpec):
    """ModelProbe's inputs, outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {SETTINGS_KEY: component_spec.ExecutionParameter(type=str)}
    INPUTS: ClassVar[dict[str, Any]] = {
        standard_component_specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        standard_component_specs.EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        standard_component_specs.TRANSFORM_GRAPH_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.TransformGraph
        ),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {
        standard_component_specs.BLESSING_KEY: component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)
    }


class ModelProbe(base_component.BaseComponent):
    """Finds out, before a model is pushed, whether a server can load it and answer with it.

    TFX's InfraValidator does that with TensorFlow Serving in Docker; this needs none. The model is loaded by the
    session loader, on which TensorFlow Serving is built, in a process of its own.

    Outputs:
      blessing: `InfraBlessing` as of TFX's InfraValidator, with `probe.json`: why not, and what the model costs.
    """

    SPEC_CLASS = ModelProbeSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        settings: ProbeSettings,
    ) -> None:
        """Constructs the component.

        Args:
          model: The model to be pushed.
          examples: The raw examples.
          transform_graph: What prepared the examples that the model was trained on.
          settings: The budgets.
        """
        inputs = {
            standard_component_specs.MODEL_KEY: model,
            standard_component_specs.EXAMPLES_KEY: examples,
            standard_component_specs.TRANSFORM_GRAPH_KEY: transform_graph,
        }
        blessing = types.Channel(type=standard_artifacts.InfraBlessing)
        outputs = {standard_component_specs.BLESSING_KEY: blessing}
        super().__init__(spec=ModelProbeSpec(**inputs, **{SETTINGS_KEY: settings.model_dump_json()}, **outputs))
