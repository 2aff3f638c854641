"""What people are told of a run."""

import socket
from pathlib import Path

import pytest

from components.model_evaluator.gate import BoundResult, Comparison
from pipeline.config.notification import NotificationConfig
from pipeline.notifications.message import firing_message, outcome_of, run_message
from pipeline.runs.record import BaselineRecord, NodeRecord, NodeState, ProbeRecord, RunState

SETTINGS = NotificationConfig()
HERE = f" on {socket.gethostname()}"


def facts(message) -> dict[str, str]:
    return {fact.name: fact.text for fact in message.facts}


def test_all_that_is_known_of_a_pushed_model_is_told(record):
    message = run_message(record, "/runs/report.html", SETTINGS, schedule="nightly")
    assert (outcome_of(record), message.tone) == ("pushed", "good")
    assert message.subject == "petseg-demo: Blessed and pushed"
    assert message.reason == "The model keeps both bounds. It was pushed to /serving/18."
    found = facts(message)
    assert found.pop("started").endswith(" UTC, took 1 m 15 s")
    assert found == {
        "run": "20260102-030405-000001 of petseg-demo (preset demo)",
        "schedule": "nightly",
        "data": "tiles 1.1.0: 34 train, 4 eval",
        "accuracy": "0.9265 (95 % interval 0.9240 to 0.9290)",
        "mean IoU": "0.7903 (95 % interval 0.7850 to 0.7950)",
        "against the served model": "version 17: accuracy +0.0012, from 0.9253 to 0.9265, within noise",
        "drift": "in brightness 0.314 (Jensen–Shannon distance)",
        "pushed": "/serving/18",
    }
    assert [(place.name, place.text) for place in message.places] == [
        ("report", f"/runs/report.html{HERE}"),
        ("log", f"{record.log}{HERE}"),
    ]


def test_what_the_gate_missed_is_told(record):
    record.blessed, record.pushed_model = False, None
    record.thresholds = [BoundResult(metric="accuracy", kind="min", bound=0.95, value=0.92654, passed=False)]
    message = run_message(record, None, SETTINGS)
    assert (outcome_of(record), message.tone, message.subject) == ("refused", "bad", "petseg-demo: Not blessed")
    assert message.reason == "Accuracy is 0.9265, below the least allowed 0.95. Nothing was pushed."
    assert facts(message)["against the served model"] == "version 17: no bound asks for a change"
    assert [place.name for place in message.places] == ["log"]


def test_what_decided_against_the_served_model_comes_first(record):
    record.blessed, record.pushed_model = False, None
    record.comparison = Comparison(metric="mean_iou", outcome="worse", change=-0.02, low=-0.03, high=-0.01)
    message = run_message(record, None, SETTINGS)
    assert message.reason == ("Mean IoU is worse beyond noise (-0.0200, -0.0300 to -0.0100). Nothing was pushed.")
    assert facts(message)["against the served model"] == (
        "version 17: mean IoU -0.0200 (-0.0300 to -0.0100): worse beyond noise; accuracy +0.0012, from 0.9253 to "
        "0.9265, within noise"
    )


def test_a_failure_is_told_with_its_component(record):
    record.nodes = [NodeRecord(id="Trainer", state=NodeState.FAILED)]
    record.state, record.error, record.metrics = RunState.FAILED, "the disk is full", {}
    message = run_message(record, None, SETTINGS)
    assert (message.tone, message.subject) == ("bad", "petseg-demo: Failed in Trainer")
    assert message.reason == "the disk is full"
    assert "accuracy" not in facts(message)


def test_without_a_served_model_the_reason_is_told(record):
    record.baseline = BaselineRecord(found=False, version=None, path=None, reason="nothing is served yet")
    assert (
        facts(run_message(record, None, SETTINGS))["against the served model"] == "not compared: nothing is served yet"
    )


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"state": RunState.INTERRUPTED}, "interrupted"),
        ({"blessed": False}, "refused"),
        ({"blessed": False, "force_blessed": "why"}, "pushed"),
        ({"probe": ProbeRecord(refusals=["slow"])}, "refused"),
        ({"pushed_model": None}, "done"),
    ],
)
def test_the_outcome_is_that_of_the_exit_code(record, changes, outcome):
    for name, value in changes.items():
        setattr(record, name, value)
    assert outcome_of(record) == outcome


def test_a_report_is_where_others_find_it(record):
    record.pipeline = "a/b"
    settings = NotificationConfig(report_url="https://reports.test/{pipeline}/{run_id}/report.html")
    message = run_message(record, "/runs/report.html", settings)
    assert message.report == "https://reports.test/a%2Fb/20260102-030405-000001/report.html"
    assert run_message(record, None, settings).report is None
    assert run_message(record, "minio://bucket/report", SETTINGS).report == "minio://bucket/report"


def test_a_pod_knows_no_time_and_no_log(record):
    record.seconds, record.log = 0.0, ""
    message = run_message(record, "minio://bucket/report", SETTINGS)
    assert "started" not in facts(message)
    assert [place.name for place in message.places] == ["report"]


def test_a_firing_without_a_run_names_its_schedule():
    message = firing_message("nightly", "failed", "trainer.epoch: unknown", Path("/root/schedule.log"))
    assert message.subject == "schedule nightly: The run could not start"
    assert (message.tone, message.log) == ("bad", f"/root/schedule.log{HERE}")
    assert firing_message("nightly", "skipped", "", Path("x")).tone == "neutral"
