"""The contract of ImportSchema."""

from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.import_schema.executor import SCHEMA_KEY, SCHEMA_TEXT_KEY, Executor


class ImportSchemaSpec(component_spec.ComponentSpec):
    """ImportSchema's inputs, outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {SCHEMA_TEXT_KEY: component_spec.ExecutionParameter(type=str)}
    INPUTS: ClassVar[dict[str, Any]] = {}
    OUTPUTS: ClassVar[dict[str, Any]] = {SCHEMA_KEY: component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class ImportSchema(base_component.BaseComponent):
    """Writes the schema that it is given.

    TFX's ImportSchemaGen takes a path: a pod has not the files of the machine that compiled the pipeline, and the cache
    would not notice an edited file.

    Outputs:
      schema: `Schema` with `schema.pbtxt`.
    """

    SPEC_CLASS = ImportSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, schema_text: str) -> None:
        """Constructs the component.

        Args:
          schema_text: A `tensorflow_metadata` Schema in protobuf's text format.
        """
        schema = types.Channel(type=standard_artifacts.Schema)
        super().__init__(spec=ImportSchemaSpec(**{SCHEMA_TEXT_KEY: schema_text, SCHEMA_KEY: schema}))
