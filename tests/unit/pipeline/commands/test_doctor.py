"""`petseg doctor`: its exit codes, its JSON, and that it starts where the libraries it looks at do not."""

import json
import subprocess
import sys

import pytest

from pipeline.cli import exit_code
from pipeline.doctor import examination
from pipeline.doctor.findings import Check, ok, problem, warning

LOOK = """
import json, sys
from pipeline.cli import exit_code
from pipeline.doctor import data, examination, packages, services
from pipeline.doctor.findings import ok
packages.ask = lambda *_: packages.Modules(seconds=1.0, gpus=[], cuda="12.5").model_dump()
data.ask = lambda *_: ok("data set", "as it should be").model_dump()
code = exit_code(["doctor", "--preset", "demo", "--json", "--pipeline-root", sys.argv[1]])
heavy = {"tensorflow", "tfx", "tensorflow_datasets", "apache_beam", "keras", "kfp", "kubernetes", "mlflow"}
print(json.dumps([code, sorted(heavy & set(sys.modules))]), file=sys.stderr)
"""


@pytest.fixture
def doctor(monkeypatch, capsys):
    """Runs the command on findings; returns exit code and standard output."""

    def run(*findings, options=()):
        checks = [Check("places", finding.subject, lambda found=finding: found) for finding in findings]
        monkeypatch.setattr(examination, "checks_of", lambda config, offline: checks)
        code = exit_code(["doctor", "--preset", "demo", *options])
        return code, capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    ("findings", "code", "last"),
    [
        ([ok("a", "x")], 0, "1 ok"),
        ([ok("a", "x"), warning("b", "y", "do this")], 0, "1 warning, 1 ok"),
        ([problem("a", "x", "do that"), warning("b", "y")], 1, "1 problem, 1 warning"),
    ],
)
def test_a_problem_alone_is_a_failure(doctor, findings, code, last):
    ended, out = doctor(*findings)
    assert ended == code
    assert out.splitlines()[-1].strip() == last


def test_the_json_has_every_finding(doctor):
    code, out = doctor(ok("a", "x"), problem("b", "y", "do that"), options=["--json"])
    answer = json.loads(out)
    assert code == 1
    assert answer["summary"] == "1 problem, 1 ok"
    assert answer["findings"][1] == {
        "area": "places",
        "subject": "b",
        "state": "problem",
        "found": "y",
        "remedy": "do that",
    }


def test_a_configuration_that_cannot_be_used_is_bad_usage(capsys):
    assert exit_code(["doctor", "--preset", "demo", "--set", "trainer.epoch=3"]) == 2
    assert "did you mean 'trainer.epochs'?" in capsys.readouterr().err


def test_the_command_itself_imports_nothing_that_it_looks_at(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", LOOK, str(tmp_path / "root")], capture_output=True, text=True, timeout=120, check=False
    )
    code, heavy = json.loads(ended.stderr.splitlines()[-1])
    findings = json.loads(ended.stdout)["findings"]
    assert heavy == []
    assert {finding["area"] for finding in findings} == {
        "machine",
        "packages",
        "places",
        "pushed models",
        "data",
        "services",
        "schedules",
    }
    assert code == int(any(finding["state"] == "problem" for finding in findings))
    assert not (tmp_path / "root").exists()
