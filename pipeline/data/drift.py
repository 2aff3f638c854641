"""Compares a data set with what a model was trained on, outside the pipeline, with the pipeline's own pieces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from components.data_statistics import SplitSummary
from components.drift_detector.comparison import Sample
from components.drift_detector.report import DriftReport
from components.drift_detector.served import TRAINED_SPLIT, drift_from, trained_on
from components.segmentation_validator.examination import Examination, MaskMeaning, examine
from components.tfds_example_gen.source import TfdsSource, open_dataset
from pipeline.data.description.looking import Example, mapped_in_order, scalar_features, stored_examples
from pipeline.models.loading import model_directory, read_card

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
    labels = tuple(name for name in scalar_features(builder) if name in known)
    source = source.model_copy(update={"slice_features": labels})
    meaning = MaskMeaning(card.mask_values, card.ignore_values, card.class_names)

    def look(example: Example) -> tuple[Example, Examination]:
        return example, examine(example.image, example.mask, meaning)

    summary, unusable = SplitSummary(len(card.class_names)), []
    total = builder.info.splits[split].num_examples
    for done, (example, found) in enumerate(mapped_in_order(look, stored_examples(builder, source, split)), 1):
        if found.canonical_mask is None:
            unusable.append(f"{example.file_name}: {found.findings[-1].detail}")
        else:
            summary.add(found, example.labels)
        on_progress(done, total)
    report = drift_from(directory, reference, Sample(card.class_names, summary), thresholds)
    return DataDrift(builder.name, str(builder.version), split, report, tuple(unusable))
