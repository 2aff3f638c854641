"""Copies the served model, and says what it found."""

from typing import Any, Final

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components.model_pusher.push_settings import push_directory
from components.served_model_resolver.baseline import ModelContract, find_baseline
from trainer_module import features

MODEL_KEY: Final = standard_component_specs.MODEL_KEY
PUSH_DESTINATION_KEY: Final = standard_component_specs.PUSH_DESTINATION_KEY
MODEL_CONTRACT_KEY: Final = "model_contract"
RESET_KEY: Final = "reset"

FOUND_PROPERTY: Final = "found"
VERSION_PROPERTY: Final = "version"
PATH_PROPERTY: Final = "path"
REASON_PROPERTY: Final = "reason"


class Executor(base_executor.BaseExecutor):
    """ServedModelResolver's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Copies the newest complete version where it can be compared with; else leaves the reason why not."""
        contract = ModelContract.model_validate_json(exec_properties[MODEL_CONTRACT_KEY])
        baseline = find_baseline(push_directory(exec_properties), contract, reset=bool(int(exec_properties[RESET_KEY])))
        logging.info("The baseline: %s", baseline)
        model = artifact_utils.get_single_instance(output_dict[MODEL_KEY])
        if baseline.found:
            io_utils.copy_dir(baseline.path, path_utils.serving_model_path(model.uri))
        # Always there: the launcher of Kubeflow Pipelines knows no artifact without a file.
        io_utils.write_string_file(f"{model.uri}/{features.BASELINE_FILE}", baseline.model_dump_json())
        model.set_int_custom_property(FOUND_PROPERTY, int(baseline.found))
        for name in (VERSION_PROPERTY, PATH_PROPERTY, REASON_PROPERTY):
            model.set_string_custom_property(name, getattr(baseline, name))
