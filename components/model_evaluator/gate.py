"""The gate's verdict: TFMA's, but for slices of too few examples, on which TFMA decides as on any other.

The bounds of the gate, and how TFMA's configuration says them.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import tensorflow as tf
import tensorflow_model_analysis as tfma
from pydantic import BaseModel, ConfigDict
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2
from tensorflow_model_analysis.slicer import slicer_lib

BoundKind = Literal["min", "max", "min_change", "max_change"]
_KINDS: Final[tuple[BoundKind, ...]] = ("min", "max", "min_change", "max_change")


@dataclass(frozen=True)
class Bound:
    """One bound of one metric.

    Attributes:
      metric: Name of the metric.
      kind: `min` and `max` bound the candidate's value, `min_change` and `max_change` what it is above the baseline's.
      bound: The least or the greatest number that will do.
      feature: Feature whose slices it bounds; None for all examples together.
      value: The one value of the feature whose slice it bounds; None for every value.
    """

    metric: str
    kind: BoundKind
    bound: float
    feature: str | None = None
    value: str | None = None

    @property
    def is_change(self) -> bool:
        return self.kind.endswith("_change")

    def holds(self, number: float | None) -> bool:
        """Returns whether a value, or a change of it, keeps the bound; one that is undefined does not."""
        if number is None:
            return False
        return number >= self.bound if self.kind.startswith("min") else number <= self.bound

    def _order(self) -> tuple[str, str, str, int]:
        return self.metric, self.feature or "", self.value or "", _KINDS.index(self.kind)


def set_bounds(spec: config_pb2.MetricsSpec, bounds: Iterable[Bound]) -> None:
    """Makes `bounds` the only thresholds of a specification, in the same order whatever theirs is."""
    spec.per_slice_thresholds.clear()
    for bound in sorted(bounds, key=Bound._order):
        entry = spec.per_slice_thresholds[bound.metric].thresholds.add()
        entry.slicing_specs.add().CopyFrom(_slicing_spec(bound))
        entry.threshold.CopyFrom(_threshold(bound))


def get_bounds(spec: config_pb2.MetricsSpec) -> list[Bound]:
    """Returns the bounds that `set_bounds` set; without those of changes where TFMA has dropped them."""
    return [
        bound
        for metric, thresholds in sorted(spec.per_slice_thresholds.items())
        for entry in thresholds.thresholds
        for bound in _bounds_of(metric, entry)
    ]


def with_lower_bound(config: config_pb2.EvalConfig, metric: str, bound: float) -> config_pb2.EvalConfig:
    """Returns the configuration with another lower bound of a metric over all examples; 0 takes the bound away."""
    changed = config_pb2.EvalConfig()
    changed.CopyFrom(config)
    spec = changed.metrics_specs[0]
    kept = [
        other for other in get_bounds(spec) if (other.metric, other.kind, other.feature) != (metric, _KINDS[0], None)
    ]
    set_bounds(spec, [*kept, Bound(metric, "min", bound)] if bound else kept)
    return changed


def _slicing_spec(bound: Bound) -> config_pb2.SlicingSpec:
    """Says which slices it is for; TFMA would apply a bound that says nothing to every slice."""
    if bound.feature is None:
        return config_pb2.SlicingSpec()
    if bound.value is None:
        return config_pb2.SlicingSpec(feature_keys=[bound.feature])
    return config_pb2.SlicingSpec(feature_values={bound.feature: bound.value})


def _threshold(bound: Bound) -> config_pb2.MetricThreshold:
    is_lower = bound.kind.startswith("min")
    if bound.is_change:
        direction = config_pb2.HIGHER_IS_BETTER if is_lower else config_pb2.LOWER_IS_BETTER
        change = config_pb2.GenericChangeThreshold(direction=direction, absolute={"value": bound.bound})
        return config_pb2.MetricThreshold(change_threshold=change)
    field = "lower_bound" if is_lower else "upper_bound"
    value = config_pb2.GenericValueThreshold(**{field: {"value": bound.bound}})
    return config_pb2.MetricThreshold(value_threshold=value)


def _bounds_of(metric: str, entry: config_pb2.PerSliceMetricThreshold) -> Iterator[Bound]:
    feature, value = _slice_of(entry.slicing_specs[0])
    threshold = entry.threshold
    if threshold.value_threshold.HasField("lower_bound"):
        yield Bound(metric, "min", threshold.value_threshold.lower_bound.value, feature, value)
    if threshold.value_threshold.HasField("upper_bound"):
        yield Bound(metric, "max", threshold.value_threshold.upper_bound.value, feature, value)
    if threshold.HasField("change_threshold"):
        is_lower = threshold.change_threshold.direction == config_pb2.HIGHER_IS_BETTER
        kind: BoundKind = "min_change" if is_lower else "max_change"
        yield Bound(metric, kind, threshold.change_threshold.absolute.value, feature, value)


def _slice_of(spec: config_pb2.SlicingSpec) -> tuple[str | None, str | None]:
    if spec.feature_keys:
        return spec.feature_keys[0], None
    return next(iter(spec.feature_values.items()), (None, None))


VERDICT_FILE_NAME: Final = "gate.json"
_COUNT_METRIC: Final = "example_count"

_SliceKey = tuple[tuple[str, str], ...]


class BoundResult(BaseModel):
    """One bound on one slice."""

    model_config = ConfigDict(frozen=True)

    metric: str
    kind: BoundKind
    bound: float
    slice: dict[str, str]
    """Feature to value; empty for all examples together. The value is `any` where no example has the feature."""

    examples: int
    """Of the slice."""

    value: float | None
    """The candidate's; None where it is undefined."""

    baseline: float | None
    """The baseline's; None where it is undefined and where there is no baseline."""

    change: float | None
    """Candidate minus baseline."""

    within_noise: bool | None
    """Of a bound of a change: whether the interval of the change contains 0; None where there is no interval."""

    passed: bool
    gated: bool
    """Whether it counts: the slice has enough examples."""


