"""`petseg models`: what it says of versions, and what it does to them."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from mlflow_server import free_port

from components.model_pusher import version_store
from components.model_pusher.push import PushRecord, push
from pipeline.cli import exit_code


@pytest.fixture
def serving(tmp_path, monkeypatch):
    """Versions 100 and 101 in the push destination of a pipeline root, and 102, which has no graph."""
    monkeypatch.setattr(version_store.time, "time", lambda: 100.0)
    base = tmp_path / "root" / "serving_model" / "petseg-demo"
    for index, accuracy in enumerate((0.8, 0.9)):
        model = tmp_path / f"model{index}"
        model.mkdir()
        (model / "saved_model.pb").write_bytes(bytes([index]))
        facts = {
            "run": f"run-{index}",
            "dataset": "pets",
            "dataset_version": "4.0.0",
            "metrics": {"accuracy": accuracy},
        }
        push(str(model), str(base), PushRecord(pushed_at=datetime(2026, 1, 2, tzinfo=UTC), **facts))
    (base / "102").mkdir()
    return base


@pytest.fixture
def models(serving, capfd):
    """Calls the command; returns exit code, standard output and standard error."""

    def run(*arguments):
        code = exit_code(["models", *map(str, arguments), "--model", str(serving)])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def test_the_list_says_what_each_version_is(models, serving):
    (serving / "100" / "saved_model.pb").write_bytes(b"x")
    code, out, _ = models("list")
    heading, *rows = (line.split() for line in out.splitlines())
    assert code == 0
    assert heading == ["version", "state", "pushed", "run", "data", "accuracy", "mean", "IoU"]
    assert rows[0] == ["102", "incomplete"]
    assert rows[1][:3] + rows[1][5:] == ["101", "newest", "complete", "run-1", "pets", "4.0.0", "0.9000"]
    assert rows[2][:2] == ["100", "damaged"]


def test_the_list_as_json_has_what_is_wrong(models, serving):
    (serving / "100" / "saved_model.pb").write_bytes(b"x")
    (serving / "101" / "assets.extra" / "petseg_checksums.json").unlink()
    code, out, _ = models("list", "--json")
    newest, damaged = json.loads(out)[1:]
    assert code == 0
    assert (newest["newest"], newest["state"], newest["metrics"]) == (True, "unverified", {"accuracy": 0.9})
    assert newest["pushed_at"] == "2026-01-02T00:00:00Z"
    assert (damaged["state"], damaged["damages"]) == ("damaged", ["saved_model.pb has changed"])


def test_the_configuration_names_the_directory(serving, tmp_path, capfd):
    assert exit_code(["models", "list", "--pipeline-root", str(tmp_path / "root"), "--json"]) == 0
    assert [row["version"] for row in json.loads(capfd.readouterr().out)] == [102, 101, 100]
    assert exit_code(["models", "list", "--pipeline-root", str(tmp_path / "other")]) == 0
    assert "no versions in" in capfd.readouterr().out


def test_a_rollback_serves_the_earlier_model(models, serving):
    code, out, _ = models("rollback")
    assert (code, out) == (0, "version 103, the model of version 100, takes the place of 101\n")
    assert (serving / "103" / "saved_model.pb").read_bytes() == b"\0"
    assert models("list")[1].splitlines()[1].split()[:6] == ["103", "newest", "(version", "100", "again)", "complete"]
    code, out, _ = models("rollback", 101, "--json")
    assert json.loads(out) == {"version": 104, "copy_of": 101, "withdrawn": 103}


def test_a_rollback_moves_the_alias_of_the_tracker_too(models, serving):
    root, down = serving.parents[1], f"tracking.mlflow=http://127.0.0.1:{free_port()}"
    code, out, err = models("rollback", "--set", down, "--pipeline-root", root, "--json")
    assert (code, json.loads(out)["version"]) == (0, 103)
    assert "MLflow's aliases wait to be moved by `petseg track sync`" in err
    [move] = json.loads((root / "tracking_aliases.json").read_text())["moves"].values()
    assert (move["aliases"], move["copies"]) == ({"champion": "103"}, {"103": "100"})
    (root / "tracking_aliases.json").unlink()
    models("rollback", "--set", down, "--json")
    assert not (root / "tracking_aliases.json").exists(), "of a directory that is no push destination nobody is told"


def test_a_rollback_to_what_is_not_there_is_refused(models):
    code, out, err = models("rollback", 7)
    assert (code, out) == (1, "")
    assert "there is no complete version 7 in" in err
    assert "there are [100, 101]" in err


def test_the_newest_goes_by_force_alone(models, serving):
    code, _, err = models("remove", 101)
    assert code == 1
    assert "version 100 would be served next" in err
    assert (serving / "101").is_dir()
    assert models("remove", 101, "--force")[:2] == (0, "removed version 101; servers take version 100\n")
    assert json.loads(models("remove", 102, "--json")[1]) == {"removed": 102, "newest": 100}
    assert "nothing would be served" in models("remove", 100)[2]
    assert models("remove", 100, "--force")[1] == "removed version 100; nothing is served any more\n"
    assert "there is no version 100" in models("remove", 100)[2]
    assert {path.name for path in serving.iterdir()} == {".petseg_push.lock", "petseg_ledger.jsonl"}


def test_the_pinned_stay(models, serving):
    code, _, err = models("remove", 100, "--set", "push.pinned_versions=[100]")
    assert code == 1
    assert "version 100 is in push.pinned_versions" in err


def test_damage_is_named_and_is_a_failure(models, serving):
    assert models("verify")[:2] == (0, "101: as it was pushed\n")
    (serving / "100" / "saved_model.pb").write_bytes(b"x")
    (serving / "100" / "more").write_bytes(b"x")
    assert models("verify")[0] == 0, "the newest is fine"
    assert models("verify", 100)[:2] == (1, "100: more was not pushed\n100: saved_model.pb has changed\n")
    code, out, _ = models("verify", "--all", "--json")
    found = json.loads(out)
    assert (code, found["100"], found["101"]) == (1, ["more was not pushed", "saved_model.pb has changed"], [])
    assert "cannot be verified" in found["102"][0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["verify", "7"], 1, "there is no version 7 in"),
        (["verify", "7", "--all"], 2, "did you mean: petseg models verify 7"),
        (["remove", "x"], 2, "'x' is not a valid integer"),
        (["rolback"], 2, "did you mean 'rollback'?"),
        (["list", "--set", "push.keep_version=1"], 2, "push.keep_versions"),
    ],
)
def test_what_cannot_be_done_is_explained(models, arguments, code, message):
    found, _, err = models(*arguments)
    assert (found, message in err) == (code, True), err


@pytest.mark.parametrize("arguments", [["rollback"], ["rollback", "7"], ["remove", "7"], ["verify"], ["list"]])
def test_nothing_is_made_where_there_are_no_versions(arguments, tmp_path, capfd):
    assert exit_code(["models", *arguments, "--model", str(tmp_path / "nowhere")]) == (arguments != ["list"])
    assert str(tmp_path / "nowhere") in "".join(capfd.readouterr())
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_that_cannot_be_written_is_named(models, serving):
    file = serving / ".petseg_push.lock"
    file.unlink()
    file.mkdir()
    code, _, err = models("remove", 100)
    assert code == 1
    assert "cannot work on the versions in" in err


@pytest.mark.parametrize("arguments", ["list", "verify --all", "rollback", "remove 100"])
def test_a_directory_of_this_machine_needs_no_tensorflow(serving, arguments):
    (serving / "102").rmdir()
    code = (
        "import sys\nfrom pipeline.cli import exit_code\n"
        "assert exit_code(sys.argv[1:]) == 0\n"
        "heavy = {'tensorflow', 'tfx', 'keras', 'apache_beam', 'ml_metadata', 'google.protobuf', 'grpc'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code, "models", *arguments.split(), "--model", str(serving)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout
