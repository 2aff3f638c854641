"""Tables and lines that show records of runs to people: their components, what the gate decided, what came of them."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from components.model_evaluator.gate import BoundResult, Comparison, Outcome
from pipeline.config.evaluation import setting_of
from pipeline.config.loading import preset_value
from pipeline.runs.record import NodeRecord, NodeState, ProbeRecord, RunRecord, RunState
from pipeline.terminal.streams import printable
from pipeline.terminal.tables import PlainTable, headline, labelled_area, metric_tables, metric_value, readable_metric

_NODE_STYLES: Final = {
    NodeState.PENDING: "dim",
    NodeState.RUNNING: "bold cyan",
    NodeState.COMPLETE: "green",
    NodeState.CACHED: "blue",
    NodeState.FAILED: "bold red",
    NodeState.SKIPPED: "dim",
    NodeState.INTERRUPTED: "yellow",
}
_RUN_STYLES: Final = {
    RunState.RUNNING: "bold cyan",
    RunState.COMPLETE: "green",
    RunState.FAILED: "bold red",
    RunState.INTERRUPTED: "yellow",
}
_HEADLINE_METRICS: Final = ("accuracy", "mean_iou")
_OUTCOMES: Final = {Outcome.BETTER: "better beyond noise", Outcome.WORSE: "worse beyond noise"}


def gate_lines(record: RunRecord) -> list[str]:
    """Returns a line a bound, then the verdicts; of bounds on slices, those that hold are only counted."""
    lines = [
        bound_line(bound) + ("" if bound.passed or not bound.gated else _origin(bound, record))
        for bound in record.thresholds
        if not (bound.slice and bound.passed)
    ]
    kept = sum(1 for bound in record.thresholds if bound.slice and bound.passed)
    if kept:
        lines.append(f"bounds on slices that passed: {kept}")
    lines += [*_comparison_lines(record), *_reference_lines(record)]
    if record.force_blessed is not None:
        lines.append(f"not blessed by the gate, pushed by force: {record.force_blessed}")
    elif record.blessed is not None:
        lines.append("blessed" if record.blessed else "not blessed: nothing was pushed")
    if record.probe is not None and not record.probe.passed:
        lines += [f"refused by the probe: {refusal}" for refusal in record.probe.refusals]
        lines.append("it cannot be served: nothing was pushed")
    return lines


def _comparison_lines(record: RunRecord) -> list[str]:
    """Returns how the model stands to the served one, where that decides; or why it was compared with none."""
    comparison, baseline = record.comparison, record.baseline
    if comparison is None:
        is_told = record.thresholds and baseline is not None and not baseline.found
        return [f"compared with no served model: {baseline.reason}"] if is_told and baseline else []
    if comparison.outcome is Outcome.INCOMPARABLE:
        return [comparison_text(comparison)]
    origin = "" if comparison.passes else " (retraining.better_in)"
    return [f"against the served model: {comparison_text(comparison)}{origin}"]


def _reference_lines(record: RunRecord) -> list[str]:
    """Returns a line a bound of the reference set: `reference accuracy 0.9012 ≥ 0.85: passed`."""
    bounds = record.reference.thresholds if record.reference else []
    lines = [
        f"reference {bound_line(bound)}" + ("" if bound.passed or not bound.gated else _origin(bound, record))
        for bound in bounds
        if not (bound.slice and bound.passed)
    ]
    kept = sum(1 for bound in bounds if bound.slice and bound.passed)
    comparison = record.reference.comparison if record.reference else None
    return [
        *lines,
        *([f"bounds on slices of the reference set that passed: {kept}"] if kept else []),
        *([f"against the served model on the reference set: {comparison_text(comparison)}"] if comparison else []),
    ]


def verdict_line(record: RunRecord) -> str:
    """Returns what came of the model in one line: `blessed`, `not blessed: accuracy 0.7123 < 0.8`, and so on."""
    if record.probe is not None and not record.probe.passed:
        return f"refused by the probe: {'; '.join(record.probe.refusals)}"
    if record.force_blessed is not None:
        return f"pushed by force: {record.force_blessed}"
    if record.decision is not None and not record.decision.trains:
        return record.decision.summary
    if record.blessed is None:
        return "no gate" if record.metrics else "nothing was evaluated"
    if record.blessed and record.not_pushed is not None:
        return f"blessed, not pushed: {record.not_pushed}"
    comparison = record.comparison
    missed = [] if record.blessed else [bound for bound in record.thresholds if bound.gated and not bound.passed]
    clauses = [_missed(bound) for bound in missed]
    if comparison is not None and comparison.passes is record.blessed:
        clauses.append(comparison_clause(comparison))
    if record.reference is not None and not record.blessed:
        bounds, of_reference = record.reference.thresholds, record.reference.comparison
        clauses += [f"reference {_missed(bound)}" for bound in bounds if bound.gated and not bound.passed]
        if of_reference is not None and not of_reference.passes:
            clauses.append(f"on the reference set {comparison_clause(of_reference)}")
    return ": ".join(filter(None, ("blessed" if record.blessed else "not blessed", ", ".join(clauses))))


def comparison_text(comparison: Comparison) -> str:
    """Returns how a model stands to the served one: `mean IoU +0.0123 (+0.0041 to +0.0207): better beyond noise`."""
    if comparison.outcome is Outcome.INCOMPARABLE:
        return _incomparable(comparison)
    outcome = _OUTCOMES.get(comparison.outcome) or f"{_as_good(comparison)}, and {_served_gate(comparison)}"
    change = "undefined" if comparison.change is None else f"{comparison.change:+.4f}"
    interval = "" if comparison.low is None else f" ({comparison.low:+.4f} to {comparison.high:+.4f})"
    return f"{readable_metric(comparison.metric)} {change}{interval}: {outcome}"


def comparison_clause(comparison: Comparison) -> str:
    """Returns why the comparison lets a model pass or not, as a part of a sentence.

    Such as `mean IoU is not better beyond noise (+0.0012, -0.0050 to +0.0071), and the served model keeps its gate`.
    """
    if comparison.outcome is Outcome.INCOMPARABLE:
        return _incomparable(comparison)
    change = "undefined" if comparison.change is None else f"{comparison.change:+.4f}"
    interval = "no interval" if comparison.low is None else f"{comparison.low:+.4f} to {comparison.high:+.4f}"
    outcome = _OUTCOMES.get(comparison.outcome, "not better beyond noise")
    gate = f", and {_served_gate(comparison)}" if comparison.outcome is Outcome.EQUAL else ""
    return f"{readable_metric(comparison.metric)} is {outcome} ({change}, {interval}){gate}"


def _as_good(comparison: Comparison) -> str:
    if comparison.low is not None:
        return "within noise"
    images = f"{comparison.examples} image{'' if comparison.examples == 1 else 's'}"
    return f"no interval of {images} with labels, so that noise may explain it"


def _served_gate(comparison: Comparison) -> str:
    if comparison.equal_suffices:
        return "as good is good enough there"
    missed = ", ".join(map(_missed, comparison.served_misses))
    return f"the served model misses {missed}" if missed else "the served model keeps its gate"


def _incomparable(comparison: Comparison) -> str:
    return (
        f"the served model cannot be compared with ({comparison.obstacle}), and is not replaced by a retraining: to "
        "push once all the same, petseg run --reset-baseline"
    )


def _missed(bound: BoundResult) -> str:
    name = readable_metric(bound.name)
    if bound.number is None:
        return f"{name} is undefined"
    return f"{name} {metric_value(bound.number, bound.metric)} {'<' if bound.is_least else '>'} {bound.bound:g}"


def _origin(bound: BoundResult, record: RunRecord) -> str:
    """Says which setting a missed bound comes from, and how a trial gets past one that only the preset asked for."""
    evaluation = record.settings.get("evaluation")
    if evaluation is None:  # the run is another machine's
        return ""
    setting = setting_of(bound, evaluation)
    if record.preset is None or preset_value(record.preset, setting) != bound.bound:
        return f" ({setting})"
    return f" ({setting} of the preset {record.preset}; for a mere trial: --set {setting}=none)"


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


def bound_line(bound: BoundResult) -> str:
    """Returns one bound with what it bounds: `accuracy 0.9012 ≥ 0.85: passed`."""
    number = metric_value(bound.value, bound.metric)
    if bound.is_change:
        from_to = f"(from {metric_value(bound.baseline)} to {number})"
        number = "undefined" if bound.change is None else f"{bound.change:+.4f} {from_to}"
    verdict = "passed" if bound.passed else "not passed"
    if not bound.gated:
        verdict += f", does not count ({bound.labelled_examples} examples)"
    if bound.within_noise is not None:
        verdict += ", a change within noise" if bound.within_noise else ", a change beyond noise"
    if bound.is_partly_labelled:
        verdict += f", {labelled_area(bound.labelled_share)} of the area is labelled"
    return f"{readable_metric(bound.name)} {number} {'≥' if bound.is_least else '≤'} {bound.bound:g}: {verdict}"


def duration(seconds: float | None) -> str:
    """Writes seconds for people.

    >>> [duration(seconds) for seconds in (None, 12.34, 151, 3720)]
    ['', '12.3 s', '2 m 31 s', '1 h 02 m']
    """
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


def nodes_table(nodes: Sequence[NodeRecord], *, one_line: bool = False) -> PlainTable:
    """Returns one row a component: name, state, time, what it produced.

    Args:
      nodes: The components in the order of the graph.
      one_line: Whether to cut what it produced to the width of the terminal, so that no row wraps.
    """
    table = PlainTable()
    table.add_column("component", no_wrap=True, min_width=max((len(node.id) for node in nodes), default=0))
    table.add_column("state", no_wrap=True, min_width=max(map(len, NodeState)))
    table.add_column("time", no_wrap=True, min_width=len("59 m 59 s"), justify="right")
    table.add_column("produced", no_wrap=one_line, overflow="ellipsis" if one_line else "fold")
    for node in nodes:
        style = _NODE_STYLES[node.state]
        idle = node.state in (NodeState.PENDING, NodeState.SKIPPED)
        table.add_row(
            Text(node.id, "dim" if idle else ""), Text(node.state, style), duration(node.seconds), node.summary
        )
    return table


def opening_lines(record: RunRecord) -> list[str]:
    """Returns what is known of a run when it starts."""
    preset = f" (preset {record.preset})" if record.preset else ""
    return [f"run {record.run_id} of {record.pipeline}{preset}", f"log: {record.log}"]


def result_lines(record: RunRecord) -> list[str]:
    """Returns what came of a run, in lines: its end, its foremost metrics, the gate, and what was pushed."""
    lines = [f"{record.state} after {duration(record.seconds)}"]
    if record.metrics:
        lines.append(headline(record.metrics))
    lines += gate_lines(record)
    if record.decision is not None:
        lines[1:1] = [record.decision.summary, *(record.decision.notes if record.decision.trains else ())]
    if record.pushed_model is not None:
        lines.append(f"pushed: {record.pushed_model}")
    elif record.not_pushed is not None and not record.refused:
        lines.append(f"not pushed: {record.not_pushed}")
    if record.deployed_model is not None:
        lines.append(f"deployed: {record.deployed_model}")
    if record.report is not None:
        lines.append(f"report: {record.report}")
    if record.model_card is not None:
        lines.append(f"model card: {record.model_card}")
    if record.tracking is not None:
        lines.append(f"tracked: {record.tracking}")
    model_run = next((node.outputs["model_run"] for node in record.nodes if "model_run" in node.outputs), None)
    if model_run and (curves := Path(model_run) / "tensorboard").is_dir():
        lines.append(f"curves: tensorboard --logdir {shlex.quote(str(curves))}")
    if record.cleaned is not None:
        lines.append(gone(record))
    return lines


def gone(record: RunRecord) -> str:
    """Returns what became of the artifacts of a run that was cleaned."""
    when = f" on {record.cleaned:%Y-%m-%d}" if record.cleaned else ""
    return f"what the components of run {record.run_id} left was removed by petseg clean{when}"


def run_details(record: RunRecord) -> RenderableType:
    """Returns everything that one run is remembered for."""
    opening = [Text(printable(line), overflow="fold") for line in opening_lines(record)]
    parts: list[RenderableType] = [*opening, Text(), nodes_table(record.nodes), Text()]
    parts += [Text(printable(line)) for line in result_lines(record)]
    if record.dataset is not None:
        parts.append(Text(f"data: {record.dataset.summary}"))
    if record.metrics:
        tables = metric_tables(record.metrics, record.settings.get("data", {}).get("class_names", ()))
        parts += [part for table in tables for part in (Text(), table)]
    if record.error is not None:
        parts.append(Text(f"error: {record.error}", "red"))
    return Group(*parts)


def runs_table(records: Sequence[RunRecord]) -> PlainTable:
    """Returns one row a run; in 80 columns only the pipeline's name is cut."""
    metrics = dict.fromkeys(map(readable_metric, _HEADLINE_METRICS), 8)
    table = _listing({"run": 22, "state": 11, "time": 9, **metrics, "blessed": 7}, "pipeline")
    for record in records:
        values = [metric_value(record.metrics[name]) if name in record.metrics else "" for name in _HEADLINE_METRICS]
        table.add_row(*_opening_cells(record), *values, _verdict(record), record.pipeline)
    return table


