"""Finds the model that is served, judges whether it can be compared with a new one, and copies it or says why not."""

from typing import Any, Final

import tensorflow as tf
from absl import logging
from pydantic import BaseModel, ConfigDict
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components.artifact_properties import (
    BASELINE_FOUND,
    BASELINE_INCOMPARABLE,
    BASELINE_PATH,
    BASELINE_REASON,
    BASELINE_VERSION,
)
from components.model_pusher.files import opened
from components.model_pusher.push import push_directory
from components.model_pusher.version_store import newest_version
from trainer_module import features
from trainer_module.model_card import ModelCard

MODEL_KEY: Final = standard_component_specs.MODEL_KEY
PUSH_DESTINATION_KEY: Final = standard_component_specs.PUSH_DESTINATION_KEY
MODEL_CONTRACT_KEY: Final = "model_contract"
RESET_KEY: Final = "reset"

FOUND_PROPERTY: Final = "found"
VERSION_PROPERTY: Final = "version"
PATH_PROPERTY: Final = "path"
REASON_PROPERTY: Final = "reason"

_CARD: Final = f"{features.ASSETS_DIRECTORY}/{features.MODEL_CARD_ASSET}"
_RESET: Final = "the baseline was reset for this run"
_OUT_OF_REACH: Final = (tf.errors.AbortedError, tf.errors.DeadlineExceededError, tf.errors.UnavailableError)
"""What reading from an object store may fail with that says nothing of the model."""


class ModelContract(BaseModel):
    """What two models must share so that their metrics on the same examples can be compared; None: anything will do.

    Travels through TFX as JSON. The fields mean what those of the same name in `trainer_module.config.DataConfig` mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    class_names: tuple[str, ...] | None = None
    mask_values: tuple[int, ...] | None = None
    ignore_values: tuple[int, ...] | None = None
    """In any order."""

    code_digest: str = ""
    """Identifies the code that judges the served model, so that a change to it re-runs the component."""


class Baseline(BaseModel):
    """The model to compare with, or why there is none."""

    model_config = ConfigDict(frozen=True)

    found: bool = False
    version: str = ""
    """Name of the newest complete version; empty when nothing is served."""

    path: str = ""
    """Its directory."""

    reason: str = ""
    """Why it is no baseline."""

    incomparable: bool = False
    """Whether a model is served that cannot be compared with, though it was to be."""


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
        model.set_int_custom_property(BASELINE_FOUND, int(baseline.found))
        model.set_int_custom_property(BASELINE_INCOMPARABLE, int(baseline.incomparable))
        for name in (BASELINE_VERSION, BASELINE_PATH, BASELINE_REASON):
            model.set_string_custom_property(name, getattr(baseline, name))


def find_baseline(push_destination: str, contract: ModelContract, *, reset: bool) -> Baseline:
    """Returns the newest complete version in a directory of TensorFlow Serving's layout, if it can be compared with.

    A newest version that cannot is not passed over for an older one, which nobody serves.

    Args:
      push_destination: The directory.
      contract: What the version must have.
      reset: Whether to find nothing, whatever there is.

    Raises:
      OSError: The directory cannot be read; that is no reason to have no baseline, which caches would keep.
      tf.errors.OpError: The same, of an object store.
    """
    path = newest_version(push_destination)
    if path is None:
        return Baseline(reason=f"no model is served in {push_destination}")
    version = path.rpartition("/")[2]
    if reset:
        return Baseline(version=version, path=path, reason=_RESET)
    reason = _obstacle_in_card(path, contract) or _obstacle_in_model(path)
    return Baseline(found=not reason, version=version, path=path, reason=reason, incomparable=bool(reason))


def _obstacle_in_card(path: str, contract: ModelContract) -> str:
    try:
        with opened(f"{path}/{_CARD}") as file:
            card = ModelCard.parse(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return f"it has no {_CARD}: petseg did not export it"
    except ValueError as error:
        return f"its {_CARD} cannot be read: {_first_line(error)}"
    for name in ("class_names", "mask_values", "ignore_values"):
        found, wanted = getattr(card, name), getattr(contract, name)
        if wanted is not None and _meaning(name, found) != _meaning(name, wanted):
            return f"its {name} are {list(found)}, those of this run {list(wanted)}"
    return ""


def _meaning(name: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns what is compared: of values that are not labelled, the order means nothing."""
    return tuple(sorted(values)) if name == "ignore_values" else values


def _obstacle_in_model(path: str) -> str:
    """Loads the model: a missing or truncated file of weights shows only then."""
    try:
        signatures = tf.saved_model.load(path).signatures
    except _OUT_OF_REACH:
        raise
    except Exception as error:  # noqa: BLE001 (whatever TensorFlow raises over broken files)
        logging.exception("The served model in %s cannot be loaded.", path)
        return f"it cannot be loaded: {_first_line(error)}"
    if features.EVALUATION_SIGNATURE not in signatures:
        return f"it has no signature {features.EVALUATION_SIGNATURE!r}"
    missing = sorted({*features.EVALUATION_OUTPUTS} - {*signatures[features.EVALUATION_SIGNATURE].structured_outputs})
    if missing:
        return f"its signature {features.EVALUATION_SIGNATURE!r} has no {', '.join(missing)}"
    return ""


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
