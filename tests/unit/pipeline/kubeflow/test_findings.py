"""What a component found, as a line of its pod's log."""

from datetime import UTC, datetime

from components.model_evaluator.gate import BoundResult
from pipeline.kubeflow import pod_output
from pipeline.kubeflow.findings import Findings, findings_in
from pipeline.runs.outputs import NodeFacts
from pipeline.runs.record import DatasetRecord, NodeRecord, RunRecord

BOUND = BoundResult(metric="accuracy", kind="min", bound=0.9, value=0.8, passed=False)
FACTS = NodeFacts(
    "accuracy 0.8000: not blessed",
    {
        "metrics": {"accuracy": 0.8, "iou/border": None},
        "distributions": {"confusion": [[1]] * 10_000},
        "slices": [{"a": 1}],
        "thresholds": [BOUND],
        "blessed": False,
        "force_blessed": None,
    },
)


def record() -> RunRecord:
    return RunRecord(run_id="r", pipeline="p", preset=None, started=datetime(2026, 1, 1, tzinfo=UTC), log="")


def log_of(facts: NodeFacts, capsys) -> str:
    pod_output.say("Evaluator", "starting")
    pod_output.say("Evaluator", Findings.of(facts).line())
    pod_output.say("Evaluator", "done")
    return capsys.readouterr().out


def test_what_is_found_gets_from_the_pod_into_the_record(capsys):
    found, node = record(), NodeRecord(id="Evaluator", summary="attempt 2")
    findings_in(log_of(FACTS, capsys)).put_into(found, node)
    assert node.summary == "attempt 2, accuracy 0.8000: not blessed"
    assert found.metrics == {"accuracy": 0.8, "iou/border": None}
    assert found.thresholds == [BOUND]
    assert found.blessed is False
    assert found.refused
    assert found.distributions == {}


def test_a_line_of_a_log_stays_short(capsys):
    assert len(log_of(FACTS, capsys)) < 1000


def test_records_inside_of_the_record(capsys):
    dataset = DatasetRecord(name="pets", version="4.0.0", splits={"train": 3})
    found = record()
    findings_in(log_of(NodeFacts("3 train", {"dataset": dataset}), capsys)).put_into(found, NodeRecord(id="E"))
    assert found.dataset == dataset


def test_of_several_tries_the_last_counts(capsys):
    log = log_of(NodeFacts("first"), capsys) + log_of(NodeFacts("second"), capsys)
    assert findings_in(log).summary == "second"


def test_what_this_version_has_no_place_for_is_left_out(capsys):
    line = log_of(FACTS, capsys).replace('"blessed":false', '"a_later_field":1,"blessed":"perhaps"')
    found = record()
    findings_in(line).put_into(found, NodeRecord(id="Evaluator"))
    assert found.blessed is None
    assert found.metrics["accuracy"] == 0.8


def test_a_log_without_findings():
    assert findings_in("") is None
    assert findings_in("petseg 10:00:00 Evaluator: found {}\n") is None
    assert findings_in("petseg 10:00:00 Evaluator: found nothing\n") is None
