"""The bounds of the gate, and how TFMA's configuration says them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tensorflow_model_analysis.proto import config_pb2

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
