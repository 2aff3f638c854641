"""What a report says of the run itself: first what came of it and why, last what ran."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from components.model_evaluator.gate import BoundResult, Comparison, Outcome
from pipeline.nodes import PUSHER
from pipeline.report import charts
from pipeline.report.blocks import HATCHED, Block, Cell, Figure, Figures, Note, Section, Table, Tone, Verdict
from pipeline.report.facts import Missing, RunFacts, SplitStatistics
from pipeline.runs.record import DatasetRecord, EvaluatedReference, NodeState, ProbeRecord, RunRecord, RunState
from pipeline.runs.tables import comparison_clause, duration
from pipeline.terminal.tables import labelled_area, metric_value, readable_metric
from trainer_module.model_card import EncoderWeights

_MOST_DRAWN_VALUES: Final = 12
_KIBIBYTE: Final = 1024


def run_verdict(record: RunRecord) -> Verdict:
    """Returns what came of a run, with each bound of the gate."""
    tables = [thresholds_table(record.thresholds)] if record.thresholds else []
    if record.comparison is not None and record.comparison.outcome is not Outcome.INCOMPARABLE:
        tables.append(comparison_table(record.comparison))
    tables += _reference_tables(record.reference) if record.reference else []
    tables += [probe_table(record.probe, record.settings.get("probe", {}))] if record.probe else []
    if record.state in (RunState.FAILED, RunState.INTERRUPTED):
        ended = next((node.id for node in record.nodes if node.state.value == record.state.value), None)
        where = f" in {ended}" if ended else ""
        return Verdict("bad", f"{record.state.capitalize()}{where}", record.error or "No reason was recorded.", tables)
    if record.state is RunState.RUNNING:
        return Verdict("neutral", "Running", "The run goes on; this is what is known so far.", tables)
    if record.decision is not None and not record.decision.trains:
        why = "; ".join(record.decision.notes)
        return Verdict("neutral", "Not trained: no reason to", f"{why[0].upper()}{why[1:]}." if why else "", tables)
    if record.probe is not None and not record.probe.passed:
        return Verdict("bad", "Refused by the probe", _refused(record), tables)
    if record.blessed is None:
        return Verdict("neutral", "Complete, without a verdict", _without_gate(record), tables)
    if record.force_blessed is not None:
        why = f"{_missed(record)} It was blessed all the same: {record.force_blessed}. {_pushed(record)}"
        return Verdict("bad", "Not blessed, pushed by force", why, tables)
    if record.blessed:
        return Verdict("good", "Blessed", f"{_kept(record)} {_pushed(record)}", tables)
    return Verdict("bad", "Not blessed", f"{_missed(record)} Nothing was pushed.", tables)


def thresholds_table(thresholds: Sequence[BoundResult]) -> Table:
    """Returns each bound of the gate beside the value; with the baseline's where there is one."""
    has_slices = any(threshold.slice for threshold in thresholds)
    has_baseline = any(threshold.baseline is not None for threshold in thresholds)
    has_unlabelled = any(threshold.is_partly_labelled for threshold in thresholds)
    columns = ["bound on", *(["of"] if has_slices else []), "verdict", "value", "bound", "margin"]
    columns += [*(["baseline"] if has_baseline else []), *(["labelled area"] if has_unlabelled else [])]
    rows: list[list[str | Cell]] = []
    for threshold in thresholds:
        row: list[str | Cell] = [readable_metric(threshold.metric)]
        if has_slices:
            row.append(_slice(threshold) or "all images")
        sign = f"{'change ' if threshold.is_change else ''}{'≥' if threshold.is_least else '≤'}"
        row += [
            _cell(threshold),
            metric_value(threshold.value, threshold.metric),
            f"{sign} {threshold.bound:g}",
            _margin(threshold),
        ]
        if has_baseline:
            row.append("" if threshold.baseline is None else metric_value(threshold.baseline))
        if has_unlabelled:
            row.append(labelled_area(threshold.labelled_share))
        rows.append(row)
    return Table(columns, rows, words=("of", "verdict"))


