"""`petseg kubeflow dry-run`: what it passes on, and its exit codes."""

import json
from datetime import UTC, datetime

import pytest

from pipeline.cli import exit_code
from pipeline.runs.record import RunRecord, RunState


@pytest.fixture
def file(make_package, tmp_path):
    make_package().save(tmp_path / "package.yaml")
    return str(tmp_path / "package.yaml")


def test_the_record_is_json_and_the_dry_run_is_listed(file, pods, tmp_path, capfd):
    root = str(tmp_path / "root")
    arguments = ["kubeflow", "dry-run", file, "--pipeline-root", root, "--parameter", "epochs=5"]
    assert exit_code([*arguments, "--json"]) == 0
    record = json.loads(capfd.readouterr().out)
    assert (record["state"], record["settings"]["parameters"]) == ("complete", {"epochs": 5})
    assert pods()[-1]["input"]["inputs"]["parameterValues"] == {"epochs": 5}
    assert exit_code(["runs", "--pipeline-root", root]) == 0
    assert record["run_id"] in capfd.readouterr().out
    assert exit_code([*arguments, "--no-cache"]) == 0
    assert len(pods()) == 6


def test_a_failure_is_1_and_said(file, behave, tmp_path, capfd):
    behave(Driver={"fail": 1})
    assert exit_code(["kubeflow", "dry-run", file, "--pipeline-root", str(tmp_path / "root")]) == 1
    assert "error: Driver failed: the split is empty" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("option", "execute", "again"),
    [
        ([], "runner.dry_run", "run again to go on after the last component that finished"),
        (["--docker"], "docker.docker_run", "the next run begins with the first component"),
    ],
)
def test_an_interrupt_is_130_and_says_where_the_next_run_begins(file, option, execute, again, monkeypatch, capfd):
    how = {"state": RunState.INTERRUPTED, "error": "interrupted in ExampleGen"}
    record = RunRecord(run_id="x", pipeline="petseg", preset=None, started=datetime.now(UTC), log="log", **how)
    monkeypatch.setattr(f"pipeline.kubeflow.dry_run.{execute}", lambda *_: record)
    assert exit_code(["kubeflow", "dry-run", file, *option]) == 130
    assert f"interrupted in ExampleGen; {again}\n" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parameter", "epoch=3"], "did you mean 'epochs'?"),
        (["--parameter", "epochs=0"], "the parameter epochs is 0; expected: a whole number from 1 on"),
        (["--docker", "--no-cache"], "--docker has neither cache nor pods to keep"),
        (["--pipeline-root", "gs://bucket"], "needs a directory of this machine"),
    ],
)
def test_what_cannot_be_used_is_2(file, arguments, message, capfd):
    assert exit_code(["kubeflow", "dry-run", file, *arguments]) == 2
    assert message in capfd.readouterr().err


def test_a_file_that_is_no_package_is_2(tmp_path, capfd):
    assert exit_code(["kubeflow", "dry-run", str(tmp_path / "absent.yaml")]) == 2
    assert "cannot read the package" in capfd.readouterr().err
