"""What RunReport says: from the session's record where there is one, else from what the components left."""

import json
import math
import sys
from types import SimpleNamespace

import pytest
import report_run

from components.model_evaluator.gate import BoundResult, Comparison
from components.run_report.report import ReportArguments
from pipeline.kubeflow.artifacts import StoredArtifact
from pipeline.report import run_report
from pipeline.report.run_report import confusion_matrix, scalar_metrics
from pipeline.report.run_report import report_run as report
from pipeline.runs.record import NodeState, RunRecord, RunState

NODES = ["TfdsExampleGen", "SegmentationValidator", "Transform", "Evaluator", "Pusher"]


@pytest.fixture
def record(tmp_path):
    return report_run.finished_run(tmp_path)


@pytest.fixture
def arguments(record, tmp_path):
    """What a pod is told of the same run."""
    named = {"dataset_name": "made_up_pets", "dataset_version": "1.2.3"}
    counts = {"split_counts": json.dumps({"train": 30, "test": 12})}
    left = {
        "SegmentationValidator": {
            "checked_examples": StoredArtifact("/minio/examples", named | counts),
            "findings": StoredArtifact("/minio/findings", {}),
        },
        "Evaluator": {
            "evaluation": StoredArtifact("/minio/evaluation", named),
            "blessing": StoredArtifact("/minio/blessing", {"forced_because": ""}),
        },
        "Pusher": {"pushed_model": StoredArtifact("/minio/pushed", {"not_pushed_because": "the model is not blessed"})},
    }
    for directory in ("metrics", "report", "card"):
        (tmp_path / directory).mkdir()
    return ReportArguments(
        run_id=record.run_id,
        settings=record.settings,
        node_ids=NODES,
        outputs={node: {name: [one] for name, one in of_node.items()} for node, of_node in left.items()},
        directory=tmp_path / "metrics",
        report=tmp_path / "report" / "report.html",
        model_card=tmp_path / "card" / "model_card.md",
    )


@pytest.fixture
def pod(record, monkeypatch):
    """A pod, whose Evaluator found what the made-up run's did."""
    found = SimpleNamespace(
        metrics={name: value for name, value in record.metrics.items() if value is not None},
        served_metrics={},
        slices=record.slices,
        distributions=record.distributions,
        verdict=SimpleNamespace(bounds=record.thresholds, passed=False, comparison=None),
    )
    results = SimpleNamespace(read_evaluation=lambda uri: found)
    monkeypatch.setitem(sys.modules, "components.model_evaluator.results", results)
    monkeypatch.setattr(run_report, "run_environment", lambda: record.environment)
    monkeypatch.delenv("PETSEG_RUN_RECORD", raising=False)


def test_a_pod_makes_the_record_of_what_the_components_left(pod, arguments):
    reported = report(arguments)
    record = RunRecord.load(arguments.directory / "run.json")
    assert (record.run_id, record.state) == ("20260102-030405-000001", RunState.COMPLETE)
    assert [node.id for node in record.nodes] == [*NODES, "RunReport"]
    assert {node.state for node in record.nodes} == {NodeState.COMPLETE}
    assert record.node("Pusher").summary == "nothing: the model is not blessed"
    assert record.node("Evaluator").outputs == {"evaluation": "/minio/evaluation", "blessing": "/minio/blessing"}
    assert (record.node("Transform").summary, record.node("Transform").outputs) == ("", {})
    assert record.dataset.splits == {"train": 30, "test": 12}
    assert record.environment.cpu == "Made-up CPU"
    assert reported.not_written_because == ""
    page, card = arguments.report.read_text(encoding="utf-8"), arguments.model_card.read_text(encoding="utf-8")
    assert "Not blessed" in page
    assert "0.7123" in page
    assert "took" not in page  # nobody in a pod knows when the run started
    assert "0.7123" in card
    assert sorted(file.name for file in arguments.directory.iterdir()) == ["run.json"]


