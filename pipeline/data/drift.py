"""Compares a data set with what a model was trained on, outside the pipeline, with the pipeline's own pieces."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import tensorflow_datasets as tfds

from components.data_statistics import SplitSummary
from components.drift_detector.comparison import Sample
from components.drift_detector.report import DriftReport
from components.drift_detector.served import TRAINED_SPLIT, drift_from, trained_on
from components.segmentation_validator.examination import Examination, MaskMeaning, examine
from components.tfds_example_gen.conversion import encoded_reading
from components.tfds_example_gen.source import TfdsSource, open_dataset
from pipeline.models.loading import model_directory, read_card
from trainer_module import features

_AT_ONCE: Final = 256
"""Records in memory."""

Progress = Callable[[int, int], None]
"""Called with the number of examples done and their total."""


@dataclass(frozen=True)
class DataDrift:
    """A slice of a data set beside what a model was trained on."""

    name: str
    version: str
    split: str
    report: DriftReport
    unusable: tuple[str, ...]
    """Examples that are not compared, each with the reason."""

    def as_json(self) -> dict[str, Any]:
        """Returns it for a machine."""
        dataset = {"name": self.name, "version": self.version, "split": self.split, "unusable": self.unusable}
        drifted = [one.name for one in self.report.comparison.drifted]
        return {"dataset": dataset, "drifted": drifted, **self.report.model_dump(mode="json")}


def data_drift(
    model: str, source: TfdsSource, split: str, thresholds: Mapping[str, float], on_progress: Progress
) -> DataDrift:
    """Compares a slice of a data set with what a model was trained on.

    Args:
      model: A version directory, or one of versions.
      source: The data set; which of its features are labels, the model tells.
      split: TFDS slice, such as `train` or `test[:100]`.
      thresholds: Setting of each quantity to the greatest distance that is no drift.
      on_progress: See `Progress`.

    Raises:
      ConfigError: The data set, a feature or the split does not exist.
      DataError: The model keeps no statistics; or the data set cannot be used.
      ModelError: There is no model.
    """
    directory = model_directory(model)
    card, reference = read_card(directory), trained_on(directory)
    builder = open_dataset(source, {TRAINED_SPLIT: split})
    known = reference.splits.get(TRAINED_SPLIT, SplitSummary(len(reference.class_names))).values
    labels = {name: builder.info.features[name] for name in known if name in builder.info.features}
    meaning = MaskMeaning(card.mask_values, card.ignore_values, card.class_names)
    summary, unusable = SplitSummary(len(card.class_names)), []
    total = builder.info.splits[split].num_examples
    for done, (record, found) in enumerate(_examined(builder, source, split, meaning), 1):
        if found.canonical_mask is None:
            unusable.append(f"{_file_name(record)}: {found.findings[-1].detail}")
        else:
            summary.add(found, {name: _label(record[name], feature) for name, feature in labels.items()})
        on_progress(done, total)
    report = drift_from(directory, reference, Sample(card.class_names, summary), thresholds)
    return DataDrift(builder.name, str(builder.version), split, report, tuple(unusable))


def _examined(
    builder: tfds.core.DatasetBuilder, source: TfdsSource, split: str, meaning: MaskMeaning
) -> Iterator[tuple[Mapping[str, Any], Examination]]:
    """Yields each record of a slice with what was found in it, in order; decoders leave other threads alone."""

    def look(record: Mapping[str, Any]) -> Examination:
        return examine(record[source.image_feature], record[source.mask_feature], meaning)

    records = iter(tfds.as_numpy(builder.as_dataset(split=split, **encoded_reading(source))))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for batch in iter(lambda: list(itertools.islice(records, _AT_ONCE)), []):
            yield from zip(batch, threads.map(look, batch), strict=True)


def _file_name(record: Mapping[str, Any]) -> str:
    name: bytes = record.get(features.FILE_NAME, record["tfds_id"])
    return name.decode(errors="replace")


def _label(value: Any, feature: tfds.features.FeatureConnector) -> str:
    """Returns the value of a slice feature as the examples of the pipeline have it."""
    if isinstance(feature, tfds.features.ClassLabel):
        return str(feature.int2str(int(value)))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
