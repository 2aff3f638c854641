"""What people read of the gate."""

from pathlib import Path

import pytest

from components.model_evaluator.gate import BoundResult, Comparison
from pipeline.config.loading import load_config
from pipeline.runs.record import BaselineRecord, EvaluatedReference, ProbeRecord, RunRecord
from pipeline.runs.tables import bound_line, comparison_text, gate_lines, verdict_line

CHANGE = {"metric": "mean_iou", "kind": "min_change", "bound": -0.01, "value": 0.7, "baseline": 0.75, "change": -0.05}


@pytest.fixture
def record():
    return RunRecord.begin("20260101-000000-000000", load_config(), Path("run.log"))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"metric": "accuracy", "kind": "min", "bound": 0.5, "value": 0.6, "passed": True, "labelled_share": 0.875},
            "accuracy 0.6000 ≥ 0.5: passed, 87.5% of the area is labelled",
        ),
        (
            {"metric": "loss", "kind": "max", "bound": 0.5, "value": 0.6, "passed": False},
            "loss 0.6000 ≤ 0.5: not passed",
        ),
        (
            {"metric": "accuracy", "kind": "min", "bound": 0.8, "value": None, "passed": False, "slice": {"a": "b"}},
            "accuracy (a = b) undefined ≥ 0.8: not passed",
        ),
        (
            CHANGE | {"passed": False, "within_noise": False},
            "mean IoU change -0.0500 (from 0.7500 to 0.7000) ≥ -0.01: not passed, a change beyond noise",
        ),
        (
            CHANGE | {"passed": False, "within_noise": True, "slice": {"a": "b"}, "gated": False, "examples": 4},
            "mean IoU change (a = b) -0.0500 (from 0.7500 to 0.7000) ≥ -0.01: not passed, does not count (4 examples), "
            "a change within noise",
        ),
        (CHANGE | {"passed": False, "change": None}, "mean IoU change undefined ≥ -0.01: not passed"),
    ],
)
def test_a_bound_is_a_line(fields, line):
    assert bound_line(BoundResult(**fields)) == line


def test_kept_bounds_on_slices_are_counted_and_the_missing_baseline_is_explained(record):
    kept = {"metric": "accuracy", "kind": "min", "bound": 0.5, "value": 0.6, "passed": True}
    record.thresholds = [BoundResult(**kept, slice={"a": value} if value else {}) for value in ("", "b", "c")]
    record.baseline = BaselineRecord(found=False, version=None, path=None, reason="no model is served in /s")
    record.blessed = True
    assert gate_lines(record) == [
        "accuracy 0.6000 ≥ 0.5: passed",
        "bounds on slices that passed: 2",
        "compared with no served model: no model is served in /s",
        "blessed",
    ]


def test_force_is_told_beside_what_did_not_pass(record):
    record.thresholds = [BoundResult(metric="accuracy", kind="min", bound=0.5, value=0.4, passed=False)]
    record.blessed, record.force_blessed = False, "the old one leaks"
    assert gate_lines(record) == [
        "accuracy 0.4000 ≥ 0.5: not passed (evaluation.thresholds.accuracy)",
        "not blessed by the gate, pushed by force: the old one leaks",
    ]


@pytest.mark.parametrize(
    ("override", "origin"),
    [
        ([], "of the preset pets; for a mere trial: --set evaluation.min_accuracy=none)"),
        (["evaluation.min_accuracy=0.9"], ""),
    ],
)
def test_a_missed_bound_says_which_setting_it_comes_from(override, origin):
    config = load_config(preset="pets", overrides=[*override, "evaluation.change_thresholds.loss.max=0.1"])
    record = RunRecord.begin("20260101-000000-000000", config, Path("run.log"))
    record.thresholds = [
        BoundResult(**bound.model_dump(), value=0.7, change=0.2, passed=False)
        for bound in config.evaluation.bounds()
        if bound.metric != "accuracy" or not bound.is_change
    ]
    least = config.evaluation.min_accuracy
    assert gate_lines(record) == [
        "accuracy gain 0.7000 ≥ 0.05: not passed (evaluation.min_accuracy_gain)",
        f"accuracy 0.7000 ≥ {least}: not passed (evaluation.min_accuracy{' ' if origin else ')'}{origin}",
        "loss change +0.2000 (from undefined to 0.7000) ≤ 0.1: not passed (evaluation.change_thresholds.loss)",
    ]


