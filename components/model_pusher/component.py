"""The contract of ModelPusher.

Keeps TFX's cache from claiming a push that is undone: its version deleted, or another destination in its place.
"""

import json
import uuid
from typing import Any, ClassVar, Final

from tfx import types
from tfx.components.pusher.component import Pusher
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.portable import data_types
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import path_utils

from components.model_pusher.executor import (
    DIGESTS_KEY,
    EVALUATION_KEY,
    FINDINGS_KEY,
    RECIPE_KEY,
    REFERENCE_BLESSING_KEY,
    REFERENCE_EVALUATION_KEY,
    Executor,
    refused_by,
)
from components.model_pusher.files import file_digests, is_model
from components.model_pusher.origin import Recipe
from components.model_pusher.push import PushSettings, push_directory
from components.model_pusher.version_store import newest_version
from components.property_driver import PropertyDriver
from components.segmentation_validator.artifact import SegmentationFindings

SITUATION_KEY: Final = "situation"


class PushDriver(PropertyDriver):
    """Adds what the push depends on beside its inputs, and what was read to know it.

    `situation` is the same twice only where the push would do nothing twice, so that it always looks but then; in a
    retraining it always looks, since the ledger is to have each.
    """

    def added_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, int | str]:
        inputs, properties = execution_info.input_dict, execution_info.exec_properties
        settings = PushSettings.model_validate_json(properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        always = f" {uuid.uuid4().hex}" if settings.is_retraining else ""
        refusal = refused_by(inputs)
        if refusal is not None:
            return {SITUATION_KEY: f"{refusal}{always}"}
        model = artifact_utils.get_single_instance(inputs[standard_component_specs.MODEL_KEY])
        digests = file_digests(path_utils.serving_model_path(model.uri))
        served = newest_version(push_directory(properties))
        is_served = served is not None and is_model(served, digests)
        situation = f"{served} is this model{always}" if is_served else f"to be pushed {uuid.uuid4().hex}"
        return {SITUATION_KEY: situation, DIGESTS_KEY: json.dumps(digests)}


class ModelPusherSpec(standard_component_specs.PusherSpec):
    """The Pusher's inputs, outputs and parameters, and what the pushed version says of itself."""

    INPUTS: ClassVar[dict[str, Any]] = {
        **standard_component_specs.PusherSpec.INPUTS,
        EVALUATION_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        FINDINGS_KEY: component_spec.ChannelParameter(type=SegmentationFindings),
        REFERENCE_EVALUATION_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
        REFERENCE_BLESSING_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
    }
    PARAMETERS: ClassVar[dict[str, Any]] = {
        **standard_component_specs.PusherSpec.PARAMETERS,
        RECIPE_KEY: component_spec.ExecutionParameter(type=str),
    }


class ModelPusher(Pusher):
    """Pusher whose versions are seen whole or not at all, and that pushes no model twice in a row.

    The pushed version has three more files than the model: `petseg_push.json`, when, from which run and on what grounds
    it was pushed, `petseg_statistics.json`, of the data that it was trained on, and `petseg_checksums.json`. Beside the
    versions, `components.model_pusher.evaluated` keeps the images that models were evaluated on.

    Outputs:
      pushed_model: `PushedModel` as of TFX's Pusher; custom property `not_pushed_because` has the reason where nothing
        was pushed, and `already_served` the version that made it needless.
    """

    SPEC_CLASS = ModelPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = PushDriver

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        infra_blessing: types.BaseChannel,
        evaluation: types.BaseChannel,
        findings: types.BaseChannel,
        reference_evaluation: types.BaseChannel | None = None,
        reference_blessing: types.BaseChannel | None = None,
        push_destination: pusher_pb2.PushDestination,
        settings: PushSettings,
        recipe: Recipe,
    ) -> None:
        """Constructs the component.

        Args:
          model: The model.
          model_blessing: Of the Evaluator.
          infra_blessing: Of ModelProbe; both must bless.
          evaluation: Of the Evaluator, to be told with the version.
          findings: Of SegmentationValidator, whose statistics of the data go with the version.
          reference_evaluation: Of the evaluation on the reference set, to be told as well; None where there is none.
          reference_blessing: The blessing that goes with it, and must bless, too.
          push_destination: Where to push to.
          settings: How many versions stay.
          recipe: How the model was trained and judged.
        """
        of_reference = {REFERENCE_EVALUATION_KEY: reference_evaluation, REFERENCE_BLESSING_KEY: reference_blessing}
        spec = ModelPusherSpec(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            evaluation=evaluation,
            findings=findings,
            **{key: channel for key, channel in of_reference.items() if channel is not None},
            push_destination=push_destination,
            custom_config=settings.model_dump_json(),
            **{RECIPE_KEY: recipe.model_dump_json()},
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        # TFX's own constructor makes its own specification.
        base_component.BaseComponent.__init__(self, spec=spec)
