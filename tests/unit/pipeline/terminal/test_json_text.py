"""JSON for machines: no number that JSON has not, wherever it stands."""

import json

import numpy as np

from pipeline.cli import exit_code
from pipeline.terminal.streams import json_text


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_numbers_that_json_has_not_become_null():
    value = {"a": float("nan"), "b": [(1, float("-inf"))], "c": {"d": np.float64("inf")}, "e": 0.25, "f": "NaN é"}
    text = json_text(value)
    assert json.loads(text, parse_constant=_refuse) == {
        "a": None, "b": [[1, None]], "c": {"d": None}, "e": 0.25, "f": "NaN é"
    }  # fmt: skip
    assert text.startswith('{\n  "a": null')


def test_evaluate_prints_null_for_what_is_undefined(monkeypatch, capfd):
    metrics = {"accuracy": float("nan"), "mean_iou": 0.5}
    monkeypatch.setattr("pipeline.commands.evaluate._evaluate", lambda *_: {"metrics": metrics})
    arguments = ["--model", "m", "--dataset", "d", "--data-dir", "d", "--split", "s", "--json"]
    assert exit_code(["evaluate", *arguments]) == 0
    printed = json.loads(capfd.readouterr().out, parse_constant=_refuse)
    assert printed == {"metrics": {"accuracy": None, "mean_iou": 0.5}}
