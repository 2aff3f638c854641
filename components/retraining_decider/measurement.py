"""Looks at the newest data: whether it drifted, and whether the served model keeps the gate on it."""

import itertools
import math
from collections.abc import Collection, Mapping
from typing import Any, Final

import tensorflow as tf
from absl import logging
from pydantic import BaseModel, ConfigDict

from components.data_statistics import DataStatistics
from components.drift_detector.served import TRAINED_SPLIT, drift_from_served
from components.model_evaluator.gate import Gate, Measured, SliceKey
from components.model_evaluator.sums import EvaluationSums
from components.model_pusher.files import opened
from components.model_pusher.version_store import newest_version
from components.retraining_decider.decision import Reason, ReasonKind
from components.segmentation_validator.examination import MaskMeaning, examine
from components.segmentation_validator.records import checked_example
from components.tfds_example_gen.reading import SplitReader
from trainer_module import features
from trainer_module.errors import DataError
from trainer_module.model_card import ModelCard

_BATCH_SIZE: Final = 32


class MeasurementSettings(BaseModel):
    """What the newest data is measured by; the fields mean what those of the same name in the configuration mean.

    Travels through TFX as JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    class_names: tuple[str, ...]
    mask_values: tuple[int, ...]
    ignore_values: tuple[int, ...] = ()
    evaluation_split: str
    drift_thresholds: dict[str, float]


class NewestData:
    """The data that a model would be trained on and judged by now."""

    def __init__(self, read: SplitReader, push_destination: str, gate: Gate, settings: MeasurementSettings) -> None:
        self._read = read
        self._push_destination = push_destination
        self._gate = gate
        self._settings = settings
        self._meaning = MaskMeaning(settings.mask_values, settings.ignore_values, settings.class_names)

    def reasons(self, kinds: Collection[ReasonKind]) -> list[Reason]:
        """Returns the reasons to train that the data itself gives, of the kinds `drift` and `gate`."""
        found = [self._drift() if ReasonKind.DRIFT in kinds else None, self._gate_missed(kinds)]
        return [reason for reason in found if reason is not None]

    def _drift(self) -> Reason | None:
        """Compares what would be trained on with what the served model was trained on."""
        statistics = DataStatistics(self._settings.class_names)
        labels = self._read.source.slice_features
        for example in self._read.examples(TRAINED_SPLIT):
            values = example.features.feature
            image, mask = (values[name].bytes_list.value[0] for name in (features.IMAGE, features.SEGMENTATION_MASK))
            examined = examine(image, mask, self._meaning)
            if examined.canonical_mask is not None:
                statistics.add(TRAINED_SPLIT, examined, {name: _text(values[name]) for name in labels})
        report = drift_from_served(self._push_destination, statistics, self._settings.drift_thresholds, reset=False)
        logging.info("Drift: %s", report.summary)
        drifted = report.comparison.drifted
        if not drifted:
            return None
        numbers = {one.name: one.distance for one in drifted}
        return Reason(kind=ReasonKind.DRIFT, text=f"the data drifted: {report.summary}", numbers=numbers)

    def _gate_missed(self, kinds: Collection[ReasonKind]) -> Reason | None:
        """Evaluates the served model on the evaluated split, once, and has the gate judge it."""
        version = newest_version(self._push_destination)
        if ReasonKind.GATE not in kinds or version is None:
            return None
        model = f"version {version.rpartition('/')[2]}, which is served,"
        with opened(f"{version}/{features.ASSETS_DIRECTORY}/{features.MODEL_CARD_ASSET}") as file:
            card = ModelCard.parse(file.read())
        if card.class_names != self._settings.class_names:
            text = f"{model} knows the classes {', '.join(card.class_names)}"
            return Reason(kind=ReasonKind.GATE, text=text)
        verdict = self._gate.judge(self._measured(version, card.image_size), has_baseline=False)
        missed = [bound for bound in verdict.bounds if bound.gated and not bound.passed]
        if not missed:
            return None
        texts = [
            f"{bound.name} {_number(bound.value)}, not {'≥' if bound.is_least else '≤'} {bound.bound:g}"
            for bound in missed
        ]
        numbers = {bound.name: bound.value for bound in missed if bound.value is not None}
        text = f"{model} misses the gate on {self._read.name} {self._read.version}: {', '.join(texts)}"
        return Reason(kind=ReasonKind.GATE, text=text, numbers=numbers)

    def _measured(self, version: str, image_size: int) -> dict[SliceKey, Measured]:
        evaluate = tf.saved_model.load(version).signatures[features.EVALUATION_SIGNATURE]
        names, bounded = self._settings.class_names, {name for bound in self._gate.bounds for name in bound.slice}
        groups: dict[SliceKey, EvaluationSums] = {(): EvaluationSums(len(names))}
        examples = (
            example for example in map(self._checked, self._read.examples(self._settings.evaluation_split)) if example
        )
        for batch in iter(lambda: list(itertools.islice(examples, _BATCH_SIZE)), []):
            outputs = evaluate(examples=tf.constant([example.SerializeToString() for example in batch]))
            arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
            for index, example in enumerate(batch):
                row = {name: array[index] for name, array in arrays.items()}
                values = example.features.feature
                for key in ((), *(((name, _text(values[name])),) for name in sorted(bounded))):
                    groups.setdefault(key, EvaluationSums(len(names))).add(row)
        return {
            key: Measured(sums.examples, _defined(sums.metrics(names, image_size**2)), {})
            for key, sums in groups.items()
            if sums.examples
        }

    def _checked(self, example: tf.train.Example) -> tf.train.Example | None:
        """Returns the example with its canonical mask; None for one that no metric can be computed of."""
        try:
            return checked_example(example, self._meaning)
        except DataError as error:
            logging.warning("Not evaluated: %s", error)
            return None


def _text(feature: tf.train.Feature) -> str:
    [value] = getattr(feature, feature.WhichOneof("kind")).value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _defined(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def _number(value: Any) -> str:
    return "undefined" if value is None else f"{value:.4f}"
