"""RunReport leaves whole artifacts, whatever the function that reports does."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from component_battery import artifact, execute, given
from tfx.types import standard_artifacts as tfx

from components.run_report.artifact import HTML, ClassificationMetrics, Markdown, Metrics
from components.run_report.component import ReportDriver, RunReport
from components.run_report.executor import Executor
from components.run_report.report import ConfusionMatrix, ReportArguments, Reported

MATRIX = ConfusionMatrix(["pet", "<other>"], [[8, 2], [1, 9]])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the component with a function in place of `report_fn`, before which the record is written."""

    def run(reported, **inputs):
        def report_fn(arguments):
            (arguments.directory / "run.json").touch()
            return reported(arguments)

        monkeypatch.setitem(sys.modules, "made_up_report", SimpleNamespace(report_fn=report_fn))
        channels = {key: given(kind) for key, kind in (("model", tfx.Model), ("evaluation", tfx.ModelEvaluation))}
        component = RunReport(
            report_fn="made_up_report.report_fn",
            settings={"data": {"image_size": 48}},
            node_ids=["Trainer", "Evaluator"],
            inputs=channels | {"suspects": None},
        )
        return execute(component, tmp_path, inputs, run_id="run-7")

    return run


def test_the_function_is_told_what_there_is_and_where_its_files_belong(run, tmp_path):
    told = []

    def report_fn(arguments: ReportArguments) -> Reported:
        told.append(arguments)
        arguments.report.write_text("the page")
        arguments.model_card.write_text("the card")
        return Reported({})

    model = artifact(tfx.Model, "/models/1")
    outputs = run(report_fn, model=model)
    [arguments] = told
    assert (arguments.run_id, arguments.settings) == ("run-7", {"data": {"image_size": 48}})
    assert arguments.node_ids == ["Trainer", "Evaluator"]
    assert arguments.outputs == {"ModelSource": {"result": [model]}}  # the other is absent, as in some partial runs
    assert arguments.directory == tmp_path / "metrics"
    assert Path(outputs["report"].uri, "report.html").read_text() == "the page"
    assert Path(outputs["model_card"].uri, "model_card.md").read_text() == "the card"
    assert not outputs["report"].has_custom_property("not_written_because")


def test_what_is_defined_becomes_properties(run):
    values = {"accuracy": 0.75, "mean_iou": math.nan, "loss": math.inf, "blessed": 1, "verdict": "blessed"}
    outputs = run(lambda _: Reported(values, MATRIX))
    found = outputs["metrics"].mlmd_artifact.custom_properties
    assert {name: found[name].WhichOneof("value") for name in found} == {
        "accuracy": "double_value", "blessed": "int_value", "verdict": "string_value",
    }  # fmt: skip
    expected = {
        "annotationSpecs": [{"displayName": "pet"}, {"displayName": "<other>"}],
        "rows": [{"row": [8, 2]}, {"row": [1, 9]}],
    }
    matrix = outputs["confusion_matrix"]
    assert matrix.get_json_value_custom_property("confusionMatrix") == expected
    assert json.loads(Path(matrix.uri, "confusion_matrix.json").read_text()) == expected


def test_the_matrix_is_what_the_servers_own_sdk_writes():
    from kfp import dsl

    metrics = dsl.ClassificationMetrics()
    metrics.log_confusion_matrix([*MATRIX.class_names], [list(row) for row in MATRIX.pixels])
    assert metrics.metadata == {"confusionMatrix": MATRIX.as_kubeflow()}
    schemas = {dsl.Metrics: Metrics, dsl.ClassificationMetrics: ClassificationMetrics, dsl.HTML: HTML}
    schemas |= {dsl.Markdown: Markdown}
    assert {kind.schema_title: ours.TYPE_NAME for kind, ours in schemas.items()} == {
        ours.TYPE_NAME: ours.TYPE_NAME for ours in schemas.values()
    }


def test_a_report_that_cannot_be_written_fails_no_run_and_says_why(run):
    def report_fn(_):
        raise ValueError("no <space> left\nbut for this line")

    outputs = run(report_fn)
    reason = "ValueError: no <space> left"
    assert outputs["report"].get_string_custom_property("not_written_because") == reason
    assert "ValueError: no &lt;space&gt; left" in Path(outputs["report"].uri, "report.html").read_text()
    assert reason in Path(outputs["model_card"].uri, "model_card.md").read_text()
    assert not outputs["metrics"].mlmd_artifact.custom_properties
    assert not outputs["confusion_matrix"].has_custom_property("confusionMatrix")


def test_nothing_but_the_page_is_missed_where_only_the_page_cannot_be_drawn(run):
    outputs = run(lambda _: Reported({"accuracy": 0.5}, not_written_because="the font is gone"))
    assert outputs["metrics"].get_float_custom_property("accuracy") == 0.5
    assert "the font is gone" in Path(outputs["report"].uri, "report.html").read_text()


def test_a_full_disk_fails_no_run(tmp_path):
    """The directories of the outputs are not there, so that nothing can be written."""
    kinds = {"metrics": Metrics, "confusion_matrix": ClassificationMetrics, "report": HTML, "model_card": Markdown}
    outputs = {key: [artifact(kind, tmp_path / "nowhere" / key)] for key, kind in kinds.items()}
    Executor().Do({}, outputs, {"report_fn": "nowhere.report_fn"})
    [report] = outputs["report"]
    assert report.get_string_custom_property("not_written_because").startswith("FileNotFoundError: ")


def test_no_two_runs_are_the_same_to_the_cache():
    [first, second] = [
        ReportDriver(None).run(SimpleNamespace(pipeline_run_id=run_id)).exec_properties["run_id"].string_value
        for run_id in ("run-1", "run-2")
    ]
    assert (first, second) == ("run-1", "run-2")