def comparison_table(comparison: Comparison) -> Table:
    """Returns the metric in which the model must be better than the served one, of both."""
    tone: Tone = "good" if comparison.passes else "bad"
    misses = [bound.name for bound in comparison.served_misses]
    served = f"the served model misses {', '.join(map(readable_metric, misses))}" if misses else ""
    has_interval = comparison.low is not None and comparison.high is not None
    row: list[str | Cell] = [
        readable_metric(comparison.metric),
        Cell(comparison.outcome, served, tone=tone),
        metric_value(comparison.candidate),
        metric_value(comparison.baseline),
        "undefined" if comparison.change is None else f"{comparison.change:+.4f}",
        f"{comparison.low:+.4f} to {comparison.high:+.4f}" if has_interval else "undefined",
    ]
    caption = (
        f"The model beside the served one on the same {comparison.examples:,} images with labels. Better or worse is a "
        "difference whose 95 % interval, paired by image, does not contain 0; a model that is equal replaces one that "
        "misses a bound of the gate."
    )
    columns = ["must be better in", "verdict", "new", "served", "difference", "95 % interval"]
    return Table(columns, [row], caption, words=("verdict",))


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


def what_ran(facts: RunFacts) -> Section:
    """Returns the section on settings, components and machine."""
    every = [[setting.key, setting.value] for setting in facts.settings]
    folded = Table(["setting", "value"], every, words=("value",), folded=f"All {len(every)} settings")
    settings = [settings_table(facts), folded] if every else [Note("No settings were recorded.")]
    return Section("What ran", [overview_table(facts), *settings, *_components(facts)])


def data_section(facts: RunFacts) -> Section:
    """Returns the section on the data: its splits, what StatisticsGen measured, and what ExampleValidator found."""
    blocks: list[Block] = []
    if facts.record.dataset is None:
        blocks.append(Note("The run ended before its data was read."))
    elif facts.record.dataset.class_pixels:
        blocks.append(_class_shares(facts.record.dataset, facts.class_names))
    statistics = _in_order_of_record(facts)
    if isinstance(statistics, Missing):
        blocks.append(Note(f"No statistics of the data. {statistics.reason}"))
    else:
        blocks += [_sizes_table(statistics), *_distributions(statistics)]
    blocks.append(anomalies_block(facts))
    return Section("Data", blocks)


def overview_table(facts: RunFacts) -> Table:
    """Returns the foremost facts of a run: name, time, data, code, packages, machine."""
    record, environment = facts.record, facts.record.environment
    rows = [
        ["pipeline", record.pipeline + (f" (preset {record.preset})" if record.preset else "")],
        _times(record),
    ]
    if record.dataset is not None:
        rows.append(["data", record.dataset.summary])
    if record.parameters is not None:
        model = record.settings.get("trainer", {}).get("model", "")
        rows.append(["network", f"U-Net {model!r}, {record.parameters:,} parameters"])
    if isinstance(facts.encoder, EncoderWeights):
        rows += [["encoder", facts.encoder.encoder], ["encoder's weights", facts.encoder.summary]]
    if environment is not None:
        versions = [f"{name} {version}" for name, version in environment.versions.items()]
        cores = f"{environment.cores} core{'' if environment.cores == 1 else 's'}"
        rows += [
            ["code", f"digest {environment.code_digest}"],
            ["packages", ", ".join(versions)],
            ["machine", f"{environment.cpu}, {cores}, {environment.memory_gib:g} GiB of memory"],
            ["GPU", ", ".join(environment.gpus) or "none"],
        ]
    else:
        rows.append(["code and machine", "not recorded"])
    return Table(["fact", "value"], rows, words=("value",))


