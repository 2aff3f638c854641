"""`petseg serve` before it serves: what it is given, and what it lacks."""

import importlib.util

import pytest

from pipeline import cli


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["x", "--preset", "demo"], 2, "both say what to serve; give one of them"),
        (["--preset", "demo", "--set", "push.destination=gs://bucket/x"], 2, "not 'gs://bucket/x': copy a version"),
        (["--preset", "demo"], 1, "no model in"),
        (["empty", "--port", "0"], 1, "no model in"),
        (["empty", "--host", "no-such-host.invalid"], 2, "Name another --host or --port"),
        (["empty", "--max-batch", "0"], 2, "--max-batch"),
    ],
)
def test_what_cannot_be_served_is_told(arguments, code, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert cli.exit_code(["serve", *arguments]) == code
    assert message in capfd.readouterr().err


def test_without_the_extra_it_says_how_to_get_it(monkeypatch, capfd):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fastapi" else found(name))
    assert cli.exit_code(["serve", "x"]) == 2
    assert "needs fastapi, of the extra `serve`. In a checkout: make setup" in capfd.readouterr().err
