"""What components have found, from ML Metadata, from logs, and from what is written on artifacts by itself."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fake_metadata import InMemory, MetadataOfRuns

from components.model_evaluator.gate import BoundResult
from components.retraining_decider.decision import Decision
from pipeline.kubeflow.findings import Findings
from pipeline.kubeflow.metadata_service import MetadataError
from pipeline.kubeflow.outcome import RunOutcome, add_verdicts
from pipeline.kubeflow.pod_logs import NoLogError
from pipeline.kubeflow.run_artifacts import RunArtifacts
from pipeline.runs.outputs import NodeFacts
from pipeline.runs.record import NodeRecord, RunRecord

BOUND = BoundResult(metric="accuracy", kind="min", bound=0.9, value=0.8, passed=False)
EVALUATED = Findings.of(
    NodeFacts(
        "accuracy 0.8000: not blessed",
        {"metrics": {"accuracy": 0.8, "iou_border": None}, "thresholds": [BOUND], "blessed": False},
    )
)
PUSHED = Findings.of(NodeFacts("/serving/7", {"pushed_model": "/serving/7"}))
DECISION = Decision(trains=False, notes=("tiles 1.0.0 was tried",))
DECIDED = {"decision": ("minio://b/decision", {"trains": 0.0, "decision": DECISION.model_dump_json()})}
URI = "minio://mlpipeline/v2/artifacts/petseg-pets/the-run"
REPORT = {
    "metrics": (
        f"{URI}/metrics",
        {
            "accuracy": 0.8,
            "accuracy_low": 0.7,
            "accuracy_high": 0.9,
            "iou_cat": 0.5,
            "blessed": 0.0,
            "evaluated_examples": 40.0,
            "verdict": "not blessed: accuracy 0.8000 is below 0.9",
            "pushed_model": "",
            "dataset_name": "pets",
        },
    ),
    "report": (f"{URI}/report/report.html", {}),
    "model_card": (f"{URI}/model_card/card.md", {}),
}
BLESSING = {"blessing": (f"{URI}/blessing", {"blessed": 0.0})}
NOT_PUSHED = {"pushed_model": (f"{URI}/pushed", {"pushed": 0.0, "not_pushed_because": "the model is not blessed"})}


class Service:
    """ML Metadata, which can be out of reach."""

    def __init__(self) -> None:
        self.store = InMemory()
        self.errors: list[MetadataError] = []
        self.calls = 0

    def call(self, method: str, request: Any) -> Any:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.store(method, request)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def runs(service) -> MetadataOfRuns:
    return MetadataOfRuns(service.store)


@pytest.fixture
def logs() -> dict[str, str | None]:
    """The logs that can be read, by component."""
    return {}


@pytest.fixture
def record() -> RunRecord:
    return record_of("the-run", "Trainer", "Evaluator", "Pusher", "RunReport")


@pytest.fixture
def outcome(record, service, logs) -> RunOutcome:
    def log(component: str) -> str | None:
        if component not in logs:
            raise NoLogError(f"no log of {component}")
        return logs[component]

    outcome = RunOutcome(record, RunArtifacts(service), log)
    for node in record.nodes:
        outcome.expect(node.id)
    return outcome


def record_of(run_id: str, *components: str) -> RunRecord:
    nodes = [NodeRecord(id=component) for component in components]
    return RunRecord(
        run_id=run_id, pipeline="p", preset=None, started=datetime(2026, 1, 1, tzinfo=UTC), log="", nodes=nodes
    )


def written(findings: Findings, name: str = "evaluation") -> dict[str, Any]:
    """Returns the artifacts of a component on which its findings are written."""
    output = {"artifacts": {"z": {"artifacts": [{}]}, name: {"artifacts": [{}]}}}
    findings.write_on(output)
    return {key: (f"{URI}/{key}", one["artifacts"][0].get("metadata", {})) for key, one in output["artifacts"].items()}


def logged(findings: Findings) -> str:
    return f"petseg 10:00:09 X: {findings.line()}\n"


def told(outcome: RunOutcome, *, is_last: bool = False) -> list[str]:
    return [node.id for node in outcome.read(is_last=is_last)]


class TestArtifacts:
    def test_what_is_written_on_them_is_all_that_a_log_says(self, outcome, record, runs):
        runs.add_task("the-run", "Evaluator", written(EVALUATED))
        runs.add_task("the-run", "Pusher", written(PUSHED))
        assert told(outcome) == ["Evaluator", "Pusher"]
        assert record.metrics == {"accuracy": 0.8, "iou_border": None}
        assert (record.thresholds, record.pushed_model) == ([BOUND], "/serving/7")
        assert record.node("Evaluator").summary == EVALUATED.summary
        assert record.node("Evaluator").outputs == {"evaluation": f"{URI}/evaluation", "z": f"{URI}/z"}
        assert record.refused
        assert outcome.is_known

    def test_what_is_told_is_not_asked_again(self, outcome, record, runs, service):
        for component in ("Trainer", "Evaluator", "Pusher"):
            runs.add_task("the-run", component, written(PUSHED))
        runs.add_task("the-run", "RunReport", REPORT)
        assert len(told(outcome)) == 4
        calls = service.calls
        assert told(outcome, is_last=True) == []
        assert service.calls == calls
        assert record.node("Pusher").summary == "/serving/7"

    def test_of_a_task_from_the_cache(self, outcome, record, runs):
        evaluation, other = runs.add_task("earlier", "Evaluator", written(EVALUATED))
        runs.add_cached("the-run", "Evaluator", {"evaluation": evaluation, "z": other})
        assert told(outcome) == ["Evaluator"]
        assert record.blessed is False

    def test_of_a_driver_there_are_parameters_alone(self, service, runs):
        record = record_of("the-run", "TfdsExampleGenDriver")
        outcome = RunOutcome(record, RunArtifacts(service), lambda component: None)
        outcome.expect("TfdsExampleGenDriver")
        runs.add_task("the-run", "TfdsExampleGenDriver", parameters={"input_fingerprint": "0123456789abcdef"})
        assert told(outcome, is_last=True) == ["TfdsExampleGenDriver"]
        [node] = record.nodes
        assert (node.summary, node.outputs) == ("data 0123456789ab", {})

    def test_findings_that_would_be_long_are_on_none(self):
        metrics = {f"iou_class_{number}": 0.123456789 for number in range(400)}
        findings = Findings.of(NodeFacts("many", {"metrics": metrics}))
        assert not any("findings" in properties for _, properties in written(findings).values())
        Findings.of(NodeFacts("none", {})).write_on({})

    def test_no_letter_on_them_is_one_that_a_database_may_refuse(self, outcome, record, runs):
        properties = written(Findings.of(NodeFacts("0.1 ≤ 0.2", {})))
        assert str(properties).isascii()
        runs.add_task("the-run", "Evaluator", properties)
        assert told(outcome) == ["Evaluator"]
        assert record.node("Evaluator").summary == "0.1 ≤ 0.2"


class TestReport:
    def test_it_tells_all_by_itself(self, outcome, record, runs):
        runs.add_task("the-run", "RunReport", REPORT)
        assert told(outcome) == ["RunReport"]
        assert record.metrics == {"accuracy": 0.8, "accuracy_high": 0.9, "accuracy_low": 0.7, "iou_cat": 0.5}
        assert (record.report, record.model_card) == (f"{URI}/report/report.html", f"{URI}/model_card/card.md")
        assert (record.blessed, record.pushed_model) == (False, None)
        assert record.node("RunReport").summary == "not blessed: accuracy 0.8000 is below 0.9"
        assert outcome.is_known

    def test_one_that_was_not_written_says_why(self, outcome, record, runs):
        report = {"report": (f"{URI}/report/report.html", {"not_written_because": "no space left"})}
        runs.add_task("the-run", "RunReport", REPORT | report)
        told(outcome)
        assert record.node("RunReport").summary.endswith("below 0.9; no report: no space left")

    def test_it_does_not_replace_what_is_known(self, outcome, record, runs):
        runs.add_task("the-run", "Evaluator", written(EVALUATED))
        runs.add_task("the-run", "RunReport", REPORT)
        told(outcome)
        assert record.metrics == {"accuracy": 0.8, "iou_border": None}
        assert record.report is not None


class TestEarlierPackages:
    """Their artifacts have no findings."""

    def test_the_log_knows_more(self, outcome, record, runs, logs):
        runs.add_task("the-run", "Evaluator", BLESSING)
        assert told(outcome) == []
        logs["Evaluator"] = logged(EVALUATED)
        assert told(outcome) == ["Evaluator"]
        assert record.metrics["accuracy"] == 0.8

    def test_without_log_the_verdict_is_known_at_the_end(self, outcome, record, runs):
        runs.add_task("the-run", "Trainer", {"model": (f"{URI}/model", {})})
        runs.add_task("the-run", "Evaluator", BLESSING)
        runs.add_task("the-run", "Pusher", NOT_PUSHED)
        assert told(outcome) == []
        assert told(outcome, is_last=True) == ["Evaluator", "Pusher"]
        assert record.refused
        assert record.node("Evaluator").summary == "not blessed"
        assert record.node("Pusher").summary == "nothing: the model is not blessed"
        assert outcome.is_known

    def test_a_run_that_goes_on_for_long_is_not_asked_for_ever(self, outcome, runs, service):
        runs.add_task(
            "the-run", "Pusher", {"pushed_model": (f"{URI}/p", {"pushed": 1.0, "pushed_destination": "/s/7"})}
        )
        assert [told(outcome) for _ in range(4)] == [[], [], [], ["Pusher"]]
        calls = service.calls
        assert told(outcome) == []
        assert service.calls == calls

    def test_force_and_a_refusal_of_the_probe(self, service, runs):
        record = record_of("the-run", "Evaluator", "ModelProbe")
        runs.add_task("the-run", "Evaluator", {"blessing": ("b", {"blessed": 1.0, "forced_because": "the demo"})})
        runs.add_task("the-run", "ModelProbe", {"blessing": ("minio://b/probe", {"blessed": 0.0})})
        add_verdicts([record], RunArtifacts(service))
        assert (record.blessed, record.force_blessed) == (False, "the demo")
        assert record.probe.refusals == ["the reasons are in minio://b/probe"]

    def test_an_output_that_is_not_there(self, outcome, runs):
        runs.add_task("the-run", "Evaluator", {"evaluation": (f"{URI}/evaluation", {})})
        assert told(outcome, is_last=True) == []


class TestOutOfReach:
    def test_then_the_logs_tell(self, outcome, record, service, logs):
        service.errors = [MetadataError("no way to it")]
        logs["Evaluator"] = logged(EVALUATED)
        assert told(outcome) == ["Evaluator"]
        assert told(outcome) == []
        assert service.calls == 1

    def test_it_is_asked_again_where_that_may_pass(self, outcome, runs, service):
        runs.add_task("the-run", "Pusher", written(PUSHED))
        service.errors = [MetadataError("away", is_temporary=True)]
        assert told(outcome) == []
        assert told(outcome) == ["Pusher"]

    def test_neither_is_said(self, outcome, service):
        service.errors = [MetadataError("no way to it")]
        told(outcome, is_last=True)
        assert not outcome.is_known
        assert outcome.why_unknown == "no way to it; no log of RunReport"

    def test_a_run_without_artifacts_and_a_log_that_says_nothing(self, outcome, logs):
        logs.update(dict.fromkeys(("Trainer", "Evaluator", "Pusher", "RunReport"), "done\n"))
        told(outcome, is_last=True)
        assert not outcome.is_known
        assert outcome.why_unknown == "neither Pusher's artifacts nor the log of its pod say it"


def test_the_verdicts_of_several_runs(service, runs):
    runs.add_task("run-1", "Evaluator", written(EVALUATED))
    runs.add_task("run-1", "RunReport", REPORT)
    [blessing] = runs.add_task("run-2", "Evaluator", {"blessing": (f"{URI}/blessing", {"blessed": 1.0})})
    runs.add_cached("run-3", "Evaluator", {"blessing": blessing})
    records = [record_of(f"run-{number}") for number in range(1, 5)]
    add_verdicts(records, RunArtifacts(service))
    assert [record.blessed for record in records] == [False, True, True, None]
    assert records[0].report == f"{URI}/report/report.html"


class TestDeciding:
    """Runs that decide first whether to train, whose other tasks are in a DAG of their own."""

    def test_a_run_that_decided_against_it_has_told_all(self, service, runs):
        record = record_of("the-run", "RetrainingDecider", "Pusher")
        outcome = RunOutcome(record, RunArtifacts(service), pytest.fail)
        outcome.expect("RetrainingDecider")
        runs.add_task("the-run", "RetrainingDecider", DECIDED)
        runs.add_dag("the-run", "Retraining", is_skipped=True)
        assert told(outcome) == ["RetrainingDecider"]
        assert record.decision == DECISION
        assert record.node("RetrainingDecider").summary == "not to train: tiles 1.0.0 was tried"
        assert outcome.is_known

    def test_what_the_tasks_of_the_other_dag_found(self, outcome, record, runs):
        runs.add_task("the-run", "RetrainingDecider", DECIDED)
        runs.add_dag("the-run", "Retraining")
        runs.add_task("the-run", "Evaluator", written(EVALUATED))
        assert told(outcome) == ["Evaluator"]
        assert record.blessed is False

    def test_lists_look_into_it(self, service, runs):
        runs.add_task("run-1", "Evaluator", written(EVALUATED))
        runs.add_task("run-2", "RetrainingDecider", DECIDED)
        runs.add_dag("run-2", "Retraining", is_skipped=True)
        trains = DECISION.model_copy(update={"trains": True})
        decided = {"decision": ("b", {"trains": 1.0, "decision": trains.model_dump_json()})}
        runs.add_task("run-3", "RetrainingDecider", decided)
        runs.add_dag("run-3", "Retraining")
        runs.add_task("run-3", "Evaluator", {"blessing": (f"{URI}/blessing", {"blessed": 1.0})})
        records = [record_of(f"run-{number}") for number in range(1, 5)]
        add_verdicts(records, RunArtifacts(service))
        assert [record.blessed for record in records] == [False, None, True, None]
        assert [record.decision and record.decision.trains for record in records] == [None, False, True, None]
        assert service.calls == 5

    def test_and_ask_no_more_where_there_is_none(self, service, runs):
        runs.add_task("run-1", "Evaluator", written(EVALUATED))
        add_verdicts([record_of("run-1")], RunArtifacts(service))
        assert service.calls == 4
