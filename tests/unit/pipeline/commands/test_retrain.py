"""`petseg retrain`, and the commands that freeze what is served."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.model_evaluator.gate import BoundResult
from components.model_pusher.ledger import Ledger
from components.model_pusher.origin import Origin
from components.retraining_decider.decision import Decision, Reason, ReasonKind
from pipeline.cli import exit_code
from pipeline.config.loading import load_config
from pipeline.local import runner
from pipeline.notifications.message import outcome_of, run_message
from pipeline.report.page import run_page
from pipeline.report.run_sections import run_verdict
from pipeline.runs.record import RunRecord, RunState
from pipeline.runs.tables import result_lines, verdict_line
from pipeline.tracking.story import verdict

NEW_DATA = Reason(
    kind=ReasonKind.DATA, text="new data: tiles 1.1.0, before tiles 1.0.0", numbers={"train_examples": 9.0}
)


def decided(trains, **more):
    origin = Origin(dataset="tiles", version="1.1.0", splits={"train": 9, "test": 3})
    reasons = {"reasons": (NEW_DATA,)} if trains else {"notes": ("tiles 1.1.0 was tried", "pushes are frozen: fair")}
    return Decision(**{"trains": trains, "origin": origin, "served_version": "17"} | reasons | more)


@pytest.fixture
def record(tmp_path):
    record = RunRecord.begin("20260101-000000-000000", load_config(), tmp_path / "run.log")
    record.state = RunState.COMPLETE
    return record


@pytest.fixture
def retrain(monkeypatch, record, capfd):
    """Calls the command; returns exit code, what was asked of the runner, and standard output."""
    asked = SimpleNamespace(request=None)

    def run_pipeline(_config, request):
        asked.request = request
        return record

    monkeypatch.setattr(runner, "run_pipeline", run_pipeline)

    def run(*arguments):
        code = exit_code(["retrain", "--preset", "demo", *arguments])
        return code, asked.request, capfd.readouterr().out

    return run


def test_a_run_decides_first(retrain, record):
    record.decision = decided(trains=False)
    code, request, out = retrain("--json")
    assert (code, request.retrain, request.asked, request.use_cache) == (0, True, False, True)
    assert json.loads(out)["decision"]["notes"][0] == "tiles 1.1.0 was tried"
    assert retrain("--always", "--no-cache")[1] == runner.RunRequest(use_cache=False, retrain=True, asked=True)


def test_a_model_that_is_not_pushed_is_told_by_the_exit_code(retrain, record):
    record.decision, record.blessed = decided(trains=True), False
    assert retrain()[0] == 3


def test_what_was_decided_is_told_wherever_a_run_is(record):
    record.decision = decided(trains=False)
    assert verdict_line(record) == "not to train: tiles 1.1.0 was tried; pushes are frozen: fair"
    assert verdict(record) == "not trained"
    assert outcome_of(record) == "unneeded"
    assert run_verdict(record).headline == "Not trained: no reason to"
    assert result_lines(record)[1] == verdict_line(record)


def test_the_report_of_a_run_that_trained_says_why(record):
    record.decision = decided(trains=True, notes=("pushes are frozen: fair",))
    facts = [fact.text for fact in run_message(record, None, load_config().notification).facts if fact.name == "reason"]
    assert facts == [NEW_DATA.text]
    lines = result_lines(record)
    assert lines[1:3] == ["to train: new data: tiles 1.1.0, before tiles 1.0.0", "pushes are frozen: fair"]


def test_a_page_without_a_training_has_the_decision_and_what_ran(record, monkeypatch):
    monkeypatch.setattr("pipeline.report.page.what_ran", lambda _: SimpleNamespace(title="What ran"))
    record.decision = decided(trains=False)
    page = run_page(SimpleNamespace(record=record), None, None)
    assert [section.title for section in page.sections] == ["Decision", "What ran"]
    assert "The newest data is tiles 1.1.0: 9 train, 3 test. Version 17 is served." in page.sections[0].blocks[1].text


def test_a_blessed_model_that_a_freeze_keeps_back_is_not_called_pushed(record):
    bound = BoundResult(metric="accuracy", kind="min", bound=0.5, value=0.9, passed=True)
    record.thresholds, record.blessed, record.not_pushed = [bound], True, "pushes are frozen since noon: fair"
    assert verdict_line(record) == "blessed, not pushed: pushes are frozen since noon: fair"
    assert "not pushed: pushes are frozen since noon: fair" in result_lines(record)


class TestFreeze:
    def test_it_holds_until_it_is_ended(self, tmp_path, capfd):
        place = ["--model", str(tmp_path / "serving")]
        assert exit_code(["freeze", "the fair", *place]) == 0
        freeze = Ledger.of(str(tmp_path / "serving")).freeze
        assert freeze.reason == "the fair"
        assert freeze.at <= datetime.now(UTC)
        exit_code(["models", "list", *place])
        assert freeze.summary in capfd.readouterr().err
        assert exit_code(["freeze", "again", *place]) == 1
        assert exit_code(["unfreeze", *place, "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["ended"]["reason"] == "the fair"
        assert Ledger.of(str(tmp_path / "serving")).freeze is None
        assert exit_code(["unfreeze", *place]) == 1

    def test_it_needs_a_reason(self, tmp_path, capfd):
        assert exit_code(["freeze", "  ", "--model", str(tmp_path)]) == 2
        assert "needs a reason" in capfd.readouterr().err
        assert list(Path(tmp_path).iterdir()) == []
