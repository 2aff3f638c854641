"""The gate: the bounds that a model must keep, and the verdict on what was measured of it.

Numbers in, verdict out: nothing here knows TensorFlow or TFX, so that a bound is the same thing in the settings, in the
Evaluator and in the run's record. TFMA measures and decides nothing: it could, but not leave out slices of a few
examples, and of two decisions one would overwrite the blessing of the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, field_validator

from trainer_module.segmentation_metrics import LABELLED_SHARE, UNLABELLED_IMAGES

VERDICT_FILE_NAME: Final = "gate.json"
"""Beside TFMA's files in the `evaluation` artifact."""

BoundKind = Literal["min", "max", "min_change", "max_change"]
SliceKey = tuple[tuple[str, Any], ...]
"""Feature and value, as TFMA names a slice; empty for all examples together."""

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


class Verdict(BaseModel):
    """What came of the gate: the content of `gate.json`."""

    model_config = ConfigDict(frozen=True)

    passed: bool | None
    """Whether every bound that counts holds; None when there is none."""

    min_slice_examples: int
    bounds: tuple[BoundResult, ...]


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

    @field_validator("bounds")
    @classmethod
    def _in_one_order(cls, bounds: tuple[Bound, ...]) -> tuple[Bound, ...]:
        """The order in which they were set is no other gate, and shall not make TFX evaluate anew."""
        return tuple(sorted(bounds, key=lambda bound: (bound.metric, bound.place, _KINDS.index(bound.kind))))

    def with_least(self, metric: str, least: float) -> "Gate":
        """Returns the gate with another least value of a metric over all examples; 0 takes the bound away."""
        kept = [bound for bound in self.bounds if (bound.metric, bound.kind, bound.slice) != (metric, "min", {})]
        new = [Bound(metric=metric, kind="min", bound=least)] if least else []
        return Gate(bounds=(*kept, *new), min_slice_examples=self.min_slice_examples)

    def judge(self, measured: Mapping[SliceKey, Measured], *, has_baseline: bool) -> Verdict:
        """Returns the verdict.

        Args:
          measured: What was measured on each slice.
          has_baseline: Whether there is a model to compare with; else bounds of changes do not count.
        """
        results = tuple(
            self._result(bound, key, measured.get(key))
            for bound in self.bounds
            if has_baseline or not bound.is_change
            for key in _slices_of(bound, measured)
        )
        passed = all(result.passed for result in results if result.gated) if results else None
        return Verdict(passed=passed, min_slice_examples=self.min_slice_examples, bounds=results)

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
