"""Evaluates one model or two, and decides."""

import json
from typing import Any, Final

from absl import logging
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as evaluator_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, json_utils

from components.artifact_properties import (
    BASELINE_FOUND,
    BASELINE_INCOMPARABLE,
    BASELINE_REASON,
    BASELINE_VERSION,
    BLESSED,
    DATASET_NAME,
    DATASET_VERSION,
    EVALUATED_SPLITS,
    FORCED_BECAUSE,
    REFERENCE_DATASET,
    SPLIT_COUNTS,
    SPLIT_DIGESTS,
)
from components.example_counts import check_count, expected_count
from components.model_evaluator.gate import VERDICT_FILE_NAME, Gate, Verdict
from components.model_evaluator.results import read_measured

GATE_KEY: Final = "gate"
FORCE_BLESS_KEY: Final = "force_bless"


class Executor(evaluator_executor.Executor):
    """ModelEvaluator's executor: TFX's Evaluator, which measures, and the gate, which decides."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Measures as TFX does, writes the gate's verdict, and blesses the model or not.

        Raises:
          DataError: Not all examples of the evaluated splits were evaluated.
        """
        found = artifact_utils.get_single_instance(input_dict[standard_component_specs.BASELINE_MODEL_KEY])
        baseline = found if found.get_int_custom_property(BASELINE_FOUND) else None
        if baseline is None:
            logging.info("There is no baseline: bounds of changes do not count.")
            input_dict = {
                key: value for key, value in input_dict.items() if key != standard_component_specs.BASELINE_MODEL_KEY
            }
        super().Do(input_dict, output_dict, exec_properties)

        evaluation = artifact_utils.get_single_instance(output_dict[standard_component_specs.EVALUATION_KEY])
        gate = Gate.model_validate_json(exec_properties[GATE_KEY])
        measured = read_measured(evaluation.uri)
        examples = artifact_utils.get_single_instance(input_dict[standard_component_specs.EXAMPLES_KEY])
        splits = json_utils.loads(exec_properties[standard_component_specs.EXAMPLE_SPLITS_KEY])
        expected = expected_count(examples, splits)
        if expected is not None:
            check_count(f"evaluation of {', '.join(splits)}", measured[()].examples, expected)
        verdict = gate.judge(measured, has_baseline=baseline is not None, obstacle=_obstacle(found))
        io_utils.write_string_file(f"{evaluation.uri}/{VERDICT_FILE_NAME}", verdict.model_dump_json(indent=2))
        # Whoever wants to know on what data needs not fetch the data.
        for name in (DATASET_NAME, DATASET_VERSION, SPLIT_COUNTS, SPLIT_DIGESTS):
            evaluation.set_string_custom_property(name, examples.get_string_custom_property(name))
        evaluation.set_string_custom_property(EVALUATED_SPLITS, json.dumps(splits))
        if reference := examples.get_string_custom_property(REFERENCE_DATASET):
            evaluation.set_string_custom_property(REFERENCE_DATASET, reference)

        blessing = artifact_utils.get_single_instance(output_dict[standard_component_specs.BLESSING_KEY])
        model = artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_KEY])
        _bless(blessing, verdict, exec_properties[FORCE_BLESS_KEY])
        _name_models(blessing, model, baseline)


def _obstacle(found: types.Artifact) -> str:
    """Returns why a model that is served cannot be compared with; nothing where it can, or where none is served."""
    if not found.get_int_custom_property(BASELINE_INCOMPARABLE):
        return ""
    version, reason = (found.get_string_custom_property(name) for name in (BASELINE_VERSION, BASELINE_REASON))
    return f"version {version}: {reason}"


def _bless(blessing: types.Artifact, verdict: Verdict, force_bless: str) -> None:
    """Blesses or refuses as the verdict or the user says; where no bound counts, it does neither."""
    if force_bless and not verdict.passed:
        logging.warning("The model is blessed by force: %s", force_bless)
        blessing.set_string_custom_property(FORCED_BECAUSE, force_bless)
    elif verdict.passed is None:
        logging.info("No bound counts: the model is neither blessed nor refused.")
        return
    is_blessed = bool(verdict.passed or force_bless)
    name = constants.BLESSED_FILE_NAME if is_blessed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    blessing.set_int_custom_property(BLESSED, int(is_blessed))


def _name_models(blessing: types.Artifact, model: types.Artifact, baseline: types.Artifact | None) -> None:
    """Has the blessing say what it is of, in the properties of TFX's Evaluator."""
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    if baseline is not None:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)
