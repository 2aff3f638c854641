"""Transform: preprocesses as TFX does, all examples or none."""

from typing import Any

from tfx import types
from tfx.components.transform import component
from tfx.components.transform import executor as transform_executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs

from components.example_counts import check_count, count_records, expected_count


class Executor(transform_executor.Executor):
    """Transform's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the transformed examples and the graph.

        Raises:
          DataError: A split has not all of its examples.
        """
        super().Do(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(input_dict[standard_component_specs.EXAMPLES_KEY])
        for transformed in output_dict.get(standard_component_specs.TRANSFORMED_EXAMPLES_KEY, []):
            for split in artifact_utils.decode_split_names(transformed.split_names):
                expected = expected_count(examples, [split])
                if expected is not None:
                    directory = artifact_utils.get_split_uri([transformed], split)
                    check_count(f"transformed examples of the split {split!r}", count_records(directory), expected)


class Transform(component.Transform):
    """Transform of TFX that also checks that all examples of each split were transformed.

    Outputs:
      transform_graph, transformed_examples, updated_analyzer_cache: As of TFX's Transform.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
