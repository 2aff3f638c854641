"""The command line: what it loads, its exit codes, and the commands that need no TFX."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.config.loading import load_config
from pipeline.config.schema import DEFAULT_PIPELINE_ROOT
from pipeline.runs.record import ProbeRecord, RunRecord, RunState
from pipeline.runs.store import RunStore
from trainer_module.errors import ConfigError, ModelError

LIGHT_COMMANDS = [
    "--help",
    "run --help",
    "runs --help",
    "history --help",
    "history",
    "history --json --last 1",
    "report --help",
    "pictures --help",
    "compare --help",
    "evaluate --help",
    "predict --help",
    "kserve --help",
    "export --help",
    "models --help",
    "models list --help",
    "models rollback --help",
    "models remove --help",
    "models verify --help",
    "serve --help",
    "track --help",
    "track status",
    "track sync --help",
    "doctor --help",
    "show-config --preset pets",
    "show-config --json",
    "runs",
    "runs list --json",
    "runs show",
    "runs show --json latest",
    "compare latest 20260101-000000-000000",
    "compare latest 20260101-000000-000000 --json",
]
"""What only reads files and answers at once."""

ANSWER = """
import contextlib, io, json, sys
from pipeline.cli import exit_code
heavy = {'tensorflow', 'tfx', 'tensorflow_datasets', 'apache_beam', 'keras', 'matplotlib', 'ml_metadata'}
heavy |= {'fastapi', 'kfp', 'kubernetes', 'mlflow', 'uvicorn', 'pandas', 'pyarrow', 'jinja2'}
answers = {}
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = exit_code(arguments.split())
    answers[arguments] = [code, sorted(heavy & set(sys.modules)), out.getvalue()]
print(json.dumps(answers))
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "root"


def record_run(root: Path, run_id: str, **fields) -> RunRecord:
    files = RunStore(root).create_run(run_id)
    record = RunRecord.begin(run_id, load_config(preset="demo"), files.log)
    for name, value in fields.items():
        setattr(record, name, value)
    record.save(files.record)
    return record


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, tuple[int, list[str], str]]:
    """Each light command to its exit code, the heavy modules that are loaded after it, and what it printed.

    They run one after another in one process, where two finished runs are, of which only the records are left.
    """
    directory = tmp_path_factory.mktemp("two_runs")
    for day in (1, 2):
        record_run(directory / DEFAULT_PIPELINE_ROOT, f"2026010{day}-000000-000000", state=RunState.COMPLETE)
    command = [sys.executable, "-c", ANSWER, json.dumps(LIGHT_COMMANDS)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=directory, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("arguments", LIGHT_COMMANDS)
def test_light_commands_import_no_tensorflow(arguments, answers):
    code, heavy, printed = answers[arguments]
    assert code == 0
    assert heavy == []
    assert printed


def test_help_lists_every_command_in_one_line(capsys):
    assert cli.exit_code(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, (_, help_line) in cli._COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, help_line] for line in lines)


@pytest.mark.parametrize("name", list(cli._COMMANDS))
def test_every_command_is_where_the_table_says(name):
    assert cli.cli.get_command(None, name).name == name


def test_version(capsys):
    assert cli.exit_code(["--version"]) == 0
    assert capsys.readouterr().out.startswith("petseg 0.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "did you mean 'run'?"),
        (["run", "--nope"], "No such option '--nope'"),
        (["run", "--preset", "pts"], "did you mean 'pets'?"),
        (["run", "--set", "trainer.epoch=3"], "did you mean 'trainer.epochs'?"),
        (["run", "--pipeline-root", "gs://bucket/x"], "a local run needs a directory of this machine"),
        (["runs", "list", "x"], "petseg runs show x"),
    ],
)
def test_bad_usage_is_2(arguments, message, capsys, root):
    assert cli.exit_code(arguments) == 2
    assert message in capsys.readouterr().err
    assert not root.exists()


@pytest.mark.parametrize(("error", "code"), [(ConfigError("x"), 2), (ModelError("x"), 1), (KeyboardInterrupt(), 130)])
def test_errors_become_a_message_and_a_code(error, code, monkeypatch, capsys):
    def fail(**_):
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.exit_code([]) == code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("state", "blessed", "code"),
    [
        (RunState.COMPLETE, True, 0),
        (RunState.COMPLETE, None, 0),
        (RunState.COMPLETE, False, 3),
        (RunState.FAILED, False, 1),
        (RunState.INTERRUPTED, None, 130),
    ],
)
def test_run_exits_by_what_came_of_it(state, blessed, code, root, monkeypatch, capsys):
    record = record_run(root, "x", state=state, blessed=blessed, error="why")
    monkeypatch.setattr("pipeline.local.runner.run_pipeline", lambda *_: record)
    assert cli.exit_code(["run", "--preset", "demo", "--json"]) == code
    out, err = capsys.readouterr()
    assert RunRecord.model_validate_json(out) == record
    assert ("why" in err) is (state in (RunState.FAILED, RunState.INTERRUPTED))
    assert ("why; run again to go on after the last" in err) is (state is RunState.INTERRUPTED)