def test_the_origin_of_a_bound_is_not_made_up_for_runs_elsewhere(record):
    record.thresholds = [BoundResult(metric="accuracy", kind="min", bound=0.5, value=0.4, passed=False)]
    record.settings = {"parameters": {"min_accuracy": 0.5}}
    assert gate_lines(record) == ["accuracy 0.4000 ≥ 0.5: not passed"]


def test_every_reason_of_the_probe_is_a_line(record):
    record.blessed, record.probe = True, ProbeRecord(refusals=["it is slow", "it is large"])
    assert gate_lines(record) == [
        "blessed",
        "refused by the probe: it is slow",
        "refused by the probe: it is large",
        "it cannot be served: nothing was pushed",
    ]
    record.probe = ProbeRecord(measurements={"load_seconds": 1.0})
    assert gate_lines(record) == ["blessed"]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "nothing was evaluated"),
        ({"metrics": {"accuracy": 0.9}}, "no gate"),
        ({"blessed": True}, "blessed"),
        ({"blessed": True, "probe": ProbeRecord()}, "blessed"),
        ({"blessed": False}, "not blessed: accuracy 0.7100 < 0.8, loss 0.6000 > 0.5, mean IoU change is undefined"),
        ({"blessed": False, "force_blessed": "the old one is worse"}, "pushed by force: the old one is worse"),
        (
            {"blessed": False, "force_blessed": "x", "probe": ProbeRecord(refusals=["it is slow", "it is large"])},
            "refused by the probe: it is slow; it is large",
        ),
    ],
)
def test_the_verdict_is_a_line(record, fields, line):
    bounds = [
        {"metric": "accuracy", "kind": "min", "bound": 0.8, "value": 0.71, "passed": False},
        {"metric": "accuracy", "kind": "min", "bound": 0.9, "value": 0.71, "passed": False, "gated": False},
        {"metric": "loss", "kind": "max", "bound": 0.5, "value": 0.6, "passed": False},
        {"metric": "ece", "kind": "max", "bound": 0.5, "value": 0.1, "passed": True},
        CHANGE | {"passed": False, "change": None},
    ]
    record.thresholds = [BoundResult(**bound) for bound in bounds]
    for name, value in fields.items():
        setattr(record, name, value)
    assert verdict_line(record) == line


KEPT = {"metric": "accuracy", "kind": "min", "bound": 0.5, "value": 0.6, "passed": True}
MISS = {"metric": "mean_iou", "kind": "min", "bound": 0.7, "value": 0.61, "passed": False}
BETTER = {"change": 0.0123, "low": 0.0041, "high": 0.0207}
NOISE = {"change": 0.0012, "low": -0.005, "high": 0.0071}
FEW = {"change": 0.0012, "examples": 4}
GONE = {"obstacle": "version 17: its class_names are ['pet'], those of this run ['pet', 'sky']"}
NOT_REPLACED = (
    f"the served model cannot be compared with ({GONE['obstacle']}), and is not replaced by a retraining: to push once "
    "all the same, petseg run --reset-baseline"
)


def compared(outcome, numbers, *misses):
    misses = [BoundResult(**miss) for miss in misses]
    return Comparison(**{"metric": "mean_iou", "outcome": outcome, "examples": 40, "served_misses": misses} | numbers)


