"""What a report says of drift: how far the data is from what the served model was trained on, and in what."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from components.drift_detector.report import LABELS, Comparison, DriftVerdict, QuantityDrift
from pipeline.report import charts
from pipeline.report.blocks import Block, Cell, Figure, Figures, Note, Section, Table, Tone
from pipeline.report.facts import Missing, RunFacts

_BEFORE: Final = "trained on"
_NOW: Final = "now"
_TONES: Final[dict[DriftVerdict, Tone]] = {
    DriftVerdict.DRIFTED: "bad",
    DriftVerdict.CHANCE: "neutral",
    DriftVerdict.SAME: "good",
}
_MOST_DRAWN: Final = 12
_MOST_DRAWN_VALUES: Final = 12


def drift_section(facts: RunFacts) -> Section:
    """Returns the section on drift, also where nothing was compared."""
    found = facts.drift
    if isinstance(found, Missing):
        return Section("Drift", [Note(f"The data was not compared with what a model was trained on. {found.reason}")])
    lost = [Note(f"{found.loss[0].upper()}{found.loss[1:]}.")] if found.losses else []
    if found.reason:
        told = f" {found.relearnt_words}: data.duplicates accepts that." if found.relearnt else ""
        reason = f"The data was not compared with what the served model was trained on: {found.reason}."
        return Section("Drift", [*lost, Note(f"{reason}{told}")])
    summary = Note(f"{found.summary[0].upper()}{found.summary[1:]}.")
    return Section("Drift", [*lost, summary, *comparison_blocks(found.comparison)])


def comparison_blocks(comparison: Comparison) -> list[Block]:
    """Returns the distances of all quantities, and the distributions of those that are nearest to their bounds."""
    ordered = sorted(comparison.quantities, key=lambda one: one.bound - one.distance)
    drawn = [one for one in ordered if one.distance > 0][:_MOST_DRAWN]
    figures = [Figure(_chart(f"drift-{index}", one), _caption(one)) for index, one in enumerate(drawn)]
    blocks: list[Block] = [_distances(ordered, comparison)]
    if comparison.not_compared:
        blocks.append(Note(f"Not compared: {', '.join(comparison.not_compared)}."))
    return blocks + ([Figures(figures)] if figures else [])


def _distances(quantities: Sequence[QuantityDrift], comparison: Comparison) -> Table:
    rows: list[list[str | Cell]] = [
        [
            one.name,
            Cell(one.verdict, tone=_TONES[one.verdict]),
            f"{one.distance:.3f}",
            f"{one.threshold:.3g}",
            f"{one.chance:.3f}",
            one.change,
        ]
        for one in quantities
    ]
    caption = (
        f"Jensen–Shannon distance, 0 to 1, of the {comparison.current_examples:,} examples of train to the "
        f"{comparison.reference_examples:,} that the served model was trained on. It is drift above the threshold and "
        "above what chance exceeds once in a thousand times."
    )
    columns = ["quantity", "verdict", "distance", "threshold", "by chance", "mean, or share"]
    return Table(columns, rows, caption, words=("verdict", "mean, or share"))


def _caption(one: QuantityDrift) -> str:
    what = f"Values of “{one.name}”" if one.setting == LABELS else one.name[0].upper() + one.name[1:]
    is_cut = one.setting == LABELS and len(one.bins) > _MOST_DRAWN_VALUES
    cut = f" The {_MOST_DRAWN_VALUES} of {len(one.bins)} values that changed most." if is_cut else ""
    return f"{what}: {one.change}; distance {one.distance:.3f}{', drifted' if one.drifted else ''}.{cut}"


def _chart(name: str, one: QuantityDrift) -> str:
    before, now = (np.array(counts) / sum(counts) for counts in (one.reference, one.current))
    if one.setting == LABELS:
        shown = np.sort(np.argsort(-np.abs(before - now), kind="stable")[:_MOST_DRAWN_VALUES])
        of_samples = {
            label: {one.bins[index]: shares[index] for index in shown}
            for label, shares in ((_BEFORE, before), (_NOW, now))
        }
        return charts.label_chart(name, one.name, of_samples)
    filled = np.flatnonzero(before + now)
    part = slice(filled[0], filled[-1] + 1)
    return charts.compared_histogram(
        name, one.name, one.bins[part], {_BEFORE: before[part].tolist(), _NOW: now[part].tolist()}
    )
