"""The contract of DriftDetector.

As ServedModelResolver's, its driver puts the identity of what is served into the execution, and that of what was
evaluated on before.
"""

from typing import Any, ClassVar, Final

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.portable import data_types
from tfx.proto import pusher_pb2
from tfx.types import component_spec

from components.drift_detector.artifact import DataDrift
from components.drift_detector.executor import (
    DRIFT_KEY,
    FINDINGS_KEY,
    PUSH_DESTINATION_KEY,
    RESET_KEY,
    SETTINGS_KEY,
    Executor,
)
from components.drift_detector.served import DriftSettings
from components.model_pusher.evaluated import record_identity
from components.model_pusher.push import push_directory
from components.segmentation_validator.artifact import SegmentationFindings
from components.served_model_resolver.component import ServedModelDriver

EVALUATED_KEY: Final = "evaluated_images"


class DriftDriver(ServedModelDriver):
    """Adds the identity of what is served, and of the record of the images that were evaluated on."""

    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        recorded = record_identity(push_directory(execution_info.exec_properties))
        return super().added_properties(execution_info) | {EVALUATED_KEY: recorded}


class DriftDetectorSpec(component_spec.ComponentSpec):
    """DriftDetector's inputs, outputs and parameters."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        PUSH_DESTINATION_KEY: component_spec.ExecutionParameter(type=pusher_pb2.PushDestination),
        SETTINGS_KEY: component_spec.ExecutionParameter(type=str),
        RESET_KEY: component_spec.ExecutionParameter(type=int),
    }
    INPUTS: ClassVar[dict[str, Any]] = {FINDINGS_KEY: component_spec.ChannelParameter(type=SegmentationFindings)}
    OUTPUTS: ClassVar[dict[str, Any]] = {DRIFT_KEY: component_spec.ChannelParameter(type=DataDrift)}


class DriftDetector(base_component.BaseComponent):
    """Compares the split that is trained on with what the newest served model was trained on.

    A run whose data drifted, or lost a class, goes on, or ends here, before Transform and the training, as the settings
    say. Where nothing is served, or nothing is known of what the served model was trained on, the report says so. A run
    ends here, too, that would learn from images that models were evaluated on before, or whose reference set changed.

    Outputs:
      drift: `DataDrift` with `drift.json` (`components.drift_detector.report.DriftReport`).
    """

    SPEC_CLASS = DriftDetectorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = DriftDriver

    def __init__(
        self,
        *,
        findings: types.BaseChannel,
        push_destination: pusher_pb2.PushDestination,
        settings: DriftSettings,
        reset: bool = False,
    ) -> None:
        """Constructs the component.

        Args:
          findings: Of SegmentationValidator, with the statistics of the data.
          push_destination: Where models are pushed to.
          settings: What is drift, and what becomes of it.
          reset: Whether to find no model, whatever is served.
        """
        parameters = {
            PUSH_DESTINATION_KEY: push_destination,
            SETTINGS_KEY: settings.model_dump_json(),
            RESET_KEY: int(reset),
        }
        channels = {FINDINGS_KEY: findings, DRIFT_KEY: types.Channel(type=DataDrift)}
        super().__init__(spec=DriftDetectorSpec(**parameters, **channels))
