"""Writes the schema."""

from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

SCHEMA_KEY = "schema"
SCHEMA_TEXT_KEY = "schema_text"
SCHEMA_FILE_NAME = "schema.pbtxt"


class Executor(base_executor.BaseExecutor):
    """ImportSchema's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `schema.pbtxt`, formatted as the other components write it."""
        schema = text_format.Parse(exec_properties[SCHEMA_TEXT_KEY], schema_pb2.Schema())
        directory = artifact_utils.get_single_uri(output_dict[SCHEMA_KEY])
        io_utils.write_pbtxt_file(f"{directory}/{SCHEMA_FILE_NAME}", schema)
