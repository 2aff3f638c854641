"""The package's images under kfp.local, with an engine that runs each container's command as a process."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest

from pipeline.kubeflow.dry_run.docker import docker_run
from pipeline.kubeflow.dry_run.specification import DryRunRequest
from pipeline.runs.record import RunState
from pipeline.runs.store import RunStore
from trainer_module.errors import ConfigError


class FakeContainer:
    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        names = ("PATH", "PYTHONPATH", "TF_FAKE_BEHAVIOUR", "LD_LIBRARY_PATH")
        own = {name: os.environ[name] for name in names if name in os.environ}
        command = [sys.executable, *command[1:]]
        self._done = subprocess.run(command, env=own | environment, capture_output=True, check=False)

    def logs(self, *, stream: bool):
        return (self._done.stdout + self._done.stderr).splitlines(keepends=True)

    def wait(self) -> dict[str, int]:
        return {"StatusCode": self._done.returncode}


class FakeEngine:
    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.images = SimpleNamespace(list=lambda: [SimpleNamespace(tags=["petseg:1"], attrs={"RepoDigests": []})])
        self.containers = SimpleNamespace(run=self._run)

    def _run(self, **arguments) -> FakeContainer:
        self.asked.append(arguments)
        return FakeContainer(arguments["command"], arguments["environment"])

    def ping(self) -> bool:
        return True

    def info(self) -> dict:
        return {}

    def close(self) -> None:
        pass


@pytest.fixture
def engine(monkeypatch) -> FakeEngine:
    engine = FakeEngine()
    monkeypatch.setattr(docker, "from_env", lambda: engine)
    return engine


@pytest.fixture
def request_(tmp_path) -> DryRunRequest:
    return DryRunRequest(root=str(tmp_path / "dry_run"), parameters={"epochs": 2})


def test_every_container_runs_with_its_volumes_variables_and_secrets(make_package, pods, engine, request_, monkeypatch):
    monkeypatch.setenv("API_KEY", "s3cret-value")
    record = docker_run(make_package(), request_)

    assert record.state is RunState.COMPLETE, record.error
    assert [node.state.value for node in record.nodes] == ["complete"] * 3
    assert [node.id for node in record.nodes] == ["Driver", "ExampleGen", "Trainer"]
    assert [pod["task"] for pod in pods()] == ["Driver", "ExampleGen", "Trainer"]
    assert pods()[1]["input"]["inputs"]["parameterValues"] == {"fingerprint": "f1"}
    assert pods()[2]["input"]["inputs"]["parameterValues"] == {"epochs": 2}
    asked = engine.asked[2]
    assert asked["image"] == "petseg:1"
    assert asked["environment"] == {"CHECKPOINTS": "/cache/checkpoints", "API_KEY": "s3cret-value"}
    volume = Path(request_.root) / "volumes" / "petseg-data"
    assert [(mount["Target"], mount["Source"]) for mount in asked["mounts"]] == [("/cache", str(volume))]
    assert "Trainer writes to its log" in Path(record.log).read_text()
    assert RunStore(request_.root).record("latest") == record
    written = [file.read_bytes() for file in Path(request_.root).rglob("*") if file.is_file()]
    assert not any(b"s3cret-value" in content for content in written)


@pytest.mark.usefixtures("engine")
def test_a_container_that_fails_ends_the_run_with_its_words(make_package, behave, request_):
    behave(ExampleGen={"fail": 1})
    record = docker_run(make_package(), request_)
    assert record.state is RunState.FAILED
    assert [node.state.value for node in record.nodes] == ["complete", "failed", "pending"]
    assert record.error == "the split is empty"


def test_without_an_engine_the_message_says_what_to_do(make_package, request_, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(ConfigError, match=r"no Docker engine answers .* or leave out --docker"):
        docker_run(make_package(), request_)
    assert RunStore(request_.root).run_ids() == []
