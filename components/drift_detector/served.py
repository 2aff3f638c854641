"""What served models were trained on, and how far data is from it. Nothing here imports TensorFlow."""

from collections.abc import Collection, Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from components.data_statistics import DataStatistics
from components.drift_detector.comparison import Sample, compare
from components.drift_detector.losses import lost_classes, one_class_splits
from components.drift_detector.report import DriftReport
from components.model_pusher.push import pushed_statistics
from components.model_pusher.version_store import newest_version
from trainer_module.errors import DataError

TRAINED_SPLIT: Final = "train"
"""The split that models are trained on, which is compared with what the served one was trained on."""

_RESET: Final = "the baseline was reset for this run"
_OFF: Final = 'data.drift.action is "off"'


class DriftSettings(BaseModel):
    """What is drift, and what becomes of it; the fields mean what those of the same name in `DriftConfig` mean.

    Travels through TFX as JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["warn", "refuse", "off"]
    thresholds: dict[str, float]
    refuse_lost_classes: bool = False
    """Whether data that has lost a class in `train` or `evaluation_split`, or has one class alone there, is refused,
    whatever `action` is: what nobody looks at is not to train a model of fewer classes."""

    evaluation_split: str = ""
    """The split that decides; an image that it or an earlier one had may not be learnt from."""

    duplicates: Literal["error", "warn", "drop"] = "error"
    """What becomes of such images: told where it is `warn`, else refused. As in `DataConfig`, where images that two
    splits share are concerned."""

    code_digest: str = ""
    """Identifies the code of the comparison, so that a change to it re-runs the component."""


def drift_from_served(
    push_destination: str,
    current: DataStatistics,
    thresholds: Mapping[str, float] | None,
    *,
    reset: bool,
    whole: Collection[str] = (),
) -> DriftReport:
    """Compares the split that is trained on with that of the newest served version.

    Args:
      push_destination: Where versions are, in TensorFlow Serving's layout.
      current: Statistics of the data.
      thresholds: See `compare`. None: nothing is compared but the classes of `whole`.
      reset: Whether to find no model, whatever is served.
      whole: The splits that are to have every class that they had.
    """
    version, losses = newest_version(push_destination), tuple(one_class_splits(current, whole))
    if version is None:
        return DriftReport(reason=f"no model is served in {push_destination}", losses=losses)
    if reset:
        return DriftReport(model=version, reason=_RESET, losses=losses)
    try:
        reference = trained_on(version)
    except DataError as error:
        return DriftReport(model=version, reason=str(error), losses=losses)
    losses = (*lost_classes(f"version {version.rpartition('/')[2]}", reference, current, whole), *losses)
    if thresholds is None:
        return DriftReport(model=version, reason=_OFF, losses=losses)
    report = drift_from(version, reference, Sample.of(current, TRAINED_SPLIT), thresholds)
    return report.model_copy(update={"losses": losses})


def drift_from(model: str, reference: DataStatistics, current: Sample, thresholds: Mapping[str, float]) -> DriftReport:
    """Compares a sample with what a model was trained on.

    Args:
      model: Its directory.
      reference: Statistics that it keeps.
      current: The sample.
      thresholds: See `compare`.
    """
    comparison = compare(Sample.of(reference, TRAINED_SPLIT), current, thresholds)
    empty = not (comparison.reference_examples and comparison.current_examples)
    return DriftReport(model=model, reason="there are no examples" if empty else "", comparison=comparison)


def trained_on(version_directory: str) -> DataStatistics:
    """Returns the statistics that a pushed version keeps of what it was trained on.

    Raises:
      DataError: It keeps none, or they cannot be read.
    """
    try:
        content = pushed_statistics(version_directory)
    except OSError as error:
        raise DataError(f"the statistics of {version_directory} cannot be read: {error}") from error
    if content is None:
        raise DataError(
            f"{version_directory} keeps no statistics of what it was trained on; an earlier version of petseg pushed it"
        )
    return DataStatistics.from_json(content, f"{version_directory}")
