"""Validates the statistics as TFX does, and the gate's bounds against the classes that the evaluated split has."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tfx import types
from tfx.components.example_validator import executor as example_validator_executor
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils

from components.tfds_example_gen.executor import CLASS_PIXELS_PROPERTY
from trainer_module.errors import DataError

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
        pixels = json.loads(examples.get_string_custom_property(CLASS_PIXELS_PROPERTY) or "{}")
        check_class_bounds(pixels, **json.loads(exec_properties[CLASS_BOUNDS_KEY]))
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
