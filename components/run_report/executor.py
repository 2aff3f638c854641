"""Has a run reported, and leaves whole artifacts whatever becomes of that."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import import_utils

from components.artifact_properties import CONFUSION_MATRIX, NOT_WRITTEN_BECAUSE
from components.run_report.report import (
    CONFUSION_MATRIX_FILE,
    MODEL_CARD_FILE,
    REPORT_FILE,
    ReportArguments,
    Reported,
)

METRICS_KEY: Final = "metrics"
CONFUSION_MATRIX_KEY: Final = "confusion_matrix"
REPORT_KEY: Final = "report"
MODEL_CARD_KEY: Final = "model_card"

REPORT_FN_KEY: Final = "report_fn"
SETTINGS_KEY: Final = "settings"
NODE_IDS_KEY: Final = "node_ids"
ORIGINS_KEY: Final = "origins"
"""JSON: input to the id of the component that left it, and the name that it has there."""

RUN_ID_KEY: Final = "run_id"
"""Filled when the component runs: by its driver, or by the pod's entrypoint."""

_NO_REPORT: Final = "No report was written"


class Executor(base_executor.BaseExecutor):
    """RunReport's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the artifacts; raises nothing but what ends the process."""
        metrics, matrix, report, card = (
            artifact_utils.get_single_instance(output_dict[key])
            for key in (METRICS_KEY, CONFUSION_MATRIX_KEY, REPORT_KEY, MODEL_CARD_KEY)
        )
        page, model_card = Path(report.uri, REPORT_FILE), Path(card.uri, MODEL_CARD_FILE)
        try:
            arguments = _arguments(input_dict, exec_properties, Path(metrics.uri), page, model_card)
            reported: Reported = import_utils.import_class_by_path(exec_properties[REPORT_FN_KEY])(arguments)
        except Exception as error:  # noqa: BLE001 (a run is not to fail by its report)
            logging.exception("The run cannot be reported.")
            reported = Reported({}, not_written_because=_reason(error))
        _set_properties(metrics, reported.metrics)
        if reported.not_written_because:
            report.set_string_custom_property(NOT_WRITTEN_BECAUSE, reported.not_written_because)
        try:
            _write_missing(page, model_card, reported.not_written_because)
            _write_matrix(matrix, reported)
        except OSError as error:
            logging.exception("Nothing can be written.")
            report.set_string_custom_property(NOT_WRITTEN_BECAUSE, _reason(error))


def _arguments(
    input_dict: Mapping[str, Sequence[types.Artifact]],
    exec_properties: Mapping[str, Any],
    directory: Path,
    page: Path,
    model_card: Path,
) -> ReportArguments:
    outputs: dict[str, dict[str, Sequence[types.Artifact]]] = {}
    for key, (node_id, output) in json.loads(exec_properties[ORIGINS_KEY]).items():
        if input_dict.get(key):
            outputs.setdefault(node_id, {})[output] = input_dict[key]
    return ReportArguments(
        run_id=exec_properties[RUN_ID_KEY],
        settings=json.loads(exec_properties[SETTINGS_KEY]),
        node_ids=json.loads(exec_properties[NODE_IDS_KEY]),
        outputs=outputs,
        directory=directory,
        report=page,
        model_card=model_card,
    )


def _set_properties(metrics: types.Artifact, values: Mapping[str, float | str]) -> None:
    """Sets what is defined: Kubeflow's launcher fails over a property that is null."""
    for name, value in values.items():
        if isinstance(value, str):
            metrics.set_string_custom_property(name, value)
        elif isinstance(value, int):
            metrics.set_int_custom_property(name, value)
        elif math.isfinite(value):
            metrics.set_float_custom_property(name, value)


def _write_matrix(artifact: types.Artifact, reported: Reported) -> None:
    """Leaves the matrix as a property and as a file; without one, a file alone, for nothing is no artifact."""
    matrix = reported.confusion_matrix.as_kubeflow() if reported.confusion_matrix else None
    if matrix is not None:
        artifact.set_json_value_custom_property(CONFUSION_MATRIX, matrix)
    Path(artifact.uri, CONFUSION_MATRIX_FILE).write_text(json.dumps(matrix) + "\n", encoding="utf-8")


def _write_missing(page: Path, model_card: Path, reason: str) -> None:
    """Writes why there is nothing, where the report and the card are not."""
    if not page.is_file():
        text = f"<!doctype html>\n<meta charset='utf-8'>\n<title>{_NO_REPORT}</title>\n<h1>{_NO_REPORT}</h1>\n"
        page.write_text(f"{text}<p>{html.escape(reason)}</p>\n", encoding="utf-8")
    if not model_card.is_file():
        model_card.write_text(f"# No model card was written\n\n{reason}\n", encoding="utf-8")


def _reason(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
