"""ModelPusher pushes a model once."""

import json

import pytest
from tfx.types import standard_artifacts

from components.model_pusher import executor as pusher
from components.model_pusher.executor import Executor, content_digest, same_files
from components.model_pusher.versions import complete_versions, newest_version, next_version


def write(directory, **files):
    for name, content in ({"saved_model.pb": b"graph", "variables": b"weights"} | files).items():
        path = directory / "v" / name if name == "variables" else directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


@pytest.fixture
def push(tmp_path):
    """Pushes a model to `serving`, and returns the PushedModel."""

    def run(blessed=1, **files):
        model, blessing, pushed = (
            standard_artifacts.Model(), standard_artifacts.ModelBlessing(), standard_artifacts.PushedModel()
        )  # fmt: skip
        model.uri, pushed.uri = str(tmp_path / "model"), str(tmp_path / "pushed")
        write(tmp_path / "model" / "Format-Serving", **files)
        blessing.set_int_custom_property("blessed", blessed)
        destination = json.dumps({"filesystem": {"base_directory": str(tmp_path / "serving")}})
        inputs = {"model": [model], "model_blessing": [blessing]}
        Executor().Do(inputs, {"pushed_model": [pushed]}, {"push_destination": destination})
        return pushed

    return run


def versions(tmp_path):
    return sorted(path.name for path in (tmp_path / "serving").iterdir()) if (tmp_path / "serving").exists() else []


def test_the_same_model_is_pushed_once_and_another_again(push, tmp_path, monkeypatch):
    monkeypatch.setattr(pusher.pusher_executor.time, "time", lambda: 100.0)
    first = push()
    assert first.get_int_custom_property("pushed") == 1
    monkeypatch.setattr(pusher.pusher_executor.time, "time", lambda: 101.0)
    again = push()
    assert again.get_int_custom_property("pushed") == 0
    assert again.get_string_custom_property("already_served") == str(tmp_path / "serving" / "100")
    assert versions(tmp_path) == ["100"]
    assert push(variables=b"other__").get_int_custom_property("pushed") == 1
    assert versions(tmp_path) == ["100", "101"]


def test_a_deleted_version_is_pushed_again(push, tmp_path):
    served = push().get_string_custom_property("pushed_destination")
    for file in (tmp_path / "serving").rglob("saved_model.pb"):
        file.unlink()
    assert newest_version(str(tmp_path / "serving")) is None
    assert served
    assert push().get_string_custom_property("already_served") == ""


def test_what_is_not_blessed_is_not_looked_up(push, tmp_path):
    push()
    refused = push(blessed=0)
    assert refused.get_int_custom_property("pushed") == 0
    assert not refused.has_custom_property("already_served")


def test_the_newest_version_is_the_highest_complete_number(tmp_path):
    assert newest_version(str(tmp_path / "nowhere")) is None
    for name in ("9", "10", "final"):
        write(tmp_path / name)
    for name in ("11", "012", ".13", "٣"):
        (tmp_path / name).mkdir()
    assert newest_version(str(tmp_path)) == str(tmp_path / "10")
    assert complete_versions(str(tmp_path)) == [9, 10]
    assert complete_versions(str(tmp_path / "nowhere")) == []


def test_numbers_grow_whatever_the_clock_says(tmp_path):
    assert next_version(str(tmp_path), 100.9) == 100
    for name in ("100", "205"):
        (tmp_path / name).mkdir()
    assert [next_version(str(tmp_path), now) for now in (50.0, 205.0, 206.5)] == [206, 206, 206]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"variables": b"weighty"}, False),
        ({"variables": b"weights and more"}, False),
        ({"extra": b""}, False),
    ],
)
def test_files_are_compared_by_name_size_and_content(tmp_path, change, same):
    one, other = write(tmp_path / "one"), write(tmp_path / "other", **change)
    (one / "assets").mkdir()
    assert same_files(str(one), str(other)) is same
    assert same_files(str(other), str(one)) is same
    assert (content_digest(str(one)) == content_digest(str(other))) is same
