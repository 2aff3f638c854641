"""Runs whose records are gone, told by ML Metadata: by the copy that RunReport keeps, and by properties alone."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import made_up_history as made_up
import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.drift_detector.report import DriftReport
from components.retraining_decider.decision import Decision, Reason, ReasonKind
from pipeline.history.entries import RunEntry, RunOutcome, Source
from pipeline.history.metadata_runs import runs_without_record
from pipeline.history.reading import read_histories
from pipeline.runs.record import DatasetRecord
from pipeline.runs.store import RunStore

COMPLETE, FAILED, RUNNING = mlmd.Execution.COMPLETE, mlmd.Execution.FAILED, mlmd.Execution.RUNNING
REASON = Reason(kind=ReasonKind.DATA, text="new data")


class Database:
    """ML Metadata of a root, filled as TFX does."""

    def __init__(self, root: Path) -> None:
        self.file = root / "metadata.sqlite"
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(self.file)
        self._store = metadata_store.MetadataStore(config)
        self._pipeline = self._context("pipeline", made_up.PIPELINE)

    def run(self, run_id: str, *outputs: mlmd.Artifact, state: int = COMPLETE) -> None:
        """Adds a run of one component."""
        run = self._context("pipeline_run", run_id)
        self._store.put_parent_contexts([mlmd.ParentContext(parent_id=self._pipeline.id, child_id=run.id)])
        execution_type = self._store.put_execution_type(mlmd.ExecutionType(name="component"))
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        execution = mlmd.Execution(type_id=execution_type, last_known_state=state)
        self._store.put_execution(execution, [(artifact, event) for artifact in outputs], [run])

    def artifact(self, type_name: str, uri: str = "", **properties: str | int | float) -> mlmd.Artifact:
        """Returns an artifact that is not there yet."""
        type_id = self._store.put_artifact_type(mlmd.ArtifactType(name=type_name))
        artifact = mlmd.Artifact(type_id=type_id, uri=uri)
        for name, value in properties.items():
            kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
            setattr(artifact.custom_properties[name], kind, value)
        return artifact

    def made(self, type_name: str) -> mlmd.Artifact:
        """Returns the artifact of a type that is there, as the cache hands it to a later run."""
        [artifact] = self._store.get_artifacts_by_type(type_name)
        return artifact

    def _context(self, type_name: str, name: str) -> mlmd.Context:
        context = mlmd.Context(type_id=self._store.put_context_type(mlmd.ContextType(name=type_name)), name=name)
        [context.id] = self._store.put_contexts([context])
        return context


@pytest.fixture
def database(tmp_path) -> Database:
    return Database(tmp_path)


def only_run(database: Database, **expected: Any) -> RunEntry:
    [run] = runs_without_record(database.file, database.file.parent, ())
    assert {name: getattr(run, name) for name in expected} == expected
    return run


def test_a_root_without_metadata_has_no_such_runs(tmp_path):
    assert runs_without_record(tmp_path / "metadata.sqlite", tmp_path, ()) == []


def test_runs_that_are_known_are_passed_over(database):
    database.run("run-1")
    database.run("run-2")
    [run] = runs_without_record(database.file, database.file.parent, {"run-1"})
    assert (run.run, run.pipeline, run.sources) == ("run-2", made_up.PIPELINE, (Source.METADATA,))


def test_the_copy_that_the_report_keeps_tells_all(database, tmp_path):
    record = made_up.record_of(
        made_up.BEGIN,
        dataset=DatasetRecord(name="tiles", version="1", splits={"train": 3}),
        metrics={"mean_iou": 0.81234567},
        blessed=True,
    )
    record.save(tmp_path / "run.json")
    database.run(record.run_id, database.artifact("system.Metrics", str(tmp_path), mean_iou=0.812346))
    run = only_run(database, started=made_up.BEGIN, data="tiles 1", sources=(Source.METADATA,))
    assert run.metrics == {"mean_iou": 0.81234567}


def test_a_copy_of_another_run_is_not_taken(database, tmp_path):
    made_up.record_of(made_up.BEGIN).save(tmp_path / "run.json")
    database.run("run-1", database.artifact("system.Metrics", str(tmp_path), mean_iou=0.5))
    assert only_run(database, run="run-1").metrics == {"mean_iou": 0.5}


def test_properties_tell_of_a_push(database, tmp_path):
    metrics = {"mean_iou": 0.8, "mean_iou_low": 0.7, "mean_iou_difference": 0.1}
    told = {"verdict": "blessed", "blessed": 1, "evaluated_examples": 12, "is_external": 0, "dataset_name": "tiles"}
    pushed_to = f"{tmp_path}/models/17"
    database.run(
        "run-1",
        database.artifact("Examples", split_counts='{"train": 30}', dataset_version="3"),
        database.artifact("system.Metrics", **metrics, **told),
        database.artifact("PushedModel", pushed=1, pushed_destination=pushed_to),
    )
    run = only_run(database, outcome=RunOutcome.PUSHED, version=17, destination=f"{tmp_path}/models", data="tiles 3")
    assert run.metrics == metrics
    assert run.examples == {"train": 30}
    assert run.change("mean_iou") == 0.1
    assert run.seconds is not None


@pytest.mark.parametrize(
    ("verdict", "outcome", "reason", "forced"),
    [
        ("not blessed: accuracy 0.7 < 0.8", RunOutcome.NOT_BLESSED, "accuracy 0.7 < 0.8", ""),
        ("refused by the probe: slow", RunOutcome.NOT_SERVABLE, "the model is refused", ""),
        ("pushed by force: a fair", RunOutcome.NOT_BLESSED, "the model is refused", "a fair"),
    ],
)
def test_properties_tell_of_a_refusal(verdict, outcome, reason, forced, database):
    database.run(
        "run-1",
        database.artifact("system.Metrics", verdict=verdict, blessed=0),
        database.artifact("ModelBlessing", blessed=0),
        database.artifact("PushedModel", pushed=0, not_pushed_because="the model is refused"),
    )
    only_run(database, outcome=outcome, reason=reason, forced_because=forced, version=None)


def test_properties_tell_of_a_decision(database):
    decision = Decision(trains=False, notes=("all is as it was",))
    database.run("run-1", database.artifact("Decision", trains=0, decision=decision.model_dump_json()))
    only_run(database, outcome=RunOutcome.NOTHING_TO_DO, reason="all is as it was", decision=decision)


def test_properties_tell_the_reasons_of_a_training(database):
    decision = Decision(trains=True, reasons=(REASON,))
    database.run("run-1", database.artifact("Decision", trains=1, decision=decision.model_dump_json()))
    only_run(database, outcome=RunOutcome.NOT_PUSHED, reasons=("data",))


def test_what_the_cache_took_from_an_earlier_run_was_not_pushed_again(database):
    database.run("run-1", database.artifact("PushedModel", pushed=1, pushed_destination="/models/17"))
    time.sleep(0.005)  # ML Metadata counts milliseconds
    database.run("run-2", database.made("PushedModel"))
    first, second = runs_without_record(database.file, database.file.parent, ())
    assert (first.version, second.version, second.outcome) == (17, None, RunOutcome.ALREADY_SERVED)


@pytest.mark.parametrize(("state", "outcome"), [(FAILED, RunOutcome.FAILED), (RUNNING, RunOutcome.INTERRUPTED)])
def test_a_run_that_did_not_finish(state, outcome, database):
    database.run("run-1", state=state)
    only_run(database, outcome=outcome)


def test_drift_is_read_where_it_lies(database, tmp_path):
    one = {"name": "contrast", "setting": "contrast", "distance": 0.4, "threshold": 0.15, "chance": 0.1}
    one |= {"before": 0.1, "now": 0.2, "bins": ["0", "1"], "reference": [1, 2], "current": [2, 1]}
    comparison = {"reference_examples": 3, "current_examples": 3, "quantities": [one]}
    report = DriftReport.model_validate({"model": "/models/17", "comparison": comparison})
    (tmp_path / "drift.json").write_text(report.model_dump_json())
    database.run("run-1", database.artifact("components.DataDrift", str(tmp_path)))
    only_run(database, drift={"contrast": 0.4}, drifted=("contrast",))


def test_a_record_that_cannot_be_read_is_made_up_for(database, tmp_path):
    record = made_up.record_of(made_up.BEGIN)
    made_up.save(tmp_path, record)
    (tmp_path / "runs" / record.run_id / "run.json").write_text("cut of")
    database.run(record.run_id, database.artifact("system.Metrics", mean_iou=0.5))
    warnings: list[str] = []
    [history] = read_histories(RunStore(tmp_path), None, warnings.append)
    [run] = history.runs
    assert run.metrics == {"mean_iou": 0.5}
    assert len(warnings) == 1
    assert run.started - run.at < timedelta(seconds=1)
