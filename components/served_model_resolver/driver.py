"""Puts the identity of what is served into the execution, so that TFX's cache notices a new version."""

from typing import Final

from tfx.orchestration.portable import data_types

from components.model_pusher.checksums import content_digest
from components.model_pusher.push_settings import push_directory
from components.model_pusher.versions import newest_version
from components.property_driver import PropertyDriver
from components.served_model_resolver.executor import RESET_KEY

SERVED_MODEL_KEY: Final = "served_model"


class ServedModelDriver(PropertyDriver):
    """Adds the path of the newest complete version and the digest of its files."""

    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        properties = execution_info.exec_properties
        return {SERVED_MODEL_KEY: "" if properties[RESET_KEY] else served_identity(push_directory(properties))}


def served_identity(push_destination: str) -> str:
    """Returns what changes when another model is served, or the same under another number; empty for none."""
    path = newest_version(push_destination)
    return f"{path} {content_digest(path)}" if path else ""
