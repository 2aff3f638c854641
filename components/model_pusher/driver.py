"""Keeps TFX's cache from claiming a push that is undone: its version deleted, or another destination in its place."""

import uuid
from typing import Final

from tfx.orchestration.portable import data_types
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import path_utils

from components.model_pusher.checksums import content_digest
from components.model_pusher.executor import refused_by
from components.model_pusher.push_settings import push_directory
from components.model_pusher.versions import newest_version
from components.property_driver import PropertyDriver

SITUATION_KEY: Final = "situation"


class PushDriver(PropertyDriver):
    """Adds what the push depends on beside its inputs."""

    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        return {SITUATION_KEY: situation(execution_info)}


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
