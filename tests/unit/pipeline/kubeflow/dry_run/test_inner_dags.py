"""Dry-runs of a package whose first task decides whether the others run."""

import json
from pathlib import Path

import pytest

from pipeline.kubeflow.dry_run.runner import dry_run
from pipeline.kubeflow.dry_run.specification import DryRunRequest
from pipeline.kubeflow.package import Package
from pipeline.runs.record import RunRecord, RunState
from trainer_module.errors import ConfigError


def run(package: Package, root: Path, **request) -> RunRecord:
    return dry_run(package, DryRunRequest(root=str(root), **request))


def states(record: RunRecord) -> dict[str, str]:
    return {node.id: node.state.value for node in record.nodes}


def test_the_tasks_run_where_the_condition_holds(deciding, pods, behave, tmp_path):
    behave(fingerprint=True)
    record = run(deciding, tmp_path / "root", parameters={"epochs": 7})
    assert states(record) == {"Driver": "complete", "ExampleGen": "complete", "Trainer": "complete"}, record.error
    trainer = pods()[-1]
    assert trainer["input"]["inputs"]["parameterValues"] == {"epochs": 7}
    [decision] = trainer["input"]["inputs"]["artifacts"]["decision"]["artifacts"]
    assert decision["uri"].endswith("/decision")
    assert trainer["beside_inputs"]["decision"] == ["decision"]

    again = run(deciding, tmp_path / "root", parameters={"epochs": 7})
    assert states(again) == {"Driver": "complete", "ExampleGen": "cached", "Trainer": "complete"}


def test_they_are_left_out_where_it_does_not_and_the_run_is_complete(deciding, pods, behave, tmp_path, capfd):
    behave(fingerprint=False)
    record = run(deciding, tmp_path / "root")
    assert (record.state, record.error) == (RunState.COMPLETE, None)
    assert states(record) == {"Driver": "complete", "ExampleGen": "skipped", "Trainer": "skipped"}
    assert [pod["task"] for pod in pods()] == ["Driver"]
    said = "Retraining is left out: its condition does not hold: inputs.parameter_values['Driver--trains'] == true"
    assert said in "".join(capfd.readouterr())
    assert said in Path(record.log).read_text()


def test_what_waits_for_them_is_left_out_too(deciding, pods, behave, tmp_path):
    behave(fingerprint=False)
    tasks = deciding.pipeline_spec["root"]["dag"]["tasks"]
    tasks["Last"] = {
        "taskInfo": {"name": "Last"},
        "componentRef": {"name": "Driver"},
        "dependentTasks": ["Retraining"],
        "inputs": json.loads(json.dumps(tasks["Driver"]["inputs"])),
    }
    record = run(deciding, tmp_path / "root")
    assert states(record)["Last"] == "skipped"
    assert [pod["task"] for pod in pods()] == ["Driver"]


def test_a_decision_that_is_no_truth_value_ends_the_run(deciding, behave, tmp_path):
    behave(fingerprint="yes")
    record = run(deciding, tmp_path / "root")
    assert record.state is RunState.FAILED
    assert record.error == "task 'Retraining': the parameter 'Driver--trains' is a BOOLEAN, and gets a text"


def test_runs_that_trained_keep_their_artifacts_whatever_was_decided_since(deciding, behave, tmp_path):
    behave(fingerprint=True)
    trained = run(deciding, tmp_path / "root", keep_runs=2)
    behave(fingerprint=False)
    for _ in range(3):
        run(deciding, tmp_path / "root", keep_runs=2)
    behave(fingerprint=True)
    assert states(run(deciding, tmp_path / "root", keep_runs=2))["ExampleGen"] == "cached"
    assert Path(trained.node("ExampleGen").outputs["examples"]).exists()


@pytest.mark.usefixtures("behave")
def test_another_kind_of_condition_is_refused(deciding, tmp_path):
    task = deciding.pipeline_spec["root"]["dag"]["tasks"]["Retraining"]
    task["triggerPolicy"]["condition"] = "inputs.parameter_values['Driver--trains'] != false"
    with pytest.raises(ConfigError, match="petseg reads"):
        run(deciding, tmp_path / "root")
