"""Logs that the launcher has put into the object store."""

from types import SimpleNamespace

import pytest
from pyarrow import fs

from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow import pod_logs
from pipeline.kubeflow.pod_logs import ComponentPod, NoLogError, PodLogs

ROOT = "minio://mlpipeline/v2/artifacts/petseg-pets/run"


class Client:
    """A client whose server has no archive."""

    def __init__(self, **settings):
        self.config = KubeflowConfig(**settings)
        self.access = SimpleNamespace(host="http://server")

    def archived_log(self, run_id, node_id):
        return None


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A folder in the place of the store, which is asked by the paths that an S3 API has."""
    monkeypatch.setattr(pod_logs, "_file_system", lambda config, scheme: _folder(tmp_path))
    return tmp_path / "mlpipeline/v2/artifacts/petseg-pets/run"


def _folder(directory):
    return fs.SubTreeFileSystem(str(directory), fs.LocalFileSystem())


def read(component="Trainer", number=0, root=None, **settings):
    runtime = SimpleNamespace(pipeline_root=root)
    logs = PodLogs(
        Client(**settings), lambda: None, SimpleNamespace(run_id="run", runtime_config=runtime), "petseg-pets"
    )
    return logs.read(ComponentPod(component, number, "node"), is_running=False)


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_each_attempt_has_its_own(store):
    for number, text in enumerate(["lost\n", "done\n"]):
        write(store / "Trainer" / "0b7e" / f"executor-logs-{number}", text)
    assert read().text == "lost\n"
    log = read(number=1)
    assert (log.text, log.source) == ("done\n", f"executor-logs below {ROOT}/Trainer")


def test_releases_before_2_16_1_have_one(store):
    write(store / "Trainer" / "0b7e" / "executor-logs", "done\n")
    assert read(number=1).text == "done\n"


def test_what_is_not_there_is_said_for_each_place(store):
    with pytest.raises(NoLogError, match=rf"no log of Trainer of the run run .*; the object store: .*{ROOT}/Trainer"):
        read()
    write(store / "Trainer" / "0b7e" / "model" / "saved_model.pb", "")
    with pytest.raises(NoLogError, match=f"no executor-logs below {ROOT}/Trainer"):
        read()


def test_the_way_to_the_store_is_a_setting(monkeypatch):
    with pytest.raises(NoLogError, match=r"kubeflow\.object_store does not say where it is"):
        read()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NoLogError, match="no AWS_ACCESS_KEY_ID and no AWS_SECRET_ACCESS_KEY"):
        read(object_store="http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "minio")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "minio123")
    with pytest.raises(NoLogError, match=rf"{ROOT}/Trainer cannot be read: .*"):
        read(object_store="http://127.0.0.1:9")
