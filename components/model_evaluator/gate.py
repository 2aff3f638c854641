"""The gate: the bounds that a model must keep, whether it must be better than the served one, and the verdict.

Numbers in, verdict out: nothing here knows TensorFlow or TFX, so that a bound is the same thing in the settings, in the
Evaluator and in the run's record. TFMA measures and decides nothing: it could, but not leave out slices of a few
examples, and of two decisions one would overwrite the blessing of the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, field_validator

from trainer_module.segmentation_metrics import DATA_METRICS, LABELLED_SHARE, UNLABELLED_IMAGES

VERDICT_FILE_NAME: Final = "gate.json"
"""Beside TFMA's files in the `evaluation` artifact."""

BoundKind = Literal["min", "max", "min_change", "max_change"]
SliceKey = tuple[tuple[str, Any], ...]
"""Feature and value, as TFMA names a slice; empty for all examples together."""

LEAST_COMPARED: Final = 6
"""Images with labels from which on an interval of a difference says anything. That each of five images comes out better
is chance once in 32 times, which is more often than the 2.5 % that the interval leaves to its lower end."""

_KINDS: Final = get_args(BoundKind)


class Bound(BaseModel):
    """A bound of one metric.

    >>> bound = Bound(metric="loss", kind="max", bound=0.5)
    >>> bound.holds(0.5), bound.holds(0.51), bound.holds(None)
    (True, False, False)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    kind: BoundKind
    """`min` or `max` of the value; `min_change` or `max_change` of what the value is above the baseline's."""

    bound: float
    """The least or the greatest number that will do."""

    slice: Mapping[str, str | None] = {}
    """Feature to the value whose slice is bounded, None for every value; empty for all examples together."""

    @property
    def is_least(self) -> bool:
        return self.kind.startswith("min")

    @property
    def is_change(self) -> bool:
        return self.kind.endswith("_change")

    @property
    def place(self) -> list[tuple[str, str]]:
        """Feature and value of the slice, to sort by."""
        return [(feature, value or "") for feature, value in self.slice.items()]

    def holds(self, number: float | None) -> bool:
        """Returns whether a value, or a change of it, keeps the bound; one that is undefined does not."""
        if number is None:
            return False
        return number >= self.bound if self.is_least else number <= self.bound


class BoundResult(Bound):
    """One bound on one slice, and whether the model kept it; what has a default is absent in records of old runs."""

    slice: Mapping[str, str] = {}
    """Feature to value; empty for all examples together. The value is `any` where no example has the feature."""

    examples: int | None = None
    """Of the slice; None where it was not recorded."""

    unlabelled_examples: int = 0
    """Those of them that have no labelled pixel."""

    labelled_share: float | None = None
    """Share of the slice's pixels that are labelled; None where it was not recorded."""

    value: float | None
    """The candidate's; None where it is undefined."""

    baseline: float | None = None
    """The baseline's; None where it is undefined and where there is no baseline."""

    change: float | None = None
    """What `value` is above `baseline`."""

    within_noise: bool | None = None
    """Of a bound of a change: whether the change's 95 % interval contains 0; None where there is no interval."""

    passed: bool
    gated: bool = True
    """Whether the bound decides; on a slice of too few examples with labelled pixels it does not."""

    @property
    def is_partly_labelled(self) -> bool:
        """Whether the slice has pixels that the value is not of."""
        return self.labelled_share is not None and self.labelled_share < 1

    @property
    def labelled_examples(self) -> int:
        """Those that the value is of."""
        return (self.examples or 0) - self.unlabelled_examples

    @property
    def name(self) -> str:
        """What is bounded: the metric, or its change, and the slice."""
        where = ", ".join(f"{feature} = {value}" for feature, value in self.slice.items())
        return f"{self.metric}{' change' if self.is_change else ''}" + (f" ({where})" if where else "")

    @property
    def number(self) -> float | None:
        """The number that the bound is for."""
        return self.change if self.is_change else self.value


