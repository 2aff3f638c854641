"""Evaluates one model or two, and decides."""

from typing import Any, Final

from absl import logging
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components.artifact_properties import BASELINE_FOUND, DATASET_NAME, DATASET_VERSION, FORCED_BECAUSE
from components.model_evaluator.gate import Verdict, judge

MIN_SLICE_EXAMPLES_KEY: Final = "min_slice_examples"
FORCE_BLESS_KEY: Final = "force_bless"


class Executor(evaluator_executor.Executor):
    """ModelEvaluator's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates as TFX does, writes the verdict, and blesses a model that fails nothing but small slices."""
        super().Do(_without_missing_baseline(input_dict), output_dict, exec_properties)
        evaluation = artifact_utils.get_single_instance(output_dict[standard_component_specs.EVALUATION_KEY])
        _name_data(evaluation, artifact_utils.get_single_instance(input_dict[standard_component_specs.EXAMPLES_KEY]))
        blessing = artifact_utils.get_single_instance(output_dict[standard_component_specs.BLESSING_KEY])
        verdict = judge(evaluation.uri, int(exec_properties[MIN_SLICE_EXAMPLES_KEY]))
        verdict.save(evaluation.uri)
        _seal(blessing, verdict, exec_properties[FORCE_BLESS_KEY])


def _without_missing_baseline(input_dict: dict[str, list[types.Artifact]]) -> dict[str, list[types.Artifact]]:
    baseline = artifact_utils.get_single_instance(input_dict[standard_component_specs.BASELINE_MODEL_KEY])
    if baseline.get_int_custom_property(BASELINE_FOUND):
        return input_dict
    logging.info("There is no baseline: bounds of changes do not count.")
    return {key: value for key, value in input_dict.items() if key != standard_component_specs.BASELINE_MODEL_KEY}


def _name_data(evaluation: types.Artifact, examples: types.Artifact) -> None:
    """Has the evaluation say on what data: whoever wants to know that needs not fetch the data."""
    for name in (DATASET_NAME, DATASET_VERSION):
        evaluation.set_string_custom_property(name, examples.get_string_custom_property(name))


def _seal(blessing: types.Artifact, verdict: Verdict, force_bless: str) -> None:
    """Turns the blessing that TFX withheld into one that it gives, where the verdict or the user says so."""
    if force_bless and not verdict.passed:
        logging.warning("The model is blessed by force: %s", force_bless)
        blessing.set_string_custom_property(FORCED_BECAUSE, force_bless)
    if verdict.passed or force_bless:
        refusal = f"{blessing.uri}/{constants.NOT_BLESSED_FILE_NAME}"
        if fileio.exists(refusal):
            fileio.remove(refusal)
        io_utils.write_string_file(f"{blessing.uri}/{constants.BLESSED_FILE_NAME}", "")
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.BLESSED_VALUE)
