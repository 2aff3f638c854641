"""An artifact of a component on the cluster, in the pod or in ML Metadata."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.runs.outputs import PARAMETER_VALUE

EXECUTOR_LOGS: Final = "executor-logs"
"""Begins the name of the output that the server adds to every task: what the component has written."""


class StoredArtifact:
    """An artifact by where its files are, and what is written on it."""

    def __init__(self, uri: Path | str, properties: Mapping[str, Any]) -> None:
        """Constructs the artifact.

        Args:
          uri: Of its files: in the pod the path that they have there, else where the object store has them.
          properties: By name; numbers come back from ML Metadata as floats.
        """
        self.uri = str(uri)
        self.properties = properties

    @classmethod
    def of_parameter(cls, value: Any) -> "StoredArtifact":
        """Returns an output parameter as an artifact without files, whose property `value` it is."""
        return cls("", {PARAMETER_VALUE: value})

    def get_string_custom_property(self, key: str) -> str:
        return str(self.properties.get(key, ""))

    def get_int_custom_property(self, key: str) -> int:
        return int(self.properties.get(key, 0))


StoredOutputs = Mapping[str, Sequence[StoredArtifact]]
"""Artifacts of a component by the name of its output."""