def _times(record: RunRecord) -> list[str]:
    """Returns when the run started, and how long it took; in a pod neither is known, only when it was reported."""
    moment = f"{record.started:%Y-%m-%d %H:%M:%S} UTC"
    return ["started", f"{moment}, took {duration(record.seconds)}"] if record.seconds else ["reported", moment]


def settings_table(facts: RunFacts) -> Table | Note:
    """Returns the settings that differ from the defaults, or a note that there is none."""
    rows = [[setting.key, setting.value, setting.default] for setting in facts.changed_settings]
    if not rows:
        return Note("All settings are the defaults.")
    return Table(["setting", "value", "default"], rows, "Settings that differ from the defaults.", ("value", "default"))


def anomalies_block(facts: RunFacts) -> Note | Table:
    """Returns what ExampleValidator found."""
    if isinstance(facts.anomalies, Missing):
        return Note(f"No check of the data against its schema. {facts.anomalies.reason}")
    if not facts.anomalies:
        return Note("ExampleValidator found no anomaly: every split is as the schema says.")
    rows: list[list[str | Cell]] = [
        [found.feature, found.split, Cell(found.severity, tone="bad"), found.description] for found in facts.anomalies
    ]
    columns = ["feature", "split", "severity", "what is wrong"]
    return Table(columns, rows, "Anomalies: where a split is not as the schema says.", columns)


def _refused(record: RunRecord) -> str:
    probe, gate = record.probe, ""
    if record.blessed is not None:
        gate = _kept(record) if record.blessed else _missed(record)
    refusals = "; ".join(probe.refusals) if probe else ""
    return f"{gate} It cannot be served: {refusals}. Nothing was pushed.".strip()


def _reference_tables(reference: EvaluatedReference) -> list[Table]:
    caption = f"On the frozen reference set, {reference.dataset}."
    tables = [thresholds_table(reference.thresholds)] if reference.thresholds else []
    if reference.comparison is not None and reference.comparison.outcome is not Outcome.INCOMPARABLE:
        tables.append(comparison_table(reference.comparison))
    return [dataclasses.replace(table, caption=caption) for table in tables]


def _cell(threshold: BoundResult) -> Cell:
    if not threshold.gated:
        return Cell(f"too few examples ({threshold.labelled_examples}) to count", tone="neutral")
    return Cell("passed", tone="good") if threshold.passed else Cell("not passed", tone="bad")


def _slice(threshold: BoundResult) -> str:
    return ", ".join(f"{feature} {value}" for feature, value in threshold.slice.items())


def _margin(threshold: BoundResult) -> str:
    """Writes how far the value is on the right side of the bound."""
    if threshold.number is None:
        return ""
    margin = threshold.number - threshold.bound
    return f"{margin if threshold.is_least else -margin:+.4f}".replace("-", "−")


def _kept(record: RunRecord) -> str:
    count = sum(threshold.gated for threshold in record.thresholds)
    bounds = {1: "its one bound", 2: "both bounds"}.get(count, f"all {count} bounds")
    sentences = [f"The model keeps {bounds}."] if count or record.comparison is None else []
    if record.comparison is not None:
        sentences.append(_sentence(comparison_clause(record.comparison)))
    if record.reference is not None and record.reference.blessed:
        sentences.append("So it does on the reference set.")
    return " ".join(sentences)


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def _missed(record: RunRecord) -> str:
    """Returns what is missed on the evaluated split, then on the reference set."""
    sentences = _missed_on(record.thresholds, record.comparison)
    reference = record.reference
    of_reference = _missed_on(reference.thresholds, reference.comparison) if reference else []
    return " ".join([*sentences, *(["On the reference set:"] if of_reference else []), *of_reference])


def _missed_on(thresholds: Sequence[BoundResult], comparison: Comparison | None) -> list[str]:
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
        value = metric_value(threshold.number, threshold.metric)
        sentences.append(f"{subject} is {value}, {missed} {threshold.bound:g}.")
    if comparison is not None and not comparison.passes:
        sentences.append(_sentence(comparison_clause(comparison)))
    return sentences


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


