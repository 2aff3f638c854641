"""Compares the statistics of the data with those that the served model keeps; refuses what drifted or lost classes."""

from typing import Any, Final

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components.data_statistics import STATISTICS_FILE, DataStatistics
from components.drift_detector.report import DRIFT_FILE
from components.drift_detector.served import TRAINED_SPLIT, DriftSettings, drift_from_served
from components.model_pusher.push import push_directory
from components.refused_data import refused_directory
from trainer_module.errors import DataError

FINDINGS_KEY: Final = "findings"
DRIFT_KEY: Final = "drift"
PUSH_DESTINATION_KEY: Final = standard_component_specs.PUSH_DESTINATION_KEY
SETTINGS_KEY: Final = "settings"
RESET_KEY: Final = "reset"


class Executor(base_executor.BaseExecutor):
    """DriftDetector's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the report, of refused data beside the component's artifacts (`components.refused_data`).

        Raises:
          DataError: The data drifted or lost a class, and that is refused; or its statistics cannot be read.
        """
        settings = DriftSettings.model_validate_json(exec_properties[SETTINGS_KEY])
        findings = artifact_utils.get_single_instance(input_dict[FINDINGS_KEY])
        statistics = f"{findings.uri}/{STATISTICS_FILE}"
        report = drift_from_served(
            push_directory(exec_properties),
            DataStatistics.from_json(io_utils.read_string_file(statistics), statistics),
            None if settings.action == "off" else settings.thresholds,
            reset=bool(int(exec_properties[RESET_KEY])),
            whole=(TRAINED_SPLIT, settings.evaluation_split) if settings.refuse_lost_classes else (),
        )
        logging.info("Drift: %s", report.summary)
        drift = artifact_utils.get_single_instance(output_dict[DRIFT_KEY])
        has_drifted = settings.action == "refuse" and bool(report.comparison.drifted)
        refusals = [*([report.loss] if report.losses else []), *([report.refusal] if has_drifted else [])]
        directory = refused_directory(drift.uri, self._context) if refusals else drift.uri
        io_utils.write_string_file(f"{directory}/{DRIFT_FILE}", report.model_dump_json(indent=2))
        if refusals:
            raise DataError(". ".join(refusals))
