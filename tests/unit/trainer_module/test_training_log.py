"""The history and the progress of a training, whatever its numbers."""

import json
from types import SimpleNamespace

import pytest

from trainer_module.training_log import PROGRESS_FILE_VARIABLE, HistoryFile, ProgressLines


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture
def model():
    return SimpleNamespace(name="blog", count_params=lambda: 7)


def test_a_loss_that_is_not_finite_is_null_in_history_and_progress(model, tmp_path, monkeypatch):
    monkeypatch.setenv(PROGRESS_FILE_VARIABLE, str(tmp_path / "progress.jsonl"))
    history, progress = HistoryFile(str(tmp_path / "history.json")), ProgressLines()
    for callback in (history, progress):
        callback.set_params({"epochs": 1, "steps": 1})
        callback.set_model(model)
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        callback.on_epoch_end(0, {"loss": float("nan"), "accuracy": 0.5, "val_loss": float("inf")})
    expected = {"loss": None, "accuracy": 0.5, "val_loss": None}
    [epoch] = json.loads((tmp_path / "history.json").read_text(), parse_constant=_refuse)["epochs"]
    [line] = (tmp_path / "progress.jsonl").read_text().splitlines()
    assert expected.items() <= epoch.items()
    assert expected.items() <= json.loads(line, parse_constant=_refuse).items()
