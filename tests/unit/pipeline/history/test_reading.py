"""What is read of a root: each run once, from wherever it is known, and what cannot be read is said and left out."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import made_up_history as made_up
import pytest

from components.model_evaluator.gate import BoundResult
from components.model_pusher.ledger import Freeze, Rollback, Trial, TrialOutcome, Unfreeze
from components.model_pusher.origin import Origin
from components.model_pusher.push import PushRecord, Withdrawal
from components.retraining_decider.decision import Decision, Reason, ReasonKind
from pipeline.config.loading import load_config
from pipeline.history.entries import RunEntry, RunOutcome, Source
from pipeline.history.reading import read_histories
from pipeline.history.timeline import History
from pipeline.runs.record import (
    BaselineRecord,
    DatasetRecord,
    DriftRecord,
    NodeRecord,
    NodeState,
    ProbeRecord,
    RunState,
)
from pipeline.runs.store import RunStore

DAY = timedelta(days=1)
TIME = made_up.BEGIN
ORIGIN = Origin(dataset="tiles", version="1.2.0", splits={"train": 30})


def read(root: Path, *settings: str) -> History:
    """Returns the one history of a root; fails over a warning."""
    config = load_config(preset="demo", overrides=settings, pipeline_root=str(root)) if settings else None
    [history] = read_histories(RunStore(root), config, pytest.fail)
    return history


def only_run(root: Path) -> RunEntry:
    [run] = read(root).runs
    return run


def push_version(root: Path, version: int, **fields) -> None:
    """Leaves a version that says of its push what is given."""
    extra = made_up.destination(root) / str(version) / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "petseg_push.json").write_text(PushRecord(**fields).model_dump_json())


def test_a_run_is_told_by_its_record(tmp_path):
    reason = Reason(kind=ReasonKind.DATA, text="new data: tiles 1.2.0, before 1.1.0")
    record = made_up.record_of(
        TIME,
        decision=Decision(trains=True, reasons=(reason,), served_version="4"),
        dataset=DatasetRecord(name="tiles", version="1.2.0", splits={"train": 30, "test": 12}),
        metrics=made_up.measured(0.8, served=0.75),
        drift=DriftRecord(model="/d/4", reason=None, distances={"height": 0.1, "contrast": 0.3}, drifted=["contrast"]),
        baseline=BaselineRecord(found=True, version="5", path="/d/5", reason=None),
        blessed=True,
        nodes=[NodeRecord(id="Pusher", state=NodeState.COMPLETE)],
        pushed_model=f"{made_up.destination(tmp_path)}/17",
        report="report.html",
    )
    made_up.save(tmp_path, record)
    run = only_run(tmp_path)
    assert (run.run, run.outcome, run.version) == (record.run_id, RunOutcome.PUSHED, 17)
    assert (run.started, run.at) == (TIME, TIME + timedelta(minutes=1))
    assert (run.data, run.examples) == ("tiles 1.2.0", {"train": 30, "test": 12})
    assert (run.reasons, run.served_version) == (("data",), "5")
    assert run.largest_drift == ("contrast", 0.3)
    assert run.change("mean_iou") == pytest.approx(0.05)
    assert run.of_served("mean_iou") == pytest.approx(0.75)
    assert run.is_within_noise("mean_iou") is False
    assert run.sources == (Source.RECORD,)
    assert run.report == "report.html"


MISSED = BoundResult(metric="accuracy", kind="min", bound=0.9, value=0.8, passed=False)


@pytest.mark.parametrize(
    ("fields", "outcome", "reason"),
    [
        ({"blessed": False, "thresholds": [MISSED]}, RunOutcome.NOT_BLESSED, "accuracy 0.8000 < 0.9"),
        (
            {"blessed": True, "probe": ProbeRecord(refusals=["slow"])},
            RunOutcome.NOT_SERVABLE,
            "refused by the probe: slow",
        ),
        ({"blessed": True, "not_pushed": "it is served"}, RunOutcome.NOT_PUSHED, "it is served"),
        (
            {"nodes": [NodeRecord(id="Pusher", state=NodeState.COMPLETE, summary="nothing: it is served")]},
            RunOutcome.NOT_PUSHED,
            "it is served",
        ),
        (
            {"nodes": [NodeRecord(id="Pusher", state=NodeState.CACHED)], "pushed_model": "/d/17"},
            RunOutcome.ALREADY_SERVED,
            "",
        ),
        (
            {"decision": Decision(trains=False, notes=("all is as it was", "so what"))},
            RunOutcome.NOTHING_TO_DO,
            "all is as it was; so what",
        ),
        (
            {
                "nodes": [NodeRecord(id="Trainer", state=NodeState.FAILED)],
                "state": RunState.FAILED,
                "error": "no memory",
            },
            RunOutcome.FAILED,
            "Trainer: no memory",
        ),
        ({"state": RunState.RUNNING}, RunOutcome.INTERRUPTED, "the process ended before the run was done"),
    ],
)
def test_what_became_of_a_run(fields, outcome, reason, tmp_path):
    made_up.save(tmp_path, made_up.record_of(TIME, **fields))
    run = only_run(tmp_path)
    assert (run.outcome, run.reason, run.version) == (outcome, reason, None)


def test_the_ledger_knows_better_what_became_of_a_model(tmp_path):
    record = made_up.record_of(TIME, blessed=True, metrics={"mean_iou": 0.8})
    made_up.save(tmp_path, record)
    trial = Trial(
        at=TIME,
        run=record.run_id,
        origin=ORIGIN,
        outcome=TrialOutcome.WITHDRAWN,
        reason="it was rolled back",
        metrics={"mean_iou": 0.7, "mean_iou_difference": 0.1},
    )
    made_up.write_ledger(tmp_path, trial)
    run = only_run(tmp_path)
    assert (run.outcome, run.reason, run.data) == (RunOutcome.WITHDRAWN, "it was rolled back", "tiles 1.2.0")
    assert run.metrics == {"mean_iou": 0.8, "mean_iou_difference": 0.1}
    assert run.sources == (Source.RECORD, Source.LEDGER)


def test_a_failure_after_the_push_stays_one_and_the_version_is_known(tmp_path):
    record = made_up.record_of(TIME, state=RunState.FAILED, error="KServe is away")
    made_up.save(tmp_path, record)
    made_up.write_ledger(
        tmp_path, Trial(at=TIME, run=record.run_id, origin=ORIGIN, outcome=TrialOutcome.PUSHED, version=17)
    )
    run = only_run(tmp_path)
    assert (run.outcome, run.version, run.pushed_at) == (RunOutcome.FAILED, 17, TIME)


def test_runs_elsewhere_are_known_by_ledger_and_version(tmp_path):
    """As those on Kubeflow, which push to the same destination."""
    trial = Trial(at=TIME, run="11d2-uuid", origin=ORIGIN, outcome=TrialOutcome.PUSHED, version=17)
    made_up.write_ledger(
        tmp_path, trial, trial.model_copy(update={"run": "22e3-uuid", "at": TIME + DAY, "version": 18})
    )
    push_version(tmp_path, 18, pushed_at=TIME + DAY, run="22e3-uuid", metrics={"mean_iou": 0.7})
    first, second = read(tmp_path).runs
    assert (first.run, first.version, first.sources) == ("11d2-uuid", 17, (Source.LEDGER,))
    assert (second.metrics, second.data) == ({"mean_iou": 0.7}, "tiles 1.2.0")
    assert second.sources == (Source.LEDGER, Source.VERSION)


def test_a_version_tells_of_a_run_that_nothing_else_knows(tmp_path):
    push_version(tmp_path, 18, pushed_at=TIME, dataset="tiles", dataset_version="2", metrics={"mean_iou": 0.7})
    run = only_run(tmp_path)
    assert (run.version, run.data, run.sources) == (18, "tiles 2", (Source.VERSION,))
    assert run.name == "20260101-030000"


def test_a_trial_without_an_id_is_that_of_its_version(tmp_path):
    made_up.write_ledger(tmp_path, Trial(at=TIME, origin=ORIGIN, outcome=TrialOutcome.PUSHED, version=18))
    push_version(tmp_path, 18, pushed_at=TIME, run="u-1")
    assert only_run(tmp_path).run == "u-1"


def test_a_rollback_is_told_once_by_ledger_and_copy(tmp_path):
    made_up.write_ledger(
        tmp_path,
        Rollback(at=TIME, version=18, content="c", restored=17),
        Rollback(at=TIME + 2 * DAY, version=18, content="c", restored=17),
    )
    withdrawn = Withdrawal(version=18, content="c")
    push_version(tmp_path, 20, pushed_at=TIME + DAY, copy_of=17, withdrawn=withdrawn)
    push_version(tmp_path, 22, pushed_at=TIME + 2 * DAY, copy_of=17, withdrawn=withdrawn)
    push_version(tmp_path, 30, pushed_at=TIME + 3 * DAY, copy_of=22, withdrawn=Withdrawal(version=29, content="d"))
    rollbacks = read(tmp_path).rollbacks
    assert [(one.at, one.version, one.restored, one.copy_version) for one in rollbacks] == [
        (TIME, 18, 17, None),
        (TIME + DAY, 18, 17, 20),
        (TIME + 2 * DAY, 18, 17, 22),
        (TIME + 3 * DAY, 29, 22, 30),
    ]
    assert rollbacks[2].sources == (Source.LEDGER, Source.VERSION)


def test_freezes_are_told_by_the_ledger(tmp_path):
    made_up.write_ledger(tmp_path, Freeze(at=TIME, reason="a fair", by="ann@office"), Unfreeze(at=TIME + DAY))
    history = read(tmp_path)
    assert [(one.since, one.until, one.reason, one.by) for one in history.freezes] == [
        (TIME, TIME + DAY, "a fair", "ann@office")
    ]


def test_pipelines_of_a_root_have_histories_of_their_own(tmp_path):
    other = made_up.record_of(TIME + DAY)
    other.pipeline = "other"
    made_up.save(tmp_path, made_up.record_of(TIME), other)
    made_up.write_ledger(
        tmp_path, Trial(at=TIME, run=other.run_id, origin=ORIGIN, outcome=TrialOutcome.PUSHED, version=1)
    )
    histories = read_histories(RunStore(tmp_path), None, pytest.fail)
    assert [(one.pipeline, len(one.runs)) for one in histories] == [("other", 1), (made_up.PIPELINE, 1)]
    assert histories[1].served_now is None


def test_a_configuration_names_the_pipeline_and_where_it_pushes_to(tmp_path):
    other = made_up.record_of(TIME)
    other.pipeline = "other"
    made_up.save(tmp_path / "root", other, made_up.record_of(TIME + DAY))
    made_up.write_ledger(tmp_path / "elsewhere", Freeze(at=TIME, reason="x"))
    settings = f"push.destination={made_up.destination(tmp_path / 'elsewhere')}"
    history = read(tmp_path / "root", settings)
    assert history.pipeline == made_up.PIPELINE
    assert [run.at for run in history.runs] == [TIME + DAY + timedelta(minutes=1)]
    assert history.freeze is not None


def test_what_a_run_was_told_to_push_to_is_looked_at(tmp_path):
    record = made_up.record_of(TIME)
    record.settings["push"]["destination"] = str(made_up.destination(tmp_path / "elsewhere"))
    made_up.save(tmp_path / "root", record)
    made_up.write_ledger(tmp_path / "elsewhere", Freeze(at=TIME, reason="x"))
    assert read(tmp_path / "root").freeze is not None


def test_a_destination_is_one_whatever_way_leads_there(tmp_path, monkeypatch):
    record = made_up.record_of(TIME)
    record.settings["push"]["destination"] = "root/../models"
    made_up.save(tmp_path / "root", record)
    (tmp_path / "models").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "petseg_ledger.jsonl").write_text(Freeze(at=TIME, reason="x").model_dump_json())
    history = read(tmp_path / "root", "push.destination=link/")
    assert history.destinations == (str(tmp_path / "models"),)
    assert len(history.freezes) == 1


def test_what_cannot_be_read_is_said_and_left_out(tmp_path):
    made_up.save(tmp_path, made_up.record_of(TIME), made_up.record_of(TIME + DAY))
    (tmp_path / "runs" / made_up.run_id(TIME) / "run.json").write_text("{}")
    (tmp_path / "metadata.sqlite").write_text("no database")
    ledger = made_up.destination(tmp_path) / "petseg_ledger.jsonl"
    ledger.mkdir(parents=True)
    warnings: list[str] = []
    [history] = read_histories(RunStore(tmp_path), None, warnings.append)
    assert [run.at for run in history.runs] == [TIME + DAY + timedelta(minutes=1)]
    record, metadata, told = warnings
    assert "run.json" in record
    assert "metadata.sqlite" in metadata
    assert "left out" in metadata
    assert "petseg_ledger.jsonl" in told


def test_an_empty_root_has_no_history(tmp_path):
    assert read_histories(RunStore(tmp_path / "absent"), None, pytest.fail) == []
    assert not (tmp_path / "absent").exists()


def test_everything_can_be_written_as_json(tmp_path):
    made_up.write_year(tmp_path, 30)
    history = read(tmp_path)
    assert History.model_validate(json.loads(history.model_dump_json())) == history
    assert datetime.now(UTC) > history.entries[-1].at
