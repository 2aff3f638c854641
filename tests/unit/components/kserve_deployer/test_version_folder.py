"""The folder that a server reads holds one version, in TensorFlow Serving's layout."""

import os
from pathlib import Path

import pytest
import tensorflow as tf

from components.kserve_deployer import executor
from components.kserve_deployer.executor import provide_version_folder
from components.kserve_deployer.service import version_of
from trainer_module.errors import ModelError

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "assets.extra/petseg_model.json": b"{}"}


@pytest.fixture
def destination(tmp_path):
    for version in ("17", "170"):
        for name, content in FILES.items():
            file = tmp_path / "pets" / version / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content + version.encode())
    return tmp_path / "pets"


def files(folder: Path):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_it_holds_the_one_version(destination):
    name = provide_version_folder(str(destination), "17")
    assert name == ".kserve/17-only"
    assert files(destination / name) == {f"17/{file}": content + b"17" for file, content in FILES.items()}
    assert version_of(f"pvc://claim/{name}") == "17"


def test_on_a_volume_it_takes_no_space(destination):
    name = provide_version_folder(str(destination), "17")
    linked = destination / name / "17" / "saved_model.pb"
    assert linked.stat().st_ino == (destination / "17" / "saved_model.pb").stat().st_ino


def test_without_hard_links_it_holds_copies(destination, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    name = provide_version_folder(str(destination), "17")
    assert (destination / name / "17" / "saved_model.pb").read_bytes() == b"graph17"


def test_it_is_made_once_and_no_beginning_of_another(destination):
    name = provide_version_folder(str(destination), "17")
    before = (destination / name).stat().st_mtime_ns
    other = provide_version_folder(str(destination), "170")
    assert provide_version_folder(str(destination), "17") == name
    assert (destination / name).stat().st_mtime_ns == before
    assert not other.startswith(name)
    assert sorted(path.name for path in (destination / ".kserve").iterdir()) == ["17-only", "170-only"]


def test_the_versions_stay_what_they_were(destination):
    provide_version_folder(str(destination), "17")
    assert sorted(path.name for path in destination.iterdir() if path.name.isdecimal()) == ["17", "170"]


def test_a_version_that_is_gone_leaves_nothing_behind(destination):
    with pytest.raises(ModelError, match=r"cannot make '.*/\.kserve/18-only', which KServe is to read version 18 from"):
        provide_version_folder(str(destination), "18")
    assert not list(destination.glob(".kserve/*"))


def test_objects_of_a_bucket_are_copied_the_graph_last(destination, monkeypatch):
    copied = []
    copy = tf.io.gfile.copy
    monkeypatch.setattr(executor, "_REMOTE", str(destination.parent))
    monkeypatch.setattr(
        tf.io.gfile, "copy", lambda *paths, **options: (copied.append(paths[0]), copy(*paths, **options))
    )
    name = provide_version_folder(str(destination), "17")
    assert files(destination / name) == {f"17/{file}": content + b"17" for file, content in FILES.items()}
    assert copied[-1].endswith("17/saved_model.pb")
    provide_version_folder(str(destination), "17")
    assert len(copied) == len(FILES)


def test_everybody_may_enter_it_whatever_the_umask(destination):
    before = os.umask(0o077)
    try:
        folder = Path(destination) / provide_version_folder(str(destination), "17")
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in (folder.parent, folder)} == {"0o755"}
