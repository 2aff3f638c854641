"""The contract of ServedModelResolver.

Puts the identity of what is served into the execution, so that TFX's cache notices a new version.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.portable import data_types
from tfx.proto import pusher_pb2
from tfx.types import component_spec, standard_artifacts

from components.model_pusher.files import pushed_content
from components.model_pusher.push import push_directory
from components.model_pusher.version_store import newest_version
from components.property_driver import PropertyDriver
from components.served_model_resolver.executor import (
    MODEL_CONTRACT_KEY,
    MODEL_KEY,
    PUSH_DESTINATION_KEY,
    RESET_KEY,
    Executor,
    ModelContract,
)

SERVED_MODEL_KEY: Final = "served_model"


class ServedModelDriver(PropertyDriver):
    """Adds the path of the newest complete version and what identifies its model."""

    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        return {**served_model(execution_info.exec_properties)}


def served_model(exec_properties: Mapping[str, Any]) -> dict[str, str]:
    """Returns the execution property that identifies the model to be resolved; it is empty for none, and for a reset.

    Runners that know no drivers call it in a step of its own.
    """
    is_reset = bool(int(exec_properties[RESET_KEY]))
    return {SERVED_MODEL_KEY: "" if is_reset else served_identity(push_directory(exec_properties))}


def served_identity(push_destination: str) -> str:
    """Returns what changes when another model is served, or the same under another number; empty for none."""
    path = newest_version(push_destination)
    return f"{path} {pushed_content(path)}" if path else ""


class ServedModelResolverSpec(component_spec.ComponentSpec):
    """ServedModelResolver's inputs, outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        PUSH_DESTINATION_KEY: component_spec.ExecutionParameter(type=pusher_pb2.PushDestination),
        MODEL_CONTRACT_KEY: component_spec.ExecutionParameter(type=str),
        RESET_KEY: component_spec.ExecutionParameter(type=int),
    }
    INPUTS: ClassVar[dict[str, Any]] = {}
    OUTPUTS: ClassVar[dict[str, Any]] = {MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model)}


class ServedModelResolver(base_component.BaseComponent):
    """Brings the newest complete version of the push destination into the pipeline, to be the baseline.

    TFX's Resolver does not run on open-source Kubeflow Pipelines, where a channel cannot be empty either: so there is
    one artifact always, and it says whether there is a model in it.

    Outputs:
      model: `Model`: a copy of the served model in TFX's layout, or nothing but `baseline.json`. Custom properties:
        `found` and `incomparable` (1 or 0), and of type string `version`, `path` and, where no model can be compared,
        `reason`.
    """

    SPEC_CLASS = ServedModelResolverSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = ServedModelDriver

    def __init__(
        self, push_destination: pusher_pb2.PushDestination, contract: ModelContract, *, reset: bool = False
    ) -> None:
        """Constructs the component.

        Args:
          push_destination: Where models are pushed to.
          contract: What a served model must share with the new one to be compared with it.
          reset: Whether to find no model, whatever is served.
        """
        parameters = {
            PUSH_DESTINATION_KEY: push_destination,
            MODEL_CONTRACT_KEY: contract.model_dump_json(),
            RESET_KEY: int(reset),
        }
        output = types.Channel(type=standard_artifacts.Model)
        super().__init__(spec=ServedModelResolverSpec(**parameters, **{MODEL_KEY: output}))
