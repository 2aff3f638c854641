"""Copies to and from the object store."""

import pytest

from pipeline.kubeflow.dry_run.artifacts import ObjectStore
from trainer_module.errors import ConfigError


@pytest.fixture
def store(tmp_path):
    return ObjectStore(tmp_path / "objects")


def _write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_files_go_up_and_come_down_and_empty_directories_do_not(store, tmp_path):
    _write(tmp_path / "model" / "variables" / "data", "weights")
    (tmp_path / "model" / "assets").mkdir()
    assert store.upload(tmp_path / "model", "minio://b/run/model") == 1
    assert store.download("minio://b/run/model", tmp_path / "pod" / "model") == 1
    assert (tmp_path / "pod" / "model" / "variables" / "data").read_text() == "weights"
    assert not (tmp_path / "pod" / "model" / "assets").exists()


def test_a_download_takes_siblings_that_begin_alike_and_counts_its_own(store, tmp_path):
    for name in ("model", "model_run", "other"):
        _write(store.path(f"gs://b/run/{name}") / "file")
    assert store.download("gs://b/run/model", tmp_path / "pod" / "model") == 1
    assert sorted(path.name for path in (tmp_path / "pod").iterdir()) == ["model", "model_run"]


def test_an_object_without_files_below_is_itself_the_file(store, tmp_path):
    _write(tmp_path / "file", "content")
    assert store.upload(tmp_path / "file", "s3://b/run/[odd]") == 1
    assert store.download("s3://b/run/[odd]", tmp_path / "pod" / "file") == 1
    assert (tmp_path / "pod" / "[odd]").read_text() == "content"


def test_what_is_absent_is_no_file(store, tmp_path):
    assert store.upload(tmp_path / "absent", "gs://b/x") == 0
    assert store.download("gs://b/x", tmp_path / "pod" / "x") == 0


@pytest.mark.parametrize("uri", ["/a/path", "file:///a", "http://a/b", "gs://b/../../etc"])
def test_a_uri_of_no_object_store_is_refused(store, uri):
    with pytest.raises(ConfigError, match="no URI of an object store"):
        store.path(uri)
