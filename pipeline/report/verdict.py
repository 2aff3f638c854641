"""The first thing a report says: what came of the run, and why."""

from collections.abc import Mapping, Sequence

from components.model_evaluator.gate import BoundResult
from pipeline.nodes import PUSHER
from pipeline.report.blocks import Cell, Table, Verdict
from pipeline.runs.record import NodeState, ProbeRecord, RunRecord, RunState
from pipeline.runs.tables import duration
from pipeline.terminal.tables import metric_value, readable_metric


def run_verdict(record: RunRecord) -> Verdict:
    """Returns what came of a run, with each bound of the gate."""
    tables = [thresholds_table(record.thresholds)] if record.thresholds else []
    tables += [probe_table(record.probe, record.settings.get("probe", {}))] if record.probe else []
    if record.state in (RunState.FAILED, RunState.INTERRUPTED):
        ended = next((node.id for node in record.nodes if node.state.value == record.state.value), None)
        where = f" in {ended}" if ended else ""
        return Verdict("bad", f"{record.state.capitalize()}{where}", record.error or "No reason was recorded.", tables)
    if record.state is RunState.RUNNING:
        return Verdict("neutral", "Running", "The run goes on; this is what is known so far.", tables)
    if record.probe is not None and not record.probe.passed:
        return Verdict("bad", "Refused by the probe", _refused(record), tables)
    if record.blessed is None:
        return Verdict("neutral", "Complete, without a verdict", _without_gate(record), tables)
    if record.force_blessed is not None:
        why = f"{_missed(record.thresholds)} It was blessed all the same: {record.force_blessed}. {_pushed(record)}"
        return Verdict("bad", "Not blessed, pushed by force", why, tables)
    if record.blessed:
        return Verdict("good", "Blessed", f"{_kept(record.thresholds)} {_pushed(record)}", tables)
    return Verdict("bad", "Not blessed", f"{_missed(record.thresholds)} Nothing was pushed.", tables)


def thresholds_table(thresholds: Sequence[BoundResult]) -> Table:
    """Returns each bound of the gate beside the value; with the baseline's where there is one."""
    has_slices = any(threshold.slice for threshold in thresholds)
    has_baseline = any(threshold.baseline is not None for threshold in thresholds)
    columns = ["bound on", *(["of"] if has_slices else []), "verdict", "value", "bound", "margin"]
    columns += ["baseline"] if has_baseline else []
    rows: list[list[str | Cell]] = []
    for threshold in thresholds:
        row: list[str | Cell] = [readable_metric(threshold.metric)]
        if has_slices:
            row.append(_slice(threshold) or "all images")
        sign = f"{'change ' if threshold.is_change else ''}{'≥' if threshold.is_least else '≤'}"
        row += [_cell(threshold), metric_value(threshold.value), f"{sign} {threshold.bound:g}", _margin(threshold)]
        if has_baseline:
            row.append("" if threshold.baseline is None else metric_value(threshold.baseline))
        rows.append(row)
    return Table(columns, rows, words=("of", "verdict"))


def probe_table(probe: ProbeRecord, budgets: Mapping[str, float | None]) -> Table:
    """Returns what serving costs beside the budgets."""
    names = {
        "load_seconds": "seconds to load",
        "latency_p50_ms": "milliseconds for one image, half of the requests",
        "latency_p99_ms": "milliseconds for one image, 99 of 100 requests",
        "memory_mb": "megabytes of memory",
    }
    rows: list[list[str | Cell]] = []
    for name, words in names.items():
        measured, budget = probe.measurements.get(name), budgets.get(f"max_{name}")
        if measured is not None:
            over = budget is not None and measured > budget
            rows.append(
                [
                    words,
                    Cell(f"{measured:,.1f}", tone="bad" if over else "good"),
                    "none" if budget is None else f"{budget:,g}",
                ]
            )
    return Table(["cost of serving", "measured", "budget"], rows)


def _refused(record: RunRecord) -> str:
    probe, gate = record.probe, ""
    if record.blessed is not None:
        gate = _kept(record.thresholds) if record.blessed else _missed(record.thresholds)
    refusals = "; ".join(probe.refusals) if probe else ""
    return f"{gate} It cannot be served: {refusals}. Nothing was pushed.".strip()


def _cell(threshold: BoundResult) -> Cell:
    if not threshold.gated:
        return Cell(f"too few examples ({threshold.examples}) to count", tone="neutral")
    return Cell("passed", tone="good") if threshold.passed else Cell("not passed", tone="bad")


def _slice(threshold: BoundResult) -> str:
    return ", ".join(f"{feature} {value}" for feature, value in threshold.slice.items())


def _margin(threshold: BoundResult) -> str:
    """Writes how far the value is on the right side of the bound."""
    if threshold.number is None:
        return ""
    margin = threshold.number - threshold.bound
    return f"{margin if threshold.is_least else -margin:+.4f}".replace("-", "−")


def _kept(thresholds: Sequence[BoundResult]) -> str:
    count = sum(threshold.gated for threshold in thresholds)
    bounds = {1: "its one bound", 2: "both bounds"}.get(count, f"all {count} bounds")
    return f"The model keeps {bounds}."


def _missed(thresholds: Sequence[BoundResult]) -> str:
    sentences = []
    for threshold in thresholds:
        if threshold.passed or not threshold.gated:
            continue
        metric = readable_metric(threshold.metric)
        subject = f"The change of {metric}" if threshold.is_change else metric[0].upper() + metric[1:]
        subject += f" of {_slice(threshold)}" if _slice(threshold) else ""
        if threshold.number is None:
            sentences.append(f"{subject} is undefined, so that its bound cannot hold.")
            continue
        missed = "below the least allowed" if threshold.is_least else "above the most allowed"
        sentences.append(f"{subject} is {metric_value(threshold.number)}, {missed} {threshold.bound:g}.")
    return " ".join(sentences)


def _pushed(record: RunRecord) -> str:
    if record.pushed_model is not None:
        return f"It was pushed to {record.pushed_model}."
    pusher = next((node for node in record.nodes if node.id == PUSHER), None)
    return f"Nothing was pushed: {pusher.summary.removeprefix('nothing: ')}." if pusher and pusher.summary else ""


def _without_gate(record: RunRecord) -> str:
    if record.metrics:
        return "The model was evaluated, and no bound was set."
    skipped = [node.id for node in record.nodes if node.state in (NodeState.SKIPPED, NodeState.PENDING)]
    done = f"The run ended after {duration(record.seconds)}."
    return (
        f"{done} It left out {', '.join(skipped)}; nothing was evaluated."
        if skipped
        else f"{done} Nothing was evaluated."
    )
