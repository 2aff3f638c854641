"""submit, status, logs and the list, of runs that decide first whether to train."""

import json
import time

import pytest
from fake_metadata import InMemory, MetadataOfRuns
from fake_workflow import driver_node, executor_node, play

from components.retraining_decider.decision import Decision, Reason, ReasonKind
from pipeline.kubeflow.dags import RETRAINING
from pipeline.nodes import RETRAINING_DECIDER as DECIDER

AGAINST = Decision(trains=False, notes=("tiles 1.0.0 was tried",))
FOR = Decision(trains=True, reasons=(Reason(kind=ReasonKind.DATA, text="new data: tiles 1.1.0"),))
SKIPPED = {DECIDER: "SUCCEEDED", RETRAINING: {}}
TRAINED = {
    DECIDER: "SUCCEEDED",
    RETRAINING: {"TfdsExampleGen": "SUCCEEDED", "Trainer": "SUCCEEDED", "Pusher": "SUCCEEDED"},
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def package_file(deciding_package, tmp_path):
    file = tmp_path / "pets.yaml"
    deciding_package.save(file)
    return file


@pytest.fixture
def runs(api) -> MetadataOfRuns:
    api.metadata = InMemory()
    return MetadataOfRuns(api.metadata)


@pytest.fixture
def submitted(petseg, package_file, runs):
    """Starts a run that decided so; returns its id."""

    def submit(decision: Decision) -> str:
        run_id = petseg("submit", package_file, "--no-wait")[1].strip()
        properties = {"trains": float(decision.trains), "decision": decision.model_dump_json()}
        runs.add_task(run_id, DECIDER, {"decision": ("minio://b/decision", properties)})
        runs.add_dag(run_id, RETRAINING, is_skipped=not decision.trains)
        return run_id

    return submit


def test_a_run_without_a_reason_is_complete_and_says_so(api, petseg, submitted):
    run_id = submitted(AGAINST)
    play(api, ("RUNNING", {DECIDER: "RUNNING"}), ("SUCCEEDED", SKIPPED))
    code, out, err = petseg("status", run_id, "--follow")
    assert (code, err) == (0, "")
    assert out.splitlines()[2:] == [
        "RetrainingDecider: running",
        "RetrainingDecider: complete, 30.0 s, not to train: tiles 1.0.0 was tried",
        "complete after 1 m 30 s",
        "not to train: tiles 1.0.0 was tried",
    ]
    code, out, _ = petseg("status", run_id, "--json")
    record = json.loads(out)
    assert (code, record["state"], record["decision"]["trains"]) == (0, "complete", False)
    assert [(node["id"], node["state"]) for node in record["nodes"]] == [
        (DECIDER, "complete"), ("TfdsExampleGen", "skipped"), ("Trainer", "skipped"), ("Pusher", "skipped"),
    ]  # fmt: skip


def test_a_run_with_a_reason_shows_its_components_as_any(api, petseg, submitted, runs):
    run_id = submitted(FOR)
    pushed = json.dumps({"summary": "/serving/7", "fields": {"pushed_model": "/serving/7"}})
    runs.add_task(run_id, "Pusher", {"pushed_model": ("minio://b/pushed", {"findings": pushed})})
    play(api, ("SUCCEEDED", TRAINED))
    code, out, _ = petseg("status", run_id)
    assert code == 0
    assert "to train: new data: tiles 1.1.0" in out
    assert "pushed: /serving/7" in out
    assert not any(line.startswith(f"{RETRAINING} ") for line in out.splitlines())


def test_the_list_says_which_runs_trained(petseg, submitted, runs):
    skipped, trained = submitted(AGAINST), submitted(FOR)
    runs.add_task(trained, "Evaluator", {"blessing": ("minio://b/blessing", {"blessed": 1.0})})
    code, out, _ = petseg("status", "--experiment", "petseg-pets")
    found = {row[0]: set(row) & {"yes", "skipped"} for row in map(str.split, out.splitlines()[1:])}
    assert (code, found) == (0, {trained: {"yes"}, skipped: {"skipped"}})


def test_logs_are_found_in_the_dag_and_of_its_driver(api, petseg, submitted):
    run_id = submitted(FOR)
    play(api, ("SUCCEEDED", TRAINED))
    logs = api.store.archived_logs
    logs[executor_node("Trainer", 0, RETRAINING)] = "trained\n"
    logs[driver_node("Trainer", RETRAINING)] = "prepared\n"
    logs[driver_node(RETRAINING)] = "decided\n"
    assert petseg("logs", run_id, "Trainer")[:2] == (0, "trained\n")
    assert petseg("logs", run_id, "Trainer-driver")[:2] == (0, "prepared\n")
    assert petseg("logs", run_id, f"{RETRAINING}-driver")[:2] == (0, "decided\n")
    assert petseg("logs", run_id, RETRAINING)[0] == 1


def test_what_was_left_out_has_no_log(api, petseg, submitted):
    run_id = submitted(AGAINST)
    play(api, ("SUCCEEDED", SKIPPED))
    code, _, err = petseg("logs", run_id, "Trainer")
    assert code == 1
    assert "has no log: it is skipped" in err


def test_the_driver_of_the_dag_may_fail(api, petseg, submitted):
    run_id = submitted(FOR)
    play(api, ("FAILED", {DECIDER: "SUCCEEDED", RETRAINING: "DRIVER_FAILED"}))
    api.store.archived_logs[driver_node(RETRAINING)] = "F1129 10:00:09.1 16 main.go:127] KFP driver: no input\n"
    code, out, _ = petseg("status", run_id, "--json")
    record = json.loads(out)
    assert code == 1
    assert record["error"] == "Retraining-driver, which prepares Retraining, failed: KFP driver: no input"
    assert record["nodes"][-1]["state"] == "skipped"