class Outcome(StrEnum):
    """How a new model stands to the served one."""

    BETTER = "better"
    """Beyond noise: the whole interval of the difference is above 0."""

    EQUAL = "equal"
    """Within noise, or no interval is known."""

    WORSE = "worse"
    """Beyond noise."""

    INCOMPARABLE = "incomparable"
    """What is served cannot be compared with, as a model of other classes."""


class Comparison(BaseModel):
    """The new model beside the served one, in one metric of the same images."""

    model_config = ConfigDict(frozen=True)

    metric: str
    outcome: Outcome
    examples: int = 0
    """Those with labelled pixels."""

    candidate: float | None = None
    """The new model's value; None where it is undefined."""

    baseline: float | None = None
    """The served model's, likewise."""

    change: float | None = None
    """What `candidate` is above `baseline`."""

    low: float | None = None
    """The 95 % interval of the change, with `high`; None where it is undefined, or of fewer than `LEAST_COMPARED`."""

    high: float | None = None
    served_misses: tuple[BoundResult, ...] = ()
    """The bounds that count, but for those of changes, that the served model misses on these images."""

    obstacle: str = ""
    """Why the served model cannot be compared with; empty where it can."""

    equal_suffices: bool = False
    """Whether as good is good enough, as on images that the model need not be better on."""

    @property
    def passes(self) -> bool:
        """Whether the new model may take the place of the served one."""
        if self.outcome is Outcome.EQUAL:
            return self.equal_suffices or bool(self.served_misses)
        return self.outcome is Outcome.BETTER


class Verdict(BaseModel):
    """What came of the gate: the content of `gate.json`."""

    model_config = ConfigDict(frozen=True)

    passed: bool | None
    """Whether every bound that counts holds, and the model is better than the served one where it must be; None when
    nothing decides."""

    min_slice_examples: int
    bounds: tuple[BoundResult, ...]
    comparison: Comparison | None = None
    """None where the model need not be better than another, or nothing is served."""


@dataclass(frozen=True)
class Measured:
    """What was measured on one slice: metric to value, of those that are defined."""

    examples: int
    """With those that have no labelled pixel."""

    candidate: Mapping[str, float]
    baseline: Mapping[str, float]
    """Empty where there is no baseline."""


