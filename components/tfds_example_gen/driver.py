"""Puts the data's identity into the execution, so that TFX's cache notices other data under the same settings."""

from typing import Any

from tfx.components.example_gen import driver, utils
from tfx.orchestration import data_types

from components.tfds_example_gen.executor import source_and_splits
from components.tfds_example_gen.source import identity, open_dataset


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


def fingerprint(exec_properties: dict[str, Any]) -> dict[str, str]:
    """Finds (and prepares) the data set, and returns the execution property that identifies what will be read.

    Runners that know no drivers call it in a step of its own.

    Raises:
      ConfigError, DataError: As `open_dataset` says.
    """
    source, splits = source_and_splits(exec_properties)
    return {utils.FINGERPRINT_PROPERTY_NAME: identity(open_dataset(source, splits), splits.values())}
