"""What a report says first of a gate with a baseline, slices and force."""

from pathlib import Path

import pytest

from components.model_evaluator.gate import BoundResult, Comparison
from pipeline.config.loading import load_config
from pipeline.report.run_sections import run_verdict
from pipeline.runs.record import EvaluatedReference, ProbeRecord, RunRecord, RunState

CHANGE = {"metric": "mean_iou", "kind": "min_change", "bound": -0.01, "value": 0.7, "baseline": 0.75, "change": -0.05}
FEW = {"metric": "accuracy", "kind": "min", "bound": 0.9, "value": 0.1, "slice": {"label": "Bengal"}, "examples": 2}


@pytest.fixture
def record():
    record = RunRecord.begin("20260101-000000-000000", load_config(), Path("run.log"))
    record.state, record.blessed = RunState.COMPLETE, False
    record.thresholds = [
        BoundResult(**CHANGE, passed=False),
        BoundResult(**FEW, passed=False, gated=False),
    ]
    return record


def test_a_change_is_measured_against_its_bound_and_small_slices_are_no_reason(record):
    verdict = run_verdict(record)
    assert verdict.headline == "Not blessed"
    assert verdict.reason == ("The change of mean IoU is -0.0500, below the least allowed -0.01. Nothing was pushed.")
    [table] = verdict.blocks
    change, few = ([getattr(cell, "text", cell) for cell in row] for row in table.rows)
    assert {"not passed", "change ≥ -0.01", "−0.0400", "0.7500"} <= set(change)
    assert "too few examples (2) to count" in few


def test_force_is_said_with_its_reason_and_what_was_missed(record):
    record.force_blessed, record.pushed_model = "the old one leaks", "/serving/18"
    verdict = run_verdict(record)
    assert (verdict.tone, verdict.headline) == ("bad", "Not blessed, pushed by force")
    assert verdict.reason.startswith("The change of mean IoU is -0.0500, below")
    assert verdict.reason.endswith("blessed all the same: the old one leaks. It was pushed to /serving/18.")


@pytest.mark.parametrize(
    ("blessed", "beginning"),
    [
        (True, "The model keeps its one bound. It cannot"),
        (False, "The change of mean IoU"),
        (None, "It cannot be served"),
    ],
)
def test_what_cannot_be_served_is_the_first_that_is_said(record, blessed, beginning):
    record.blessed = blessed
    record.probe = ProbeRecord(refusals=["it is slow", "it is large"], measurements={"latency_p50_ms": 12_000.0})
    verdict = run_verdict(record)
    assert (verdict.tone, verdict.headline) == ("bad", "Refused by the probe")
    assert verdict.reason.startswith(beginning)
    assert verdict.reason.endswith("It cannot be served: it is slow; it is large. Nothing was pushed.")
    [row] = verdict.blocks[1].rows
    assert (row[1].text, row[1].tone, row[2]) == ("12,000.0", "bad", "10,000")


def test_the_cost_of_serving_is_shown_beside_the_budgets(record):
    record.probe = ProbeRecord(measurements={"load_seconds": 1.5, "memory_mb": 300.0, "max_difference": 0.0})
    record.settings["probe"]["max_memory_mb"] = None
    table = run_verdict(record).blocks[1]
    assert [[getattr(cell, "text", cell) for cell in row] for row in table.rows] == [
        ["seconds to load", "1.5", "120"],
        ["megabytes of memory", "300.0", "none"],
    ]


def compared(outcome, low, high, **more):
    numbers = {"examples": 40, "candidate": 0.75, "baseline": 0.74, "change": 0.01, "low": low, "high": high}
    return Comparison(**{"metric": "mean_iou", "outcome": outcome} | numbers | more)


def test_a_model_that_is_better_than_the_served_one_is_shown_beside_it(record):
    record.blessed, record.pushed_model = True, "/serving/18"
    record.comparison = compared("better", 0.002, 0.018)
    verdict = run_verdict(record)
    assert verdict.reason == (
        "The model keeps its one bound. Mean IoU is better beyond noise (+0.0100, +0.0020 to +0.0180). It was pushed "
        "to /serving/18."
    )
    [[metric, outcome, *numbers]] = verdict.blocks[1].rows
    assert (metric, outcome.text, outcome.tone) == ("mean IoU", "better", "good")
    assert numbers == ["0.7500", "0.7400", "+0.0100", "+0.0020 to +0.0180"]


@pytest.mark.parametrize("forced", [None, "the old one leaks"])
def test_a_model_that_is_no_better_says_so_beside_the_bounds_that_it_misses(record, forced):
    record.comparison, record.force_blessed = compared("equal", None, None, examples=3), forced
    verdict = run_verdict(record)
    assert verdict.reason.startswith(
        "The change of mean IoU is -0.0500, below the least allowed -0.01. Mean IoU is not better beyond noise "
        "(+0.0100, no interval), and the served model keeps its gate. "
    )
    [row] = verdict.blocks[1].rows
    assert (row[1].tone, row[-1]) == ("bad", "undefined")


def test_what_the_served_model_misses_stands_beside_an_equal_one(record):
    record.blessed = True
    miss = BoundResult(metric="mean_iou", kind="min", bound=0.8, value=0.74, passed=False)
    record.comparison = compared("equal", -0.01, 0.02, served_misses=[miss])
    verdict = run_verdict(record)
    assert "and the served model misses mean IoU 0.7400 < 0.8." in verdict.reason
    cell = verdict.blocks[1].rows[0][1]
    assert (cell.text, cell.detail, cell.tone) == ("equal", "the served model misses mean IoU", "good")


def test_a_served_model_of_other_classes_is_the_reason_and_no_row(record):
    record.thresholds, record.comparison = [], Comparison(metric="mean_iou", outcome="incomparable", obstacle="why")
    verdict = run_verdict(record)
    assert verdict.reason.startswith("The served model cannot be compared with (why), and is not replaced")
    assert verdict.reason.endswith(" petseg run --reset-baseline. Nothing was pushed.")
    assert verdict.blocks == []


def test_what_is_missed_on_the_reference_set_is_said_as_such(record):
    record.thresholds, record.blessed = [], True
    bound = BoundResult(metric="accuracy", kind="min", bound=0.9, value=0.8, passed=False)
    record.reference = EvaluatedReference(dataset="tiles/1.0.0 test", thresholds=[bound], blessed=False)
    verdict = run_verdict(record)
    assert verdict.headline == "Not blessed"
    assert verdict.reason == (
        "On the reference set: Accuracy is 0.8000, below the least allowed 0.9. Nothing was pushed."
    )
    [table] = verdict.blocks
    assert table.caption == "On the frozen reference set, tiles/1.0.0 test."
