"""The contract of ImportSchema."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.import_schema.executor import (
    CODE_DIGEST_KEY,
    EXAMPLES_KEY,
    SCHEMA_KEY,
    SCHEMA_TEXT_KEY,
    SLICE_FEATURES_KEY,
    Executor,
)


class ImportSchemaSpec(component_spec.ComponentSpec):
    """ImportSchema's inputs, outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        SCHEMA_TEXT_KEY: component_spec.ExecutionParameter(type=str),
        SLICE_FEATURES_KEY: component_spec.ExecutionParameter(type=str),
        CODE_DIGEST_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS: ClassVar[dict[str, Any]] = {SCHEMA_KEY: component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class ImportSchema(base_component.BaseComponent):
    """Writes the schema that it is given, with the features that the configuration adds to every example.

    TFX's ImportSchemaGen takes a path: a pod has not the files of the machine that compiled the pipeline, and the cache
    would not notice an edited file.

    The id of each example and the slice features belong to the schema. Those that it does not declare itself are added,
    of the type that they have in the examples; whatever else the examples have is an anomaly for ExampleValidator.

    Outputs:
      schema: `Schema` with `schema.pbtxt`.
    """

    SPEC_CLASS = ImportSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        schema_text: str,
        examples: types.BaseChannel,
        slice_features: Sequence[str] = (),
        code_digest: str = "",
    ) -> None:
        """Constructs the component.

        Args:
          schema_text: A `tensorflow_metadata` Schema in protobuf's text format.
          examples: The raw examples.
          slice_features: The scalar features that they have beside those of `trainer_module.features`.
          code_digest: Identifies the component's code, so that a change to it re-runs the component.
        """
        parameters = {
            SCHEMA_TEXT_KEY: schema_text,
            SLICE_FEATURES_KEY: json.dumps(list(slice_features)),
            CODE_DIGEST_KEY: code_digest,
        }
        schema = types.Channel(type=standard_artifacts.Schema)
        super().__init__(spec=ImportSchemaSpec(**parameters, **{EXAMPLES_KEY: examples, SCHEMA_KEY: schema}))