@pytest.mark.parametrize(
    ("comparison", "text", "verdict"),
    [
        (
            compared("better", BETTER),
            "mean IoU +0.0123 (+0.0041 to +0.0207): better beyond noise",
            "blessed: mean IoU is better beyond noise (+0.0123, +0.0041 to +0.0207)",
        ),
        (
            compared("worse", {"change": -0.0123, "low": -0.02, "high": -0.0041}, MISS),
            "mean IoU -0.0123 (-0.0200 to -0.0041): worse beyond noise",
            "not blessed: mean IoU is worse beyond noise (-0.0123, -0.0200 to -0.0041)",
        ),
        (
            compared("equal", NOISE),
            "mean IoU +0.0012 (-0.0050 to +0.0071): within noise, and the served model keeps its gate",
            "not blessed: mean IoU is not better beyond noise (+0.0012, -0.0050 to +0.0071), and the served model "
            "keeps its gate",
        ),
        (
            compared("equal", NOISE, MISS),
            "mean IoU +0.0012 (-0.0050 to +0.0071): within noise, and the served model misses mean IoU 0.6100 < 0.7",
            "blessed: mean IoU is not better beyond noise (+0.0012, -0.0050 to +0.0071), and the served model misses "
            "mean IoU 0.6100 < 0.7",
        ),
        (
            compared("equal", FEW),
            "mean IoU +0.0012: no interval of 4 images with labels, so that noise may explain it, and the served model "
            "keeps its gate",
            "not blessed: mean IoU is not better beyond noise (+0.0012, no interval), and the served model keeps its "
            "gate",
        ),
        (
            compared("equal", {"examples": 1}),
            "mean IoU undefined: no interval of 1 image with labels, so that noise may explain it, and the served "
            "model keeps its gate",
            "not blessed: mean IoU is not better beyond noise (undefined, no interval), and the served model keeps its "
            "gate",
        ),
        (compared("incomparable", GONE), NOT_REPLACED, f"not blessed: {NOT_REPLACED}"),
    ],
)
def test_how_a_model_stands_to_the_served_one_is_told_with_its_numbers(record, comparison, text, verdict):
    record.thresholds, record.comparison, record.blessed = [BoundResult(**KEPT)], comparison, comparison.passes
    assert comparison_text(comparison) == text
    assert verdict_line(record) == verdict
    record.baseline = BaselineRecord(found=not comparison.obstacle, version="17", path="/serving/17", reason="why")
    line = f"against the served model: {text}{'' if comparison.passes else ' (retraining.better_in)'}"
    assert gate_lines(record) == [
        "accuracy 0.6000 ≥ 0.5: passed",
        text if comparison.obstacle else line,
        "blessed" if comparison.passes else "not blessed: nothing was pushed",
    ]


def test_a_better_model_that_misses_a_bound_is_refused_for_that_alone(record):
    record.thresholds, record.blessed = [BoundResult(**MISS)], False
    record.comparison = compared("better", BETTER)
    assert verdict_line(record) == "not blessed: mean IoU 0.6100 < 0.7"


def test_bounds_on_the_reference_set_are_lines_of_their_own(record):
    kept = {"metric": "accuracy", "kind": "min", "bound": 0.5, "value": 0.6, "passed": True}
    missed = kept | {"metric": "mean_iou", "bound": 0.7, "passed": False}
    record.thresholds, record.blessed = [BoundResult(**kept)], True
    of_reference = [BoundResult(**kept), BoundResult(**kept, slice={"a": "b"}), BoundResult(**missed)]
    record.reference = EvaluatedReference(dataset="tiles/1.0.0 test", thresholds=of_reference, blessed=False)
    assert gate_lines(record) == [
        "accuracy 0.6000 ≥ 0.5: passed",
        "reference accuracy 0.6000 ≥ 0.5: passed",
        "reference mean IoU 0.6000 ≥ 0.7: not passed (evaluation.thresholds.mean_iou)",
        "bounds on slices of the reference set that passed: 1",
        "not blessed: nothing was pushed",
    ]
    assert verdict_line(record) == "not blessed: reference mean IoU 0.6000 < 0.7"
