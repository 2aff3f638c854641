"""What is measured of a model, and what it must reach to be pushed."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from pydantic import Field, field_validator, model_validator

from components.model_evaluator.gate import Bound
from pipeline.suggestions import nearest_few
from trainer_module.section import Section
from trainer_module.segmentation_metrics import CLASS_METRICS, DATA_METRICS, RECALL

_LOWER_IS_BETTER: Final = ("loss", "ece")
_SUGGESTED: Final = 3
_EXACT_VERSION: Final = re.compile(r"[\w/]+:\d+\.\d+\.\d+")


def _check_range(low: float | None, high: float | None, suffix: str) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(f"no value satisfies min{suffix} = {low} and max{suffix} = {high}")


class Threshold(Section):
    """The bounds of one metric, or of its change."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _is_satisfiable(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a threshold needs min, max or both")
        _check_range(self.min, self.max, "")
        return self


class SliceThreshold(Section):
    """The bounds of one metric on the slices of one feature."""

    feature: str
    """One of `evaluation.slices`."""

    value: str | None = None
    """The value of the feature whose slice is bounded. None: the slice of every value."""

    metric: str
    min: float | None = None
    max: float | None = None
    min_change: float | None = None
    """Least difference to the served model: its value on the slice, plus this, is the least that will do."""

    max_change: float | None = None

    @property
    def has_change(self) -> bool:
        """Whether a change is bounded."""
        return self.min_change is not None or self.max_change is not None

    @property
    def by_kind(self) -> dict[str, float | None]:
        """The bounds by kind; None where one is not set."""
        return self.model_dump(include={"min", "max", "min_change", "max_change"})

    @model_validator(mode="after")
    def _is_satisfiable(self) -> Self:
        if all(number is None for number in self.by_kind.values()):
            raise ValueError("a threshold needs min, max, min_change or max_change")
        _check_range(self.min, self.max, "")
        _check_range(self.min_change, self.max_change, "_change")
        return self


class EvaluationConfig(Section):
    """What the Evaluator measures and what a model must reach to be pushed."""

    split: str = "test"
    """The split that decides; nothing is tuned on it."""

    reference: str | None = None
    """A frozen reference set: the TFDS name of a data set in `data.data_dir` with its exact version, `tiles:1.0.0`. The
    same bounds hold on it as on `split`, and a model is pushed that keeps both. None: there is none."""

    reference_split: str = Field("test", min_length=1)
    """TFDS slice of it that is the reference set."""

    min_accuracy: float | None = Field(None, ge=0, le=1)
    """Least pixel accuracy (the blog's val_accuracy). The presets have what a whole training of theirs reaches; None
    takes the bound away."""

    min_mean_iou: float | None = Field(None, ge=0, le=1)

    min_accuracy_gain: float = Field(0.05, ge=0, le=1)
    """Least lead of the accuracy over answering the largest class of the evaluated data everywhere."""

    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """Further bounds: `thresholds.iou_border = { min = 0.3 }`, `thresholds.loss = { max = 0.5 }`."""

    change_thresholds: dict[str, Threshold] = Field({"accuracy": Threshold(min=-0.01)})
    """Bounds of what a metric of the new model is above that of the served one: `accuracy = { min = -0.01 }` lets it be
    lower by 0.01, `loss = { max = 0.02 }` higher by 0.02. They do not count while nothing is served."""

    slices: tuple[str, ...] = ("species", "label")
    """Features by whose values the metrics are reported too; each is one of `data.slice_features`."""

    slice_thresholds: tuple[SliceThreshold, ...] = ()
    """Bounds on slices: `[[evaluation.slice_thresholds]]` with feature, metric and min, max, min_change or
    max_change."""

    min_slice_examples: int = Field(30, ge=1)
    """A slice with fewer examples that have labelled pixels is reported, and its bounds do not count."""

    suspects: int = Field(24, ge=0, le=500)
    """How many of the masks that the model contradicts are shown with pictures; 0 looks for none."""

    @field_validator("reference")
    @classmethod
    def _is_frozen(cls, reference: str | None) -> str | None:
        """Refuses a name that another version would fit tomorrow."""
        if reference is not None and not _EXACT_VERSION.fullmatch(reference):
            name = reference.partition(":")[0]
            raise ValueError(
                f"{reference!r} is not one version of a data set, and what is frozen is one: name it, as {name}:1.0.0"
            )
        return reference

    def bounds(self) -> list[Bound]:
        """Returns every bound of the gate; those of changes count while a model is served."""
        values: dict[str, dict[str, float | None]] = {
            "accuracy_gain": {"min": self.min_accuracy_gain},
            "accuracy": {"min": self.min_accuracy},
            "mean_iou": {"min": self.min_mean_iou},
        }
        values |= {metric: threshold.model_dump() for metric, threshold in self.thresholds.items()}
        bounds = [bound for metric, by_kind in values.items() for bound in _bounds(metric, by_kind)]
        for metric, change in self.change_thresholds.items():
            bounds += _bounds(metric, {"min_change": change.min, "max_change": change.max})
        for threshold in self.slice_thresholds:
            bounds += _bounds(threshold.metric, threshold.by_kind, {threshold.feature: threshold.value})
        return bounds

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for index, threshold in enumerate(self.slice_thresholds):
            if threshold.feature not in self.slices:
                raise ValueError(
                    f"slice_thresholds[{index}].feature is {threshold.feature!r}, which is not in "
                    f"slices: {_suggestion(threshold.feature, self.slices, 'evaluation.slices has')}"
                )
        for one, other in itertools.combinations(enumerate(self.slice_thresholds), 2):
            _check_contradiction(*one, *other)
        for metric, setting in {"accuracy": self.min_accuracy, "mean_iou": self.min_mean_iou}.items():
            if setting is not None and metric in self.thresholds:
                raise ValueError(
                    f"min_{metric} ({setting:g}) and thresholds.{metric} are both set; keep one: what a preset has is "
                    f"taken away by min_{metric} = 'none'"
                )
        for metric, change in self.change_thresholds.items():
            if metric in _LOWER_IS_BETTER and change.max is None:
                raise ValueError(
                    f"change_thresholds.{metric} has min alone, which asks for a higher {metric}, but a "
                    "lower one is better; set max"
                )
        return self

    def check_metrics(self, known: Sequence[str]) -> None:
        """Checks the names of the metrics that are bounded.

        Raises:
          ValueError: There is no such metric, or none that two models could differ in.
        """
        named = {f"evaluation.thresholds.{metric}": metric for metric in self.thresholds}
        named |= {f"evaluation.change_thresholds.{metric}": metric for metric in self.change_thresholds}
        named |= {
            f"evaluation.slice_thresholds[{index}].metric": threshold.metric
            for index, threshold in enumerate(self.slice_thresholds)
        }
        for setting, metric in named.items():
            if metric not in known:
                suggestion = _suggestion(metric, known, "The gate, in docs/how_it_works.md, lists")
                raise ValueError(f"{setting}: there is no metric {metric!r}: {suggestion}")
        changes = {*self.change_thresholds}
        changes |= {slice_.metric for slice_ in self.slice_thresholds if slice_.has_change}
        for metric in DATA_METRICS:
            if metric in changes:
                raise ValueError(
                    f"{metric} is of the evaluated data, the same for every model: bound it with min or max in "
                    "evaluation.thresholds or evaluation.slice_thresholds, not its change"
                )


