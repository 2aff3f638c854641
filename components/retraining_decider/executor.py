"""Gathers the evidence, and writes down what is decided."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components.artifact_properties import DECISION, TRAINS
from components.model_evaluator.gate import Gate
from components.model_pusher.ledger import Ledger
from components.model_pusher.origin import Origin, Recipe
from components.model_pusher.push import PushRecord, push_directory
from components.model_pusher.version_store import newest_version
from components.retraining_decider.decision import (
    Decision,
    DecisionSettings,
    Evidence,
    Reason,
    ReasonKind,
    Served,
    decide,
)
from components.retraining_decider.measurement import MeasurementSettings, NewestData
from components.tfds_example_gen.messages import source_and_splits
from components.tfds_example_gen.reading import SplitReader

DECISION_KEY: Final = "decision"
ASKED_KEY: Final = "asked"
GATE_KEY: Final = "gate"
RECIPE_KEY: Final = "recipe"
SETTINGS_KEY: Final = "settings"
MEASUREMENT_KEY: Final = "measurement"
INPUT_CONFIG_KEY: Final = standard_component_specs.INPUT_CONFIG_KEY
CUSTOM_CONFIG_KEY: Final = standard_component_specs.CUSTOM_CONFIG_KEY
PUSH_DESTINATION_KEY: Final = standard_component_specs.PUSH_DESTINATION_KEY

DECISION_FILE: Final = "decision.json"

_ASKED: Final = "somebody asked for it"


class Executor(base_executor.BaseExecutor):
    """RetrainingDecider's executor."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Decides, and writes the decision.

        Raises:
          ConfigError, DataError: The data cannot be read, as `open_dataset` says; or it is smaller than before, and
            that is refused.
          ModelError: The ledger of the push destination cannot be read.
        """
        source, splits = source_and_splits(exec_properties)
        read, destination = SplitReader.open(source, splits), push_directory(exec_properties)
        newest = NewestData(
            read,
            destination,
            Gate.model_validate_json(exec_properties[GATE_KEY]),
            MeasurementSettings.model_validate_json(exec_properties[MEASUREMENT_KEY]),
        )
        recipe = Recipe.model_validate_json(exec_properties[RECIPE_KEY])
        settings = DecisionSettings.model_validate_json(exec_properties[SETTINGS_KEY])
        evidence = Evidence(_origin(read, recipe), served(destination), Ledger.of(destination), datetime.now(UTC))
        is_asked = bool(int(exec_properties[ASKED_KEY]))
        decision = _asked(evidence) if is_asked else decide(evidence, settings, newest.reasons)
        logging.info("Decided: %s", decision.summary)
        artifact = artifact_utils.get_single_instance(output_dict[DECISION_KEY])
        # In ASCII, for a server's database may know no other letters; and short, for RunReport's pod is given it.
        text = json.dumps(decision.model_dump(mode="json"), separators=(",", ":"))
        io_utils.write_string_file(f"{artifact.uri}/{DECISION_FILE}", text)
        artifact.set_int_custom_property(TRAINS, int(decision.trains))
        artifact.set_string_custom_property(DECISION, text)


def served(push_destination: str) -> Served | None:
    """Returns what is known of the model that is served; None where nothing is."""
    version = newest_version(push_destination)
    if version is None:
        return None
    record, number = PushRecord.of(version), version.rpartition("/")[2]
    return Served(number, record.origin, record.trained_at) if record else Served(number, Origin(), None)


def _origin(read: SplitReader, recipe: Recipe) -> Origin:
    return Origin(
        dataset=read.name,
        version=read.version,
        splits=read.counts(),
        digests=read.digests(),
        reference=read.reference.name if read.reference else "",
        recipe=recipe,
    )


def _asked(evidence: Evidence) -> Decision:
    """Returns the decision of somebody else, with what is known."""
    return Decision(
        trains=True,
        reasons=(Reason(kind=ReasonKind.ASKED, text=_ASKED),),
        origin=evidence.origin,
        served_version=evidence.served.version if evidence.served else "",
        decided_at=evidence.now,
    )
