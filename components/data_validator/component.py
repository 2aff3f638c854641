"""The contract of DataValidator."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tfx import types
from tfx.components.example_validator import component
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.data_validator.executor import CLASS_BOUNDS_KEY, CODE_DIGEST_KEY, EXAMPLES_KEY, Executor


class DataValidatorSpec(standard_component_specs.ExampleValidatorSpec):
    """ExampleValidator's inputs, outputs and parameters, one more input and two more parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        **standard_component_specs.ExampleValidatorSpec.PARAMETERS,
        CLASS_BOUNDS_KEY: component_spec.ExecutionParameter(type=str),
        CODE_DIGEST_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {
        **standard_component_specs.ExampleValidatorSpec.INPUTS,
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class DataValidator(component.ExampleValidator):
    """ExampleValidator that also refuses bounds of the gate on classes that the evaluated split lacks.

    TfdsExampleGen could tell, too, but a changed bound must not read the data again.

    Outputs:
      anomalies: `ExampleAnomalies` as of TFX's ExampleValidator.
    """

    SPEC_CLASS = DataValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        examples: types.BaseChannel,
        split: str,
        class_names: Sequence[str],
        bounds: Mapping[str, Sequence[str]],
        code_digest: str = "",
    ) -> None:
        """Constructs the component.

        Args:
          statistics: Of the examples.
          schema: What they are validated against.
          examples: What TfdsExampleGen wrote.
          split: See `check_class_bounds`, as for the next two.
          class_names: Names of the classes in the order of their ids.
          bounds: Class name to settings.
          code_digest: Identifies the component's code, so that a change to it re-runs the component.
        """
        class_bounds = {"split": split, "class_names": list(class_names), "bounds": {**bounds}}
        spec = DataValidatorSpec(
            statistics=statistics,
            schema=schema,
            examples=examples,
            exclude_splits=json_utils.dumps([]),
            anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            **{CLASS_BOUNDS_KEY: json.dumps(class_bounds), CODE_DIGEST_KEY: code_digest},
        )
        # TFX's own constructor makes its own specification.
        base_component.BaseComponent.__init__(self, spec=spec)
