"""What each component of the graph is told, of the one configuration."""

from importlib import resources
from pathlib import Path
from typing import Any, Final

from google.protobuf import message, text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.drift_detector.served import DriftSettings
from components.model_evaluator.metric import eval_config
from components.model_probe.findings import ProbeSettings
from components.model_pusher.push import PushSettings
from components.retraining_decider.decision import DecisionSettings
from components.retraining_decider.measurement import MeasurementSettings
from components.segmentation_validator.kinds import Kind
from components.segmentation_validator.settings import Policy, ValidatorSettings
from components.served_model_resolver.executor import ModelContract
from components.tfds_example_gen.source import TfdsSource
from pipeline.config.schema import Config
from pipeline.nodes import (
    DRIFT_DETECTOR,
    EVALUATOR,
    EXAMPLE_GEN,
    MODEL_PROBE,
    PUSHER,
    SEGMENTATION_VALIDATOR,
    SERVED_MODEL_RESOLVER,
    WARM_START_RESOLVER,
    node_digest,
)
from trainer_module.errors import ConfigError

NETWORK_INPUT_FIELDS: Final = ("class_names", "mask_values", "ignore_values", "image_size", "normalization")
"""The fields of `DataConfig` that preprocessing and training depend on; another data set is another input."""

_DUPLICATES: Final = {"error": Policy.FAIL, "warn": Policy.WARN, "drop": Policy.DROP}
_BACKGROUND: Final = "background"
"""What the class is called, in any case, that nothing else stands for the background of."""


def tfds_source(config: Config) -> TfdsSource:
    """Returns the data set, as TfdsExampleGen and RetrainingDecider read it."""
    fields: dict[str, Any] = config.data.model_dump(include=set(TfdsSource.model_fields))
    digest = node_digest(EXAMPLE_GEN)
    evaluation = config.evaluation
    others = {"data_dir": config.data_dir, "evaluation_split": evaluation.split, "code_digest": digest}
    if evaluation.reference:
        others |= {"reference": evaluation.reference, "reference_slice": evaluation.reference_split}
    return TfdsSource(**fields | others)


def validator_settings(config: Config) -> ValidatorSettings:
    """Returns what SegmentationValidator looks for, and what becomes of what it finds."""
    data, validation = config.data, config.data.validation
    policies = {kind: Policy(getattr(validation, kind)) for kind in Kind if kind is not Kind.SHARED_IMAGE}
    limits = validation.model_dump(include=set(ValidatorSettings.model_fields))
    named = (name for name in data.class_names if name.lower() == _BACKGROUND)
    return ValidatorSettings(
        **data.model_dump(include=set(ValidatorSettings.model_fields)),
        **limits | {"background": validation.background or next(named, None)},
        evaluation_split=config.evaluation.split,
        policies={**policies, Kind.SHARED_IMAGE: _DUPLICATES[data.duplicates]},
        code_digest=node_digest(SEGMENTATION_VALIDATOR),
    )


def drift_settings(config: Config, *, retrain: bool) -> DriftSettings:
    """Returns what DriftDetector refuses; a retraining, which nobody looks at, refuses lost classes, too."""
    return DriftSettings(
        **config.data.drift.model_dump(),
        refuse_lost_classes=retrain,
        evaluation_split=config.evaluation.split,
        duplicates=config.data.duplicates,
        code_digest=node_digest(DRIFT_DETECTOR),
    )


def model_contract(config: Config) -> ModelContract:
    """Returns what a served model must share with the new one to be compared with it."""
    fields = config.data.model_dump(include={*ModelContract.model_fields})
    return ModelContract(**fields, code_digest=node_digest(SERVED_MODEL_RESOLVER))


def any_model_contract() -> ModelContract:
    """Returns what a model must have to start from: weights fit by their shapes, whatever the classes are."""
    return ModelContract(code_digest=node_digest(WARM_START_RESOLVER))


def schema_text(name: str) -> str:
    """Reads the curated schema of that name, or the user's file.

    Raises:
      ConfigError: The file cannot be read, or holds no schema.
    """
    curated = resources.files("pipeline") / "schemas" / f"{name}.pbtxt"
    file = curated if curated.is_file() else Path(name)
    try:
        text = file.read_text(encoding="utf-8")
        text_format.Parse(text, schema_pb2.Schema())
    except OSError as error:
        raise ConfigError(f"data.schema_file: cannot read {name!r}: {error.strerror}") from error
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(f"data.schema_file: {name!r} is no schema in protobuf's text format: {error}") from error
    return text


def evaluation_config(config: Config) -> message.Message:
    """Returns what TFMA measures of a model."""
    return eval_config(
        class_names=config.data.class_names,
        image_size=config.data.image_size,
        slices=config.evaluation.slices,
        code_digest=node_digest(EVALUATOR),
    )


def probe_settings(config: Config) -> ProbeSettings:
    """Returns what a model may cost to serve."""
    digest = node_digest(MODEL_PROBE)
    return ProbeSettings(**config.probe.model_dump(), split=config.evaluation.split, code_digest=digest)


def reported_settings(config: Config) -> dict[str, Any]:
    """Returns what decides on the result of a run, and who and what is told; not when, where and by whom it is run.

    Defaults are left out: on Kubeflow the text is many times in a workflow that may have 1 MiB.
    """
    sections = dict.fromkeys(
        ("preset", "data", "trainer", "evaluation", "probe", "push", "tracking", "notification"), True
    )
    told = config.model_dump(mode="json", include={**sections, "pipeline": {"beam_args"}}, exclude_defaults=True)
    return {**told, "pipeline": {**told.get("pipeline", {}), "name": config.pipeline.name}}


def decision_settings(config: Config) -> DecisionSettings:
    """Returns what is a reason to train."""
    fields = config.retraining.model_dump(include={*DecisionSettings.model_fields})
    return DecisionSettings(**fields, has_window=config.data.window is not None)


def measurement_settings(config: Config) -> MeasurementSettings:
    """Returns what the newest data is measured by, where that decides."""
    data = config.data
    return MeasurementSettings(
        **data.model_dump(include={*MeasurementSettings.model_fields}),
        evaluation_split=config.evaluation.split,
        drift_thresholds=data.drift.thresholds.model_dump(),
    )


def push_settings(config: Config, *, is_retraining: bool) -> PushSettings:
    """Returns how the Pusher keeps the versions."""
    return PushSettings(
        is_retraining=is_retraining,
        keep_versions=config.push.keep_versions,
        pinned_versions=config.push.pinned_versions,
        code_digest=node_digest(PUSHER),
    )
