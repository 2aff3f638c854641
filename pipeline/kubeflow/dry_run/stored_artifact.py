"""What the record of a run reads from an artifact of the object store."""

from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.dry_run.object_store import ObjectStore
from pipeline.node_outputs import PARAMETER_VALUE


class StoredArtifact:
    """An artifact under the path that its files have on this machine."""

    def __init__(self, path: Path, metadata: dict[str, Any]) -> None:
        self.uri = str(path)
        self._metadata = metadata

    @classmethod
    def of(cls, artifact: pipeline_spec_pb2.RuntimeArtifact, store: ObjectStore) -> "StoredArtifact":
        """Returns an artifact of the object store."""
        return cls(store.path(artifact.uri), json_format.MessageToDict(artifact.metadata))

    @classmethod
    def of_parameter(cls, value: Any) -> "StoredArtifact":
        """Returns an output parameter as an artifact without files, whose property `value` it is."""
        return cls(Path(), {PARAMETER_VALUE: value})

    def get_string_custom_property(self, key: str) -> str:
        return str(self._metadata.get(key, ""))

    def get_int_custom_property(self, key: str) -> int:
        return int(self._metadata.get(key, 0))
