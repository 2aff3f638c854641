"""Compares the data with what the served model was trained on, and with what models were evaluated on before.

What drifted or lost a class is refused if it is to; so are images that would now be learnt from, and a reference set
that has changed.
"""

import json
from typing import Any, Final

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components.artifact_properties import REFERENCE_DATASET, SPLIT_DIGESTS
from components.data_statistics import STATISTICS_FILE, DataStatistics
from components.drift_detector.relearnt import reference_refusal, relearnt_images, relearnt_refusal
from components.drift_detector.report import DRIFT_FILE, DriftReport
from components.drift_detector.served import TRAINED_SPLIT, DriftSettings, drift_from_served
from components.image_digests import IMAGES_FILE, read_images
from components.model_pusher.files import opened
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
          DataError: The data drifted or lost a class, and that is refused; images that were evaluated on before would
            be learnt from; the reference set is not as it was; or what SegmentationValidator found cannot be read.
          ModelError: What is recorded beside the served models cannot be read.
        """
        settings = DriftSettings.model_validate_json(exec_properties[SETTINGS_KEY])
        findings = artifact_utils.get_single_instance(input_dict[FINDINGS_KEY])
        destination, is_reset = push_directory(exec_properties), bool(int(exec_properties[RESET_KEY]))
        with opened(f"{findings.uri}/{IMAGES_FILE}") as file:
            images = read_images(file.read())
        relearnt = relearnt_images(destination, images, settings)
        report = _report(destination, findings.uri, settings, is_reset=is_reset).model_copy(
            update={"relearnt": {split: len(names) for split, names in relearnt.items()}}
        )
        logging.info("Drift: %s", report.summary)
        has_drifted = settings.action == "refuse" and bool(report.comparison.drifted)
        refusals = [*([report.loss] if report.losses else []), *([report.refusal] if has_drifted else [])]
        if relearnt and settings.duplicates != "warn" and not is_reset:
            refusals.append(relearnt_refusal(destination, relearnt))
        reference = findings.get_string_custom_property(REFERENCE_DATASET)
        digests = json.loads(findings.get_string_custom_property(SPLIT_DIGESTS) or "{}")
        refusals += filter(None, [reference_refusal(destination, reference, digests)])
        drift = artifact_utils.get_single_instance(output_dict[DRIFT_KEY])
        directory = refused_directory(drift.uri, self._context) if refusals else drift.uri
        io_utils.write_string_file(f"{directory}/{DRIFT_FILE}", report.model_dump_json(indent=2))
        if refusals:
            raise DataError(". ".join(refusals))


def _report(push_destination: str, findings_uri: str, settings: DriftSettings, *, is_reset: bool) -> DriftReport:
    statistics = f"{findings_uri}/{STATISTICS_FILE}"
    return drift_from_served(
        push_destination,
        DataStatistics.from_json(io_utils.read_string_file(statistics), statistics),
        None if settings.action == "off" else settings.thresholds,
        reset=is_reset,
        whole=(TRAINED_SPLIT, settings.evaluation_split) if settings.refuse_lost_classes else (),
    )