class Verdict(BaseModel):
    """What came of the gate."""

    model_config = ConfigDict(frozen=True)

    passed: bool | None
    """Whether every bound that counts holds; None when there is none."""

    min_slice_examples: int
    bounds: tuple[BoundResult, ...]

    def save(self, evaluation_uri: str) -> None:
        """Writes the verdict into the `evaluation` artifact."""
        with tf.io.gfile.GFile(f"{evaluation_uri}/{VERDICT_FILE_NAME}", "w") as file:
            file.write(self.model_dump_json(indent=2))

    @classmethod
    def load(cls, evaluation_uri: str) -> Self:
        """Reads the verdict of an `evaluation` artifact on this machine."""
        return cls.model_validate_json((Path(evaluation_uri) / VERDICT_FILE_NAME).read_bytes())


def judge(evaluation_uri: str, min_slice_examples: int) -> Verdict:
    """Returns the verdict on what TFMA wrote.

    Args:
      evaluation_uri: The `evaluation` artifact.
      min_slice_examples: Bounds do not count on slices with fewer examples.
    """
    config = tfma.load_eval_result(evaluation_uri).config
    baseline = next((spec.name for spec in config.model_specs if spec.is_baseline), None)
    candidate = next((spec.name for spec in config.model_specs if not spec.is_baseline), "")
    measured = {
        slicer_lib.deserialize_slice_key(record.slice_key): _Measured(record, candidate, baseline)
        for record in tfma.load_metrics(evaluation_uri)
    }
    results = tuple(
        _result(bound, key, measured, min_slice_examples)
        for spec in config.metrics_specs
        for bound in get_bounds(spec)
        for key in _slices_of(bound, measured)
    )
    small = {key for key, slice_ in measured.items() if key and slice_.examples < min_slice_examples}
    passed = _holds(tfma.load_validation_result(evaluation_uri), small) if results else None
    return Verdict(passed=passed, min_slice_examples=min_slice_examples, bounds=results)


class _Measured:
    """What was measured on one slice: numbers that are defined, by metric."""

    def __init__(self, record: metrics_for_slice_pb2.MetricsForSlice, candidate: str, baseline: str | None) -> None:
        numbers: dict[tuple[str, str, bool], float] = {}
        for item in record.metric_keys_and_values:
            number = item.value.double_value.value
            if item.value.HasField("double_value") and not math.isnan(number):
                numbers[item.key.model_name, item.key.name, item.key.is_diff] = number
        self.value = _of_model(numbers, candidate, is_diff=False)
        self.change = _of_model(numbers, candidate, is_diff=True)
        self.baseline = {} if baseline is None else _of_model(numbers, baseline, is_diff=False)
        self.examples = int(self.value[_COUNT_METRIC])


def _of_model(numbers: Mapping[tuple[str, str, bool], float], model: str, *, is_diff: bool) -> dict[str, float]:
    return {name: number for (of, name, diff), number in numbers.items() if (of, diff) == (model, is_diff)}


def _slices_of(bound: Bound, measured: Mapping[_SliceKey, _Measured]) -> Iterator[_SliceKey]:
    """Yields the slices that a bound is for; where there is none, the one that was asked for."""
    if bound.feature is None:
        yield ()
        return
    wanted = [
        key
        for key in sorted(measured)
        if len(key) == 1 and key[0][0] == bound.feature and bound.value in (None, str(key[0][1]))
    ]
    yield from wanted or [((bound.feature, bound.value or "any"),)]


def _result(
    bound: Bound, key: _SliceKey, measured: Mapping[_SliceKey, _Measured], min_slice_examples: int
) -> BoundResult:
    found = measured.get(key)
    value, baseline, change = (
        (None, None, None)
        if found is None
        else (numbers.get(bound.metric) for numbers in (found.value, found.baseline, found.change))
    )
    return BoundResult(
        metric=bound.metric,
        kind=bound.kind,
        bound=bound.bound,
        slice={feature: str(slice_value) for feature, slice_value in key},
        examples=0 if found is None else found.examples,
        value=value,
        baseline=baseline,
        change=change,
        within_noise=_within_noise(bound, found.value) if found else None,
        passed=bound.holds(change if bound.is_change else value),
        gated=not key or found is None or found.examples >= min_slice_examples,
    )


def _within_noise(bound: Bound, candidate: Mapping[str, float]) -> bool | None:
    low, high = (candidate.get(f"{bound.metric}_difference_{end}") for end in ("low", "high"))
    if not bound.is_change or low is None or high is None:
        return None
    return low <= 0 <= high


def _holds(validation: tfma.ValidationResult, small: set[_SliceKey]) -> bool:
    """Returns whether TFMA found every bound kept, or missed none but those of small slices."""
    if validation.validation_ok:
        return True
    failing = {slicer_lib.deserialize_slice_key(slice_.slice_key) for slice_ in validation.metric_validations_per_slice}
    return bool(failing) and failing <= small and not validation.missing_slices
