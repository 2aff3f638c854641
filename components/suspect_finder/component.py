"""The contract of SuspectFinder."""

from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from components.suspect_finder.executor import CODE_DIGEST_KEY, SHOWN_KEY, SUSPECTS_KEY, Executor


class SuspectFinderSpec(component_spec.ComponentSpec):
    """SuspectFinder's inputs, outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        SHOWN_KEY: component_spec.ExecutionParameter(type=int),
        CODE_DIGEST_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {
        standard_component_specs.EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        standard_component_specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {
        SUSPECTS_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)
    }


class SuspectFinder(base_component.BaseComponent):
    """Ranks the masks of `train` and `eval` by how confidently the trained model contradicts them.

    It asks the model on this machine, not on Beam: one pass, and where the data is large, one over a sample before it.

    Outputs:
      suspects: `ExampleAnomalies` of the splits `train` and `eval`, with `suspects.csv`, the strongest contradiction
        first, and `pictures/`: image, given mask and model's mask of the first ones. Custom properties: `suspects`, the
        number of rows, and `examined`, that of the examples.
    """

    SPEC_CLASS = SuspectFinderSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, *, examples: types.BaseChannel, model: types.BaseChannel, shown: int, code_digest: str = ""
    ) -> None:
        """Constructs the component.

        Args:
          examples: The raw examples.
          model: The trained model.
          shown: Of how many suspects there are to be pictures.
          code_digest: Identifies the component's code, so that a change to it re-runs the component.
        """
        inputs = {standard_component_specs.EXAMPLES_KEY: examples, standard_component_specs.MODEL_KEY: model}
        parameters = {SHOWN_KEY: shown, CODE_DIGEST_KEY: code_digest}
        output = types.Channel(type=standard_artifacts.ExampleAnomalies)
        super().__init__(spec=SuspectFinderSpec(**inputs, **parameters, **{SUSPECTS_KEY: output}))