def test_what_the_session_knows_is_taken_from_it_and_the_run_reads_complete(record, arguments, tmp_path, monkeypatch):
    file = tmp_path / "session" / "run.json"
    file.parent.mkdir()
    record.state = RunState.RUNNING
    record.nodes.append(record.nodes[0].model_copy(update={"id": "RunReport", "state": NodeState.RUNNING}))
    record.save(file)
    monkeypatch.setenv("PETSEG_RUN_RECORD", str(file))
    report(arguments)
    told = RunRecord.load(arguments.directory / "run.json")
    assert (told.state, told.node("RunReport").state) == (RunState.COMPLETE, NodeState.COMPLETE)
    assert (told.seconds, told.node("Trainer").seconds) == (75.0, 1.5)
    assert "took 1 m 15 s" in arguments.report.read_text(encoding="utf-8")
    assert RunRecord.load(file).state is RunState.RUNNING


@pytest.mark.usefixtures("pod")
def test_the_record_of_another_session_is_none_of_this_run(record, arguments, tmp_path, monkeypatch):
    file = tmp_path / "run.json"
    record.model_copy(update={"run_id": "another"}).save(file)
    monkeypatch.setenv("PETSEG_RUN_RECORD", str(file))
    report(arguments)
    assert RunRecord.load(arguments.directory / "run.json").run_id == record.run_id


@pytest.mark.usefixtures("pod")
def test_a_page_that_cannot_be_drawn_costs_neither_record_nor_numbers(arguments, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr("pipeline.report.page.write_report", refuse)
    reported = report(arguments)
    assert "no space left" in reported.not_written_because
    assert reported.metrics["accuracy"] == 0.71234
    assert (arguments.directory / "run.json").is_file()


def test_numbers_are_of_the_names_that_are_promised_and_defined(record):
    record.metrics |= {"mean_iou_low": None, "iou_pet": math.nan}
    assert dict(scalar_metrics(record)) == {
        "accuracy": 0.71234, "accuracy_low": 0.69123, "accuracy_high": 0.73123, "mean_iou": 0.51239,
        "mean_iou_high": 0.53123, "iou_background": 0.81233, "evaluated_examples": 12, "blessed": 0,
        "verdict": "not blessed: accuracy 0.7123 < 0.85", "dataset_name": "made_up_pets", "dataset_version": "1.2.3",
    }  # fmt: skip
    assert confusion_matrix(record).pixels == [[80, 20, 0], [10, 190, 0], [5, 5, 0]]
    record.pushed_model, record.blessed = "/serving/pets/7", True
    record.thresholds = [BoundResult(metric="accuracy", kind="min", bound=0.7, value=0.71, passed=True)]
    found = dict(scalar_metrics(record))
    assert (found["pushed_model"], found["blessed"], found["verdict"]) == ("/serving/pets/7", 1, "blessed")


def test_the_difference_to_the_served_model_is_told_where_it_decides(record):
    differences = {"mean_iou_difference": 0.0012, "mean_iou_difference_low": -0.005, "mean_iou_difference_high": 0.007}
    record.metrics |= differences | {"accuracy_difference": 0.1}
    assert not differences.keys() & dict(scalar_metrics(record)).keys()
    record.comparison = Comparison(
        metric="mean_iou", outcome="equal", examples=12, change=0.0012, low=-0.005, high=0.007
    )
    found = dict(scalar_metrics(record))
    assert {name: value for name, value in found.items() if "difference" in name} == differences
    assert found["compared_with_served"] == (
        "mean IoU +0.0012 (-0.0050 to +0.0070): within noise, and the served model keeps its gate"
    )
    assert found["verdict"].endswith(
        ", mean IoU is not better beyond noise (+0.0012, -0.0050 to +0.0070), and the served model keeps its gate"
    )


def test_of_a_run_without_an_evaluation_only_the_data_is_told(tmp_path):
    record = report_run.early_failure(tmp_path)
    assert dict(scalar_metrics(record)) == {"verdict": "nothing was evaluated"}
    assert confusion_matrix(record) is None
