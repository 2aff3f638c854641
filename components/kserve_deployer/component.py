"""The contract of KServeDeployer, and its driver, which keeps TFX from re-using an earlier deployment."""

import time
from typing import Any, ClassVar, Final

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.portable import data_types
from tfx.proto import pusher_pb2
from tfx.types import channel, component_spec, standard_artifacts
from tfx.types.standard_component_specs import PUSH_DESTINATION_KEY

from components.kserve_deployer.canary.settings import WatchSettings
from components.kserve_deployer.cluster import DeployRequest
from components.kserve_deployer.executor import (
    DEPLOYED_MODEL_KEY,
    EXAMPLES_KEY,
    PUSHED_MODEL_KEY,
    REQUEST_KEY,
    WATCH_KEY,
    Executor,
)
from components.property_driver import PropertyDriver

ASKED_AT_KEY: Final = "asked_at"


class DeployerDriver(PropertyDriver):
    """Adds the time: the cluster may serve another model since the last deployment."""

    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        return {ASKED_AT_KEY: time.time_ns()}


class KServeDeployerSpec(component_spec.ComponentSpec):
    """KServeDeployer's inputs, outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        PUSH_DESTINATION_KEY: component_spec.ExecutionParameter(type=pusher_pb2.PushDestination),
        REQUEST_KEY: component_spec.ExecutionParameter(type=str),
        WATCH_KEY: component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS: ClassVar[dict[str, Any]] = {
        PUSHED_MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.PushedModel),
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples, optional=True),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {
        DEPLOYED_MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.PushedModel)
    }


class KServeDeployer(base_component.BaseComponent):
    """Has KServe serve the model that was pushed, and waits until it does, or until a canary is decided on.

    Outputs:
      deployed_model: `PushedModel` with `deployment.json`, and with `canary.json` where a canary was watched. Custom
        properties: `deployed` (1 or 0), and of type string `summary`, `version`, `storage_uri`, `url` and `canary`.
    """

    SPEC_CLASS = KServeDeployerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = DeployerDriver

    def __init__(
        self,
        pushed_model: channel.BaseChannel,
        push_destination: pusher_pb2.PushDestination,
        request: DeployRequest,
        *,
        examples: channel.BaseChannel | None = None,
        watch: WatchSettings | None = None,
    ) -> None:
        """Constructs the component.

        Args:
          pushed_model: `PushedModel` of the Pusher.
          push_destination: Where it pushes models to.
          request: The InferenceService, and where it is.
          examples: `Examples` with the images that a canary is asked about; needed to watch one.
          watch: How a canary is watched, promoted or rolled back. None: it stays one until somebody decides.
        """
        parameters = {
            PUSH_DESTINATION_KEY: push_destination,
            REQUEST_KEY: request.model_dump_json(),
            PUSHED_MODEL_KEY: pushed_model,
        }
        if watch is not None:
            parameters |= {WATCH_KEY: watch.model_dump_json(), EXAMPLES_KEY: examples}
        output = types.Channel(type=standard_artifacts.PushedModel)
        super().__init__(spec=KServeDeployerSpec(**parameters, **{DEPLOYED_MODEL_KEY: output}))
