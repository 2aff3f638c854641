"""The contract of TfdsExampleGen.

Puts the data's identity into the execution, so that TFX's cache notices other data under the same settings.
"""

from collections.abc import Mapping
from typing import Any

from tfx.components.example_gen import component, driver, utils
from tfx.dsl.components.base import executor_spec
from tfx.orchestration import data_types

from components.tfds_example_gen.executor import Executor
from components.tfds_example_gen.messages import source_and_splits, source_message, split_configs
from components.tfds_example_gen.reference import ReferenceSet
from components.tfds_example_gen.shards import identity
from components.tfds_example_gen.source import TfdsSource, open_dataset


def fingerprint(exec_properties: dict[str, Any]) -> dict[str, str]:
    """Finds (and prepares) the data set, and returns the execution property that identifies what will be read.

    Runners that know no drivers call it in a step of its own.

    Raises:
      ConfigError, DataError: As `open_dataset` says.
    """
    source, splits = source_and_splits(exec_properties)
    builder = open_dataset(source, splits)
    reference = ReferenceSet.open(source, builder)
    found = [
        identity(builder, splits.values()),
        *([identity(reference.builder, [reference.slice])] if reference else []),
    ]
    return {utils.FINGERPRINT_PROPERTY_NAME: " ".join(found)}


class TfdsDriver(driver.QueryBasedDriver):
    """QueryBasedDriver with the fingerprint that queries lack."""

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """Finds (and prepares) the data set, and adds the digest of what will be read."""
        properties = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        return properties | fingerprint(properties)


class TfdsExampleGen(component.QueryBasedExampleGen):
    """Ingests a TFDS data set that has an image and a segmentation mask, whose bytes go through untouched.

    Outputs:
      examples: `Examples` with one gzipped TFRecord directory a split, of `tf.train.Example`s with the raw features of
        `trainer_module.features` and the slice features. Custom properties: `dataset_name`, `dataset_version`, and
        `split_counts` (JSON: split name to number of examples), `split_digests` (JSON: split name to a digest of what
        was read), and `date_ranges` (JSON: split name to the first and last day of its examples, in days since
        1970-01-01; empty of data without dates). With a reference set, its split is `reference`, and the property
        `reference_dataset` says what it is of.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = TfdsDriver

    def __init__(self, source: TfdsSource, splits: Mapping[str, str]) -> None:
        """Constructs the component.

        Args:
          source: The data set and its features.
          splits: Name of each output split to the TFDS slice it is read from, such as `train[:90%]`; the same slice
            for each where a hash parts it.
        """
        inputs, outputs = split_configs(source, splits)
        super().__init__(input_config=inputs, output_config=outputs, custom_config=source_message(source))
