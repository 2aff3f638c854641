"""Keeps TFX's cache from claiming a push that is undone: its version deleted, or another destination in its place."""

import uuid
from typing import Final

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import path_utils

from components.model_pusher.checksums import content_digest
from components.model_pusher.executor import refused_by
from components.model_pusher.push_settings import push_directory
from components.model_pusher.versions import newest_version

SITUATION_KEY: Final = "situation"


class PushDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Adds to the execution properties what the push depends on beside its inputs.

    TFX accepts only the first of the two classes, and runs only the second.
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        result = driver_output_pb2.DriverOutput()
        data_types_utils.set_metadata_value(result.exec_properties[SITUATION_KEY], situation(execution_info))
        return result


def situation(execution_info: data_types.ExecutionInfo) -> str:
    """Returns what is the same twice only where the push would do nothing twice: so it always looks but then."""
    inputs = execution_info.input_dict
    refusal = refused_by(inputs)
    if refusal:
        return refusal
    model = artifact_utils.get_single_instance(inputs[standard_component_specs.MODEL_KEY])
    served = newest_version(push_directory(execution_info.exec_properties))
    content = content_digest(path_utils.serving_model_path(model.uri))
    if served is not None and content_digest(served) == content:
        return f"{served} is this model"
    return f"to be pushed {uuid.uuid4().hex}"
