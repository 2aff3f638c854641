"""Keeps TFX from re-using an earlier deployment: the cluster may serve another model since."""

import time
from typing import Final

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

ASKED_AT_KEY: Final = "asked_at"


class DeployerDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Adds the time to the execution properties.

    TFX accepts only the first of the two classes, and runs only the second.
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        result = driver_output_pb2.DriverOutput()
        data_types_utils.set_metadata_value(result.exec_properties[ASKED_AT_KEY], time.time_ns())
        return result
