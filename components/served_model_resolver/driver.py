"""Puts the identity of what is served into the execution, so that TFX's cache notices a new version."""

from typing import Final

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from components.model_pusher.checksums import content_digest
from components.model_pusher.push_settings import push_directory
from components.model_pusher.versions import newest_version
from components.served_model_resolver.executor import RESET_KEY

SERVED_MODEL_KEY: Final = "served_model"


class ServedModelDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Adds the path of the newest complete version and the digest of its files to the execution properties.

    TFX accepts only the first of the two classes, and runs only the second.
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        result = driver_output_pb2.DriverOutput()
        properties = execution_info.exec_properties
        identity = "" if properties[RESET_KEY] else served_identity(push_directory(properties))
        data_types_utils.set_metadata_value(result.exec_properties[SERVED_MODEL_KEY], identity)
        return result


def served_identity(push_destination: str) -> str:
    """Returns what changes when another model is served, or the same under another number; empty for none."""
    path = newest_version(push_destination)
    return f"{path} {content_digest(path)}" if path else ""
