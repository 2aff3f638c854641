"""What is measured of a model, and what it must reach to be pushed."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final, Self

from pydantic import Field, model_validator

from pipeline.suggestions import nearest_few
from trainer_module.config import Section
from trainer_module.segmentation_metrics import CLASS_METRICS, RECALL

_LOWER_IS_BETTER: Final = ("loss", "ece")
_SUGGESTED: Final = 3


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
    def bounds(self) -> dict[str, float]:
        """The bounds that are set, by kind."""
        return self.model_dump(include={"min", "max", "min_change", "max_change"}, exclude_none=True)

    @model_validator(mode="after")
    def _is_satisfiable(self) -> Self:
        if not self.bounds:
            raise ValueError("a threshold needs min, max, min_change or max_change")
        _check_range(self.min, self.max, "")
        _check_range(self.min_change, self.max_change, "_change")
        return self


class EvaluationConfig(Section):
    """What the Evaluator measures and what a model must reach to be pushed."""

    split: str = "test"
    """The split that decides; nothing is tuned on it."""

    min_accuracy: float | None = Field(None, ge=0, le=1)
    """Least pixel accuracy (the blog's val_accuracy)."""

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
    """A slice with fewer examples is reported, and its bounds do not count."""

    def bounds(self) -> dict[str, Threshold]:
        """Returns the bounds on all examples that decide without a served model, by metric name."""
        shorthands = {
            "accuracy_gain": self.min_accuracy_gain,
            "accuracy": self.min_accuracy,
            "mean_iou": self.min_mean_iou,
        }
        named = {metric: Threshold(min=bound) for metric, bound in shorthands.items() if bound is not None}
        return named | self.thresholds

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
                raise ValueError(f"min_{metric} and thresholds.{metric} are both set; keep one")
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
          ValueError: There is no such metric.
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


def bounds_on_classes(evaluation: EvaluationConfig, class_names: Sequence[str]) -> dict[str, list[str]]:
    """Returns the bounds on all examples that no model keeps where a class has no pixel: class to settings.

    The recall of a class that never is true is undefined. Its other metrics are 0 where it is predicted, and undefined
    where it is not: a least value above 0 cannot be reached. What only slices are bounded by is not told.
    """
    found: dict[str, list[str]] = {}
    for name, kind in itertools.product(class_names, CLASS_METRICS):
        metric, settings = f"{kind}_{name}", found.setdefault(name, [])
        bound, change = evaluation.thresholds.get(metric), evaluation.change_thresholds.get(metric)
        if bound is not None and (kind == RECALL or (bound.min or 0) > 0):
            settings.append(f"evaluation.thresholds.{metric}")
        if change is not None and kind == RECALL:
            settings.append(f"evaluation.change_thresholds.{metric}")
    return {name: settings for name, settings in found.items() if settings}


def _check_contradiction(index: int, one: SliceThreshold, other_index: int, other: SliceThreshold) -> None:
    """Refuses two bounds of the same metric on the same slice that no value satisfies."""
    same_slice = one.value == other.value or None in (one.value, other.value)
    if (one.feature, one.metric) != (other.feature, other.metric) or not same_slice:
        return
    for low, high in (("min", "max"), ("min_change", "max_change")):
        least = max(_or(getattr(threshold, low), -math.inf) for threshold in (one, other))
        most = min(_or(getattr(threshold, high), math.inf) for threshold in (one, other))
        if least > most:
            raise ValueError(
                f"slice_thresholds[{index}] and [{other_index}] contradict each other on "
                f"{one.feature} = {one.value or other.value or 'any'}: no {one.metric} satisfies {low} = {least} and "
                f"{high} = {most}"
            )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _suggestion(name: str, known: Sequence[str], list_is_in: str) -> str:
    """Returns the nearest names, and where to find the others."""
    if not known:
        return "it is empty"
    near = nearest_few(name, known, _SUGGESTED)
    others = len(known) - len(near)
    return f"did you mean {' or '.join(map(repr, near))}?" + (f" {list_is_in} all {len(known)}" if others else "")


def gate_bounds(evaluation: EvaluationConfig) -> list[dict[str, Any]]:
    """Returns every bound, with the fields of `components.model_evaluator.gate.Bound`."""
    overall = [(metric, "", threshold) for metric, threshold in evaluation.bounds().items()]
    overall += [(metric, "_change", threshold) for metric, threshold in evaluation.change_thresholds.items()]
    bounds: list[dict[str, Any]] = [
        {"metric": metric, "kind": kind + suffix, "bound": bound}
        for metric, suffix, threshold in overall
        for kind, bound in threshold.model_dump(exclude_none=True).items()
    ]
    return bounds + [
        {
            "metric": threshold.metric,
            "kind": kind,
            "bound": bound,
            "feature": threshold.feature,
            "value": threshold.value,
        }
        for threshold in evaluation.slice_thresholds
        for kind, bound in threshold.bounds.items()
    ]