@pytest.mark.parametrize("forced", [None, "the old one leaks"])
def test_a_model_that_cannot_be_served_is_not_blessed_by_force_either(forced, root, monkeypatch, capsys):
    probe = ProbeRecord(refusals=["it is slow"])
    record = record_run(root, "x", state=RunState.COMPLETE, blessed=forced is None, force_blessed=forced, probe=probe)
    monkeypatch.setattr("pipeline.local.runner.run_pipeline", lambda *_: record)
    assert cli.exit_code(["run", "--preset", "demo"]) == 3
    assert cli.exit_code(["runs", "--pipeline-root", str(root)]) == 0
    assert "refused" in capsys.readouterr().out


def test_a_forced_blessing_is_no_failure_and_is_said_aloud(root, monkeypatch, capsys):
    record = record_run(root, "x", state=RunState.COMPLETE, blessed=False, force_blessed="the old one leaks")
    requests = []
    monkeypatch.setattr("pipeline.local.runner.run_pipeline", lambda _, request: requests.append(request) or record)
    assert cli.exit_code(["run", "--preset", "demo", "--reset-baseline", "--force-bless", " the old one leaks "]) == 0
    assert (requests[0].force_bless, requests[0].reset_baseline) == ("the old one leaks", True)
    assert "did not pass the gate and is blessed by force: the old one leaks" in capsys.readouterr().err
    assert cli.exit_code(["run", "--preset", "demo"]) == 0
    assert (requests[1].force_bless, requests[1].reset_baseline) == ("", False)


def test_force_wants_a_reason(root, capsys):
    assert cli.exit_code(["run", "--preset", "demo", "--force-bless", " "]) == 2
    assert "--force-bless needs a reason" in capsys.readouterr().err
    assert not root.exists()


def test_a_root_that_cannot_be_made_fails_before_tensorflow_is_loaded(root, capsys):
    root.write_text("a file")
    assert cli.exit_code(["run", "--preset", "demo", "--pipeline-root", str(root / "inside")]) == 1
    err = capsys.readouterr().err
    assert f"cannot write to the pipeline root {str(root / 'inside')!r}: Not a directory" in err
    assert "--pipeline-root DIR" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_root_without_permission_is_refused(root, capsys):
    root.mkdir(mode=0o500)
    assert cli.exit_code(["run", "--preset", "demo", "--pipeline-root", str(root)]) == 1
    assert "Permission denied" in capsys.readouterr().err


def test_show_config_says_what_run_would_use(capsys, root):
    assert cli.exit_code(["show-config", "--set", "trainer.epochs=7", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == load_config(preset="demo", overrides=["trainer.epochs=7"]).model_dump(mode="json")
    assert "using the preset demo" in err
    file = root.with_suffix(".toml")
    assert cli.exit_code(["show-config", "--preset", "blog"]) == 0
    file.write_text(capsys.readouterr().out)
    assert load_config(file=file) == load_config(preset="blog")


def test_runs_lists_the_latest_first_and_shows_one(root, capsys):
    record_run(root, "20260101-000000-000000", state=RunState.COMPLETE, metrics={"accuracy": 0.9}, blessed=True)
    failed = record_run(root, "20260102-000000-000000", state=RunState.FAILED, error="it broke")
    directory = ["--pipeline-root", str(root)]

    assert cli.exit_code(["runs", "--json", *directory]) == 0
    assert [run["run_id"] for run in json.loads(capsys.readouterr().out)] == [
        "20260102-000000-000000",
        "20260101-000000-000000",
    ]
    assert cli.exit_code(["runs", *directory, "show", "latest", "--json"]) == 0
    assert RunRecord.model_validate_json(capsys.readouterr().out) == failed
    assert cli.exit_code(["runs", "show", "20260101-000000-000000", *directory]) == 0
    assert "accuracy 0.9000" in capsys.readouterr().out
    assert cli.exit_code(["runs", "show", "20260102-000000-000000", *directory]) == 0
    assert "it broke" in capsys.readouterr().out
    assert cli.exit_code(["runs", "show", "nope", *directory]) == 1
    assert "there is no run 'nope'" in capsys.readouterr().err


def test_a_broken_record_does_not_hide_the_others(root, capsys):
    record_run(root, "20260101-000000-000000")
    files = RunStore(root).create_run("20260102-000000-000000")
    files.record.write_text("{")
    assert cli.exit_code(["runs", "list", "--json", "--pipeline-root", str(root)]) == 0
    out, err = capsys.readouterr()
    assert [run["state"] for run in json.loads(out)] == ["interrupted"]
    assert "is no run record" in err


def test_no_runs_is_said(root, capsys):
    assert cli.exit_code(["runs", "--pipeline-root", str(root)]) == 0
    assert "no runs under" in capsys.readouterr().out
    assert cli.exit_code(["runs", "show", "--pipeline-root", str(root)]) == 1
    assert "`petseg run` starts one" in capsys.readouterr().err
