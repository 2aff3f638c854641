"""Pushes a model that has its blessings, unless the newest served version is the same."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from absl import logging
from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.components.util import model_utils
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components.artifact_properties import (
    ALREADY_SERVED,
    DATASET_NAME,
    DATASET_VERSION,
    EVALUATED_SPLITS,
    FORCED_BECAUSE,
    NOT_PUSHED_BECAUSE,
    REFERENCE_DATASET,
    SPLIT_COUNTS,
    SPLIT_DIGESTS,
)
from components.data_statistics import STATISTICS_FILE
from components.image_digests import IMAGES_FILE, read_images
from components.model_evaluator.results import read_evaluation
from components.model_probe.findings import Findings
from components.model_pusher.evaluated import add_evaluated
from components.model_pusher.files import opened
from components.model_pusher.ledger import TrialOutcome
from components.model_pusher.origin import Origin, Recipe
from components.model_pusher.push import PushRecord, PushSettings, push, push_directory, tell_refused
from components.model_pusher.version_store import open_store, version_directory
from trainer_module.features import REFERENCE_SPLIT

EVALUATION_KEY: Final = standard_component_specs.EVALUATION_KEY
FINDINGS_KEY: Final = "findings"
REFERENCE_EVALUATION_KEY: Final = "reference_evaluation"
REFERENCE_BLESSING_KEY: Final = "reference_blessing"
"""Both are there where there is a reference set."""

RECIPE_KEY: Final = "recipe"
"""JSON of `components.model_pusher.origin.Recipe`."""

DIGESTS_KEY: Final = "model_digests"
"""The driver's, which has read the model already; Kubeflow Pipelines runs drivers of its own, and has none."""

_WORDS: Final = {
    TrialOutcome.NOT_BLESSED: "the model is not blessed",
    TrialOutcome.NOT_SERVABLE: "the probe refused the model",
}


class Executor(pusher_executor.Executor):
    """ModelPusher's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Records what was evaluated on, and pushes the model, or marks it as not pushed and says why."""
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed_model = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        base_directory = push_directory(exec_properties)
        _remember_evaluated(input_dict, base_directory)
        run = (self._context and self._context.pipeline_run_id) or ""
        record = _record(input_dict, run, Recipe.model_validate_json(exec_properties[RECIPE_KEY]))
        refusal = refused_by(input_dict)
        if refusal is not None:
            reason = _words(refusal, input_dict)
            tell_refused(base_directory, record, refusal, reason)
            self._mark_not_pushed(pushed_model, reason)
            return
        model = self.GetModelPath(input_dict)
        settings = PushSettings.model_validate_json(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        outcome = push(
            model,
            base_directory,
            record,
            statistics=_statistics(input_dict),
            keep=settings.keep_versions,
            pinned=settings.pinned_versions,
            digests=json.loads(exec_properties.get(DIGESTS_KEY, "null")),
        )
        if outcome.already_served:
            pushed_model.set_string_custom_property(ALREADY_SERVED, outcome.already_served)
        if outcome.version is None:
            self._mark_not_pushed(pushed_model, outcome.reason)
            return
        io_utils.copy_dir(model, pushed_model.uri)
        self._MarkPushed(pushed_model, version_directory(base_directory, outcome.version), str(outcome.version))

    def _mark_not_pushed(self, pushed_model: types.Artifact, reason: str) -> None:
        logging.info("Nothing is pushed: %s.", reason)
        pushed_model.set_string_custom_property(NOT_PUSHED_BECAUSE, reason)
        self._MarkNotPushed(pushed_model)


def refused_by(input_dict: dict[str, list[types.Artifact]]) -> TrialOutcome | None:
    """Returns what a model may not be pushed for, by its blessings; None where it may."""
    if not all(map(model_utils.is_model_blessed, _blessings(input_dict))):
        return TrialOutcome.NOT_BLESSED
    infra_blessing = artifact_utils.get_single_instance(input_dict[standard_component_specs.INFRA_BLESSING_KEY])
    return None if model_utils.is_infra_validated(infra_blessing) else TrialOutcome.NOT_SERVABLE


def _words(refusal: TrialOutcome, input_dict: dict[str, list[types.Artifact]]) -> str:
    only_on_reference = refusal is TrialOutcome.NOT_BLESSED and model_utils.is_model_blessed(_blessings(input_dict)[0])
    return f"{_WORDS[refusal]}{' on the reference set' if only_on_reference else ''}"


def _blessings(input_dict: dict[str, list[types.Artifact]]) -> list[types.Artifact]:
    """Returns the blessings of the evaluated split and, where there is one, of the reference set."""
    keys = (standard_component_specs.MODEL_BLESSING_KEY, REFERENCE_BLESSING_KEY)
    return [artifact_utils.get_single_instance(input_dict[key]) for key in keys if input_dict.get(key)]


def _remember_evaluated(input_dict: dict[str, list[types.Artifact]], base_directory: str) -> None:
    """Records beside the versions which images the model was evaluated on, whatever becomes of it."""
    findings, evaluation = (
        artifact_utils.get_single_instance(input_dict[key]) for key in (FINDINGS_KEY, EVALUATION_KEY)
    )
    with opened(f"{findings.uri}/{IMAGES_FILE}") as file:
        images = read_images(file.read())
    splits = (*json.loads(evaluation.get_string_custom_property(EVALUATED_SPLITS) or "[]"), REFERENCE_SPLIT)
    with open_store(base_directory).exclusive():
        add_evaluated(base_directory, (image.digest for split in splits for image in images.get(split, ())))


def _statistics(input_dict: dict[str, list[types.Artifact]]) -> bytes:
    """Returns the statistics of the data that the model was trained on, as SegmentationValidator wrote them."""
    findings = artifact_utils.get_single_instance(input_dict[FINDINGS_KEY])
    with opened(f"{findings.uri}/{STATISTICS_FILE}") as file:
        return file.read()


def _record(input_dict: dict[str, list[types.Artifact]], run: str, recipe: Recipe) -> PushRecord:
    infra_blessing, evaluation = (
        artifact_utils.get_single_instance(input_dict[key])
        for key in (standard_component_specs.INFRA_BLESSING_KEY, EVALUATION_KEY)
    )
    result, now = read_evaluation(evaluation.uri), datetime.now(UTC)
    on_reference = [read_evaluation(one.uri) for one in input_dict.get(REFERENCE_EVALUATION_KEY, ())]
    reasons = (blessing.get_string_custom_property(FORCED_BECAUSE) for blessing in _blessings(input_dict))
    origin = Origin(
        dataset=evaluation.get_string_custom_property(DATASET_NAME),
        version=evaluation.get_string_custom_property(DATASET_VERSION),
        splits=json.loads(evaluation.get_string_custom_property(SPLIT_COUNTS) or "{}"),
        digests=json.loads(evaluation.get_string_custom_property(SPLIT_DIGESTS) or "{}"),
        reference=evaluation.get_string_custom_property(REFERENCE_DATASET),
        recipe=recipe,
    )
    return PushRecord(
        pushed_at=now,
        trained_at=now,
        run=run,
        dataset=origin.dataset,
        dataset_version=origin.version,
        origin=origin,
        metrics=result.metrics,
        reference_metrics=on_reference[0].metrics if on_reference else {},
        thresholds=[bound.model_dump() for bound in result.verdict.bounds],
        probe=Findings.load(infra_blessing.uri).model_dump(),
        forced_because=next(filter(None, reasons), ""),
    )