def remote_runs_table(records: Sequence[RunRecord], *, has_verdicts: bool) -> PlainTable:
    """Returns one row a run on a server; in 80 columns only the run's name is cut.

    Args:
      records: The runs.
      has_verdicts: Whether it is known what became of their models.
    """
    table = _listing({"run": 36, "state": 11, "time": 11, **({"blessed": 7} if has_verdicts else {})}, "name")
    for record in records:
        verdict = [_verdict(record)] if has_verdicts else []
        table.add_row(*_opening_cells(record), *verdict, record.pipeline)
    return table


def _verdict(record: RunRecord) -> str:
    """Returns what became of a run's model in one word; nothing while that is open."""
    if record.decision is not None and not record.decision.trains:
        return "skipped"
    if record.probe is not None and not record.probe.passed:
        return "refused"
    return "forced" if record.force_blessed else {True: "yes", False: "no", None: ""}[record.blessed]


def _listing(widths: Mapping[str, int], last: str) -> PlainTable:
    """Returns a table without rows, whose last column alone is cut where there is no room."""
    table = PlainTable(space=1)
    for column, width in widths.items():
        table.add_column(column, no_wrap=True, min_width=width, justify="right" if column == "time" else "left")
    table.add_column(last, no_wrap=True, overflow="ellipsis")
    return table


def _opening_cells(record: RunRecord) -> tuple[str, Text, str]:
    return record.run_id, Text(record.state, _RUN_STYLES[record.state]), duration(record.seconds)