class Gate(BaseModel):
    """What a model must keep to be blessed; travels through TFX as JSON.

    >>> gate = Gate(bounds=(Bound(metric="accuracy", kind="min", bound=0.8),), min_slice_examples=30)
    >>> gate.judge({(): Measured(100, {"accuracy": 0.9}, {})}, has_baseline=False).passed
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bounds: tuple[Bound, ...]
    min_slice_examples: int
    """On a slice with fewer examples that have labelled pixels, a bound is reported and does not count."""

    better_in: Literal["mean_iou", "accuracy"] | None = None
    """The metric in which the model must be better than the served one beyond noise, or as good where that one misses a
    bound. None: the bounds alone decide."""

    equal_suffices: bool = False
    """Whether in that metric as good is always good enough."""

    @field_validator("bounds")
    @classmethod
    def _in_one_order(cls, bounds: tuple[Bound, ...]) -> tuple[Bound, ...]:
        """The order in which they were set is no other gate, and shall not make TFX evaluate anew."""
        return tuple(sorted(bounds, key=lambda bound: (bound.metric, bound.place, _KINDS.index(bound.kind))))

    def with_least(self, metric: str, least: float) -> "Gate":
        """Returns the gate with another least value of a metric over all examples; 0 takes the bound away."""
        kept = [bound for bound in self.bounds if (bound.metric, bound.kind, bound.slice) != (metric, "min", {})]
        new = [Bound(metric=metric, kind="min", bound=least)] if least else []
        return Gate.model_validate({**dict(self), "bounds": (*kept, *new)})

    def judge(self, measured: Mapping[SliceKey, Measured], *, has_baseline: bool, obstacle: str = "") -> Verdict:
        """Returns the verdict.

        Args:
          measured: What was measured on each slice.
          has_baseline: Whether there is a model to compare with; else bounds of changes do not count.
          obstacle: Why a model that is served cannot be compared with; empty where it can, and where none is served.
        """
        results = self._results(measured, has_baseline=has_baseline)
        decisive = [result.passed for result in results if result.gated]
        comparison = None
        if self.better_in is not None and obstacle:
            comparison = Comparison(metric=self.better_in, outcome=Outcome.INCOMPARABLE, obstacle=obstacle)
        elif self.better_in is not None and has_baseline:
            comparison = self._comparison(self.better_in, measured)
        if comparison is not None:
            decisive.append(comparison.passes)
        return Verdict(
            passed=all(decisive) if results or comparison else None,
            min_slice_examples=self.min_slice_examples,
            bounds=results,
            comparison=comparison,
        )

    def _results(self, measured: Mapping[SliceKey, Measured], *, has_baseline: bool) -> tuple[BoundResult, ...]:
        return tuple(
            self._result(bound, key, measured.get(key))
            for bound in self.bounds
            if has_baseline or not bound.is_change
            for key in _slices_of(bound, measured)
        )

    def _comparison(self, metric: str, measured: Mapping[SliceKey, Measured]) -> Comparison:
        found = measured.get((), Measured(0, {}, {}))
        examples = found.examples - int(found.candidate.get(UNLABELLED_IMAGES, 0))
        interval = [found.candidate.get(f"{metric}_difference_{end}") for end in ("low", "high")]
        low, high = interval if examples >= LEAST_COMPARED and None not in interval else (None, None)
        candidate, baseline = found.candidate.get(metric), found.baseline.get(metric)
        served = {key: _of_served(of_slice) for key, of_slice in measured.items()}
        outcome = Outcome.EQUAL
        if low is not None and high is not None:
            outcome = Outcome.BETTER if low > 0 else Outcome.WORSE if high < 0 else Outcome.EQUAL
        return Comparison(
            metric=metric,
            outcome=outcome,
            examples=examples,
            equal_suffices=self.equal_suffices,
            candidate=candidate,
            baseline=baseline,
            change=None if candidate is None or baseline is None else candidate - baseline,
            low=low,
            high=high,
            served_misses=tuple(
                result for result in self._results(served, has_baseline=False) if result.gated and not result.passed
            ),
        )

    def _result(self, bound: Bound, key: SliceKey, found: Measured | None) -> BoundResult:
        """Returns what came of a bound on a slice; on one that was asked for and has no example it counts as missed."""
        found = found or Measured(0, {}, {})
        value, baseline = found.candidate.get(bound.metric), found.baseline.get(bound.metric)
        change = None if value is None or baseline is None else value - baseline
        low, high = (found.candidate.get(f"{bound.metric}_difference_{end}") for end in ("low", "high"))
        unlabelled = int(found.candidate.get(UNLABELLED_IMAGES, 0))
        within_noise = None if not bound.is_change or low is None or high is None else low <= 0 <= high
        return BoundResult(
            metric=bound.metric,
            kind=bound.kind,
            bound=bound.bound,
            slice={feature: str(slice_value) for feature, slice_value in key},
            examples=found.examples,
            unlabelled_examples=unlabelled,
            labelled_share=found.candidate.get(LABELLED_SHARE),
            value=value,
            baseline=baseline,
            change=change,
            within_noise=within_noise,
            passed=bound.holds(change if bound.is_change else value),
            gated=not key or not found.examples or found.examples - unlabelled >= self.min_slice_examples,
        )


def _of_served(found: Measured) -> Measured:
    """Returns what was measured of the served model as if it were the candidate; what is of the data is of both."""
    of_data = {name: found.candidate[name] for name in DATA_METRICS if name in found.candidate}
    return replace(found, candidate={**found.baseline, **of_data}, baseline={})


def _slices_of(bound: Bound, measured: Mapping[SliceKey, Measured]) -> Iterator[SliceKey]:
    """Yields the slices that a bound is for; where there is none, the one that was asked for."""
    if not bound.slice:
        yield ()
        return
    ((feature, value),) = bound.slice.items()
    wanted = [
        key for key in sorted(measured) if len(key) == 1 and key[0][0] == feature and value in (None, str(key[0][1]))
    ]
    yield from wanted or [((feature, value or "any"),)]
