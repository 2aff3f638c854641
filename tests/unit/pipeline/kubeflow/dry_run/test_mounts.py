"""Where paths of a pod are on this machine."""

import json
from pathlib import Path

import pytest

from pipeline.kubeflow.dry_run.artifacts import Mounts, check_directory
from trainer_module.errors import ConfigError

MOUNTS = Mounts({"/cache": Path("/root dir/volumes/a"), "/cache/deep/": Path("/b"), "/tmp/petseg": Path("/cache/s")})


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("/cache", "/root dir/volumes/a"),
        ("/cache/data", "/root dir/volumes/a/data"),
        ("/cache/deep/x", "/b/x"),
        ("/cache/deeper", "/root dir/volumes/a/deeper"),
        ("--dir=/cache/x,/cache/y", "--dir=/root dir/volumes/a/x,/root dir/volumes/a/y"),
        ("/tmp/petseg/x", "/cache/s/x"),
        ("line\\n/cache/x", "line\\n/root dir/volumes/a/x"),
        ("/cached", "/cached"),
        ("/cache-2", "/cache-2"),
        ("/cache.d/x", "/cache.d/x"),
        ("/my/cache/x", "/my/cache/x"),
        ("./cache", "./cache"),
        ("gs://bucket/cache", "gs://bucket/cache"),
        ("gs://cache/x", "gs://cache/x"),
    ],
)
def test_a_path_is_replaced_where_it_is_one(text, local):
    assert MOUNTS.local(text) == local


def test_paths_inside_json_inside_json_are_replaced_and_it_stays_json():
    nested = json.dumps({"config": json.dumps({"value": json.dumps({"data_dir": "/cache/data", "name": "über"})})})
    found = json.loads(json.loads(json.loads(MOUNTS.local(nested))["config"])["value"])
    assert found == {"data_dir": "/root dir/volumes/a/data", "name": "über"}


def test_lists_and_structs_are_gone_through_and_numbers_stay():
    assert MOUNTS.local({"a": ["/cache", 1.5, {"b": "/cache"}], "c": None}) == {
        "a": ["/root dir/volumes/a", 1.5, {"b": "/root dir/volumes/a"}],
        "c": None,
    }


def test_without_mounts_nothing_changes():
    assert Mounts({}).local("/cache") == "/cache"


@pytest.mark.parametrize("directory", ['/a"b', "/a\\b", "/a\nb"])
def test_a_directory_that_json_would_escape_is_refused(directory):
    with pytest.raises(ConfigError, match="choose another root"):
        check_directory(Path(directory))