def _in_order_of_record(facts: RunFacts) -> Sequence[SplitStatistics] | Missing:
    """Returns the statistics with the splits in the order in which the run has them."""
    if isinstance(facts.statistics, Missing) or facts.record.dataset is None:
        return facts.statistics
    order = list(facts.record.dataset.splits)
    return sorted(facts.statistics, key=lambda found: order.index(found.split) if found.split in order else len(order))


def _components(facts: RunFacts) -> list[Block]:
    nodes = facts.record.nodes
    if not nodes:
        return [Note("The run ended before its first component.")]
    timed = [(node.id, node.seconds, node.state.value) for node in nodes if node.seconds is not None]
    rows = [[node.id, node.state.value, duration(node.seconds), node.summary] for node in nodes]
    table = Table(["component", "state", "time", "what it produced"], rows, words=("state", "what it produced"))
    if not timed:
        return [table]
    caption = "Where the time went. A cached component repeats the result of an earlier run and takes next to none."
    return [Figures([Figure(charts.seconds_chart("seconds", timed), caption)]), table]


def _class_shares(dataset: DatasetRecord, class_names: Sequence[str]) -> Table:
    rows: list[list[str | Cell]] = []
    for class_id, name in enumerate(class_names):
        shares = [pixels[class_id] / sum(pixels) for pixels in dataset.class_pixels.values()]
        rows.append([name, *(f"{share:.2%}" if share else Cell("none", tone="bad") for share in shares)])
    caption = (
        "Share of each class in the pixels of the masks. One that train lacks cannot be learned; one that the "
        "evaluated split lacks is not measured."
    )
    if dataset.not_labelled_shares:
        caption += " Shares of classes are of the labelled pixels; the last row is of all."
        rows.append(
            [Cell("not labelled", swatch=HATCHED), *(f"{share:.2%}" for share in dataset.not_labelled_shares.values())]
        )
    return Table(["class", *dataset.class_pixels], rows, caption)


def _sizes_table(statistics: Sequence[SplitStatistics]) -> Table:
    names = list(statistics[0].sizes)
    rows = []
    for split in statistics:
        sizes = [split.sizes[name] for name in names]
        written = [
            " / ".join(f"{size / _KIBIBYTE:.1f}" for size in (each.least, each.mean, each.most)) for each in sizes
        ]
        rows.append([split.split, f"{split.examples:,}", *written])
    caption = (
        "Examples of each split, and the least / mean / greatest size of their encoded files in KiB. A file much "
        "smaller or larger than the mean is often truncated, or of another resolution."
    )
    return Table(["split", "examples", *(name.replace("_", " ") for name in names)], rows, caption)


def _distributions(statistics: Sequence[SplitStatistics]) -> list[Block]:
    """Returns how each slice feature is distributed; one of many values is cut to the most frequent."""
    figures: list[Figure] = []
    names = dict.fromkeys(name for split in statistics for name in split.values)
    for name in names:
        shares = {
            split.split: {value: count / split.examples for value, count in split.values[name].items()}
            for split in statistics
            if split.values.get(name) and split.examples
        }
        if not shares:
            continue
        every = list(dict.fromkeys(value for of_values in shares.values() for value in of_values))
        shown = every[:_MOST_DRAWN_VALUES]
        drawn = {split: {value: share.get(value, 0.0) for value in shown} for split, share in shares.items()}
        cut = f" The {len(shown)} most frequent of {len(every)} values." if len(shown) < len(every) else ""
        caption = f"Distribution of “{name}”.{cut} Bars of one value should be about as long in every split."
        figures.append(Figure(charts.label_chart(f"labels-{len(figures)}", name, drawn), caption))
    return [Figures(figures)] if figures else []
