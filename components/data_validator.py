"""DataValidator: validates statistics as TFX does, and the gate's bounds against the classes of the evaluated split.

SegmentationValidator could tell the latter, too, but a changed bound must not read the data again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from tfx import types
from tfx.components.example_validator import component
from tfx.components.example_validator import executor as example_validator_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.artifact_properties import CLASS_PIXELS
from trainer_module.errors import DataError
from trainer_module.features import REFERENCE_SPLIT

EXAMPLES_KEY: Final = "examples"
CLASS_BOUNDS_KEY: Final = "class_bounds"
CODE_DIGEST_KEY: Final = "code_digest"


class Executor(example_validator_executor.Executor):
    """DataValidator's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput:
        """Writes the anomalies.

        Raises:
          DataError: As `check_class_bounds` says.
        """
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        pixels = json.loads(examples.get_string_custom_property(CLASS_PIXELS) or "{}")
        class_bounds = json.loads(exec_properties[CLASS_BOUNDS_KEY])
        for split in (class_bounds.pop("split"), REFERENCE_SPLIT):
            check_class_bounds(pixels, split, **class_bounds)
        return super().Do(input_dict, output_dict, exec_properties)


def check_class_bounds(
    pixels: Mapping[str, Sequence[int]], split: str, class_names: Sequence[str], bounds: Mapping[str, Sequence[str]]
) -> None:
    """Checks that no bound is on a class that the evaluated split lacks: a model would be trained to be refused.

    Args:
      pixels: Split name to the pixels of each class; without the split, nothing is known and nothing refused.
      split: The evaluated split.
      class_names: Names of the classes in the order of their ids.
      bounds: Class name to the settings that no model keeps where the class has no pixel.

    Raises:
      DataError: There is such a bound.
    """
    counts = dict(zip(class_names, pixels.get(split, ()), strict=False))
    absent = [name for name, count in counts.items() if not count and name in bounds]
    if absent:
        hopeless = [setting for name in absent for setting in bounds[name]]
        raise DataError(
            f"the split {split!r}, which decides, has no pixel of {', '.join(map(repr, absent))}: no model can keep "
            f"{', '.join(hopeless)}. Put images with each class into the split, or take the bound away."
        )


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
          examples: What SegmentationValidator checked.
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