def setting_of(bound: Bound, evaluation: Mapping[str, Any]) -> str:
    """Returns the setting that a bound comes from.

    Args:
      bound: One of `EvaluationConfig.bounds`, or what came of it.
      evaluation: The fields of the configuration, as a run's record has them.

    Example:
      >>> setting_of(Bound(metric="accuracy", kind="min", bound=0.8), {"min_accuracy": 0.8})
      'evaluation.min_accuracy'
    """
    if bound.slice:
        return "evaluation.slice_thresholds"
    if bound.is_change:
        return f"evaluation.change_thresholds.{bound.metric}"
    if bound.kind == "min" and evaluation.get(f"min_{bound.metric}") is not None:
        return f"evaluation.min_{bound.metric}"
    return f"evaluation.thresholds.{bound.metric}"


def bounds_on_classes(evaluation: EvaluationConfig, class_names: Sequence[str]) -> dict[str, list[str]]:
    """Returns the bounds on all examples that no model keeps where a class has no pixel: class to settings.

    The recall of a class that never is true is undefined. Its other metrics are 0 where it is predicted, and undefined
    where it is not: a least value above 0 cannot be reached. What only slices are bounded by is not told.
    """
    overall = [bound for bound in evaluation.bounds() if not bound.slice]
    found: dict[str, list[str]] = {}
    for name, kind, bound in itertools.product(class_names, CLASS_METRICS, overall):
        needs_pixels = kind == RECALL or (bound.kind == "min" and bound.bound > 0)
        if bound.metric == f"{kind}_{name}" and needs_pixels:
            table = "change_thresholds" if bound.is_change else "thresholds"
            found.setdefault(name, []).append(f"evaluation.{table}.{bound.metric}")
    return {name: list(dict.fromkeys(settings)) for name, settings in found.items()}


def _bounds(
    metric: str, by_kind: Mapping[str, float | None], where: Mapping[str, str | None] | None = None
) -> list[Bound]:
    """Returns the bounds of one metric, on the slices that `where` names or over all examples."""
    return [
        Bound.model_validate({"metric": metric, "kind": kind, "bound": number, "slice": where or {}})
        for kind, number in by_kind.items()
        if number is not None
    ]


def _check_contradiction(index: int, one: SliceThreshold, other_index: int, other: SliceThreshold) -> None:
    """Refuses two bounds of the same metric on the same slice that no value satisfies."""
    same_slice = one.value == other.value or None in (one.value, other.value)
    if (one.feature, one.metric) != (other.feature, other.metric) or not same_slice:
        return
    for low, high in (("min", "max"), ("min_change", "max_change")):
        least, most = (
            [number for threshold in (one, other) if (number := threshold.by_kind[kind]) is not None]
            for kind in (low, high)
        )
        if least and most and max(least) > min(most):
            raise ValueError(
                f"slice_thresholds[{index}] and [{other_index}] contradict each other on "
                f"{one.feature} = {one.value or other.value or 'any'}: no {one.metric} satisfies {low} = {max(least)} "
                f"and {high} = {min(most)}"
            )


def _suggestion(name: str, known: Sequence[str], list_is_in: str) -> str:
    """Returns the nearest names, and where to find the others."""
    if not known:
        return "it is empty"
    near = nearest_few(name, known, _SUGGESTED)
    others = len(known) - len(near)
    return f"did you mean {' or '.join(map(repr, near))}?" + (f" {list_is_in} all {len(known)}" if others else "")
