"""StatisticsGen: computes statistics as TFX does, of all examples or not at all."""

from typing import Any

import tensorflow_data_validation as tfdv
from tfx import types
from tfx.components.statistics_gen import component
from tfx.components.statistics_gen import executor as statistics_gen_executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs

from components.example_counts import check_count, expected_count


class Executor(statistics_gen_executor.Executor):
    """StatisticsGen's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the statistics.

        Raises:
          DataError: They are not of all examples of a split.
        """
        super().Do(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(input_dict[standard_component_specs.EXAMPLES_KEY])
        statistics = artifact_utils.get_single_instance(output_dict[standard_component_specs.STATISTICS_KEY])
        for split in artifact_utils.decode_split_names(statistics.split_names):
            directory = artifact_utils.get_split_uri([statistics], split)
            expected = expected_count(examples, [split])
            if expected is not None:
                check_count(f"statistics of the split {split!r}", _counted(directory), expected)


def _counted(directory: str) -> int:
    [dataset] = tfdv.load_stats_binary(f"{directory}/{statistics_gen_executor.DEFAULT_FILE_NAME}").datasets
    return int(dataset.num_examples)


class StatisticsGen(component.StatisticsGen):
    """StatisticsGen of TFX that also checks that all examples of each split were counted.

    Outputs:
      statistics: `ExampleStatistics` as of TFX's StatisticsGen.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
