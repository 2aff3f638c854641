"""What the gate decided, in lines for people."""

from typing import Final

from pipeline.metric_tables import metric_value, readable_metric
from pipeline.run_record import ProbeRecord, RunRecord, ThresholdRecord

_COMPARISONS: Final = {"min": "≥", "max": "≤", "min_change": "≥", "max_change": "≤"}


def gate_lines(record: RunRecord) -> list[str]:
    """Returns a line a bound, then the verdicts; of bounds on slices, those that hold are only counted."""
    lines = [bound_line(bound) for bound in record.thresholds if not (bound.slice and bound.passed)]
    kept = sum(1 for bound in record.thresholds if bound.slice and bound.passed)
    if kept:
        lines.append(f"bounds on slices that passed: {kept}")
    if record.thresholds and record.baseline is not None and not record.baseline.found:
        lines.append(f"compared with no served model: {record.baseline.reason}")
    if record.force_blessed is not None:
        lines.append(f"not blessed by the gate, pushed by force: {record.force_blessed}")
    elif record.blessed is not None:
        lines.append("blessed" if record.blessed else "not blessed: nothing was pushed")
    if record.probe is not None and not record.probe.passed:
        lines += [f"refused by the probe: {refusal}" for refusal in record.probe.refusals]
        lines.append("it cannot be served: nothing was pushed")
    return lines


def probe_line(probe: ProbeRecord) -> str:
    """Returns what came of the probe: what serving costs, or the first reason against it."""
    if not probe.passed:
        more = f" (and {len(probe.refusals) - 1} more)" if len(probe.refusals) > 1 else ""
        return f"refused: {probe.refusals[0]}{more}"
    measured = {name: value for name, value in probe.measurements.items() if value is not None}
    words = {
        "load_seconds": "loads in {:.1f} s",
        "latency_p50_ms": "answers in {:.0f} ms",
        "latency_p99_ms": "p99 {:.0f} ms",
        "memory_mb": "{:.0f} MB",
    }
    return ", ".join(text.format(measured[name]) for name, text in words.items() if name in measured)


def bound_line(bound: ThresholdRecord) -> str:
    """Returns one bound with what it bounds: `accuracy 0.9012 ≥ 0.85: passed`."""
    comparison = _COMPARISONS.get(bound.kind, bound.kind)
    verdict = "passed" if bound.passed else "not passed"
    if not bound.gated:
        verdict += f", does not count ({bound.examples} examples)"
    if bound.within_noise is not None:
        verdict += ", a change within noise" if bound.within_noise else ", a change beyond noise"
    return f"{readable_metric(bound.name)} {_bounded(bound)} {comparison} {bound.bound:g}: {verdict}"


def _bounded(bound: ThresholdRecord) -> str:
    if not bound.kind.endswith("_change"):
        return metric_value(bound.value)
    if bound.change is None:
        return "undefined"
    return f"{bound.change:+.4f} (from {metric_value(bound.baseline)} to {metric_value(bound.value)})"
