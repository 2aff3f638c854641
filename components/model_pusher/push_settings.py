"""The settings of ModelPusher, as they travel through TFX."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from tfx.proto import pusher_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils


class PushSettings(BaseModel):
    """How many versions stay; the fields mean what those of the same name in `pipeline.config.PushConfig` mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_versions: int | None = None
    pinned_versions: tuple[int, ...] = ()
    code_digest: str = ""
    """Identifies the code of the push, so that a change to it re-runs the component."""

    @classmethod
    def of(cls, exec_properties: Mapping[str, Any]) -> "PushSettings":
        """Reads the settings of an execution."""
        return cls.model_validate(json.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY]) or {})


def push_directory(exec_properties: Mapping[str, Any]) -> str:
    """Returns the directory that models are pushed to."""
    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination)
    return str(destination.filesystem.base_directory)
