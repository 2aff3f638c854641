"""A driver by which TFX's cache goes by more than a component's inputs and settings."""

from abc import abstractmethod

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2


class PropertyDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Adds execution properties before the cache is asked.

    TFX accepts only the first of the two classes, and runs only the second.
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns what the execution gets beside its own properties."""
        result = driver_output_pb2.DriverOutput()
        for name, value in self.added_properties(execution_info).items():
            data_types_utils.set_metadata_value(result.exec_properties[name], value)
        return result

    @abstractmethod
    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        """Returns the properties, by name; an execution whose properties and inputs are an earlier one's is cached."""
