"""The package's images under kfp.local, with an engine that runs each container's command as a process.

The engine refuses what a real one was recorded to refuse, in its words.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest
import requests
from docker.errors import APIError, ImageNotFound, NotFound
from recordings import recorded_docker

from pipeline.kubeflow.dry_run.docker import ROOT_LABEL, docker_run
from pipeline.kubeflow.dry_run.specification import DryRunRequest
from pipeline.runs.outputs import NodeFacts
from pipeline.runs.record import RunState
from pipeline.runs.store import RunStore
from trainer_module.errors import ConfigError

FACTS = NodeFacts("something")


def refusal(name: str) -> APIError:
    answer = recorded_docker()[name]
    response = requests.Response()
    response.status_code = answer["status"]
    kind = {"image_not_there": ImageNotFound, "wait_for_one_that_is_removed": NotFound}.get(name, APIError)
    return kind("for a request", response, answer["explanation"])


class FakeContainer:
    """A container that has ended, and that the engine may have removed; or one that goes on until it is stopped."""

    def __init__(self, arguments: dict) -> None:
        self.labels = arguments["labels"]
        self.is_interrupted = self.is_removed = self.cannot_be_read = False
        self.stopped: list[tuple] = []
        names = ("PATH", "PYTHONPATH", "TF_FAKE_BEHAVIOUR", "LD_LIBRARY_PATH")
        own = {name: os.environ[name] for name in names if name in os.environ}
        command = [sys.executable, *arguments["command"][1:]]
        self._done = subprocess.run(command, env=own | arguments["environment"], capture_output=True, check=False)

    def logs(self, *, stream: bool) -> Iterator[bytes]:
        if self.cannot_be_read:
            raise refusal("log_of_one_that_is_being_removed")
        if self.is_interrupted:
            raise KeyboardInterrupt
        return iter((self._done.stdout + self._done.stderr).splitlines(keepends=True))

    def wait(self, condition: str = "not-running", timeout: int | None = None) -> dict[str, int]:
        if condition != "not-running":
            self.stopped.append((condition, timeout))
        if self.is_removed:
            raise refusal("wait_for_one_that_is_removed")
        return {"StatusCode": self._done.returncode}

    def stop(self, *, timeout: int) -> None:
        self.stopped.append(("stop", timeout))


class FakeEngine:
    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.pulled: list[str] = []
        self.going_on: list[FakeContainer] = []
        self.next_is: dict[str, bool] = {}
        self.refuses_to_start = False
        self.security_options = recorded_docker()["security_options"]
        self.images = SimpleNamespace(list=self._images, get=self._image, pull=self._pull)
        self.containers = SimpleNamespace(run=self._run, list=self._list)

    def _images(self) -> list:
        return [SimpleNamespace(tags=["petseg:1", *self.pulled], attrs={"RepoDigests": []})]

    def _image(self, name: str) -> None:
        if name not in self._images()[0].tags:
            raise refusal("image_not_there")

    def _pull(self, name: str) -> None:
        if name != "registry/petseg:2":
            raise refusal("pull_without_network")
        self.pulled.append(name)

    def _run(self, **arguments) -> FakeContainer:
        if self.refuses_to_start:
            raise refusal("command_not_there")
        self.asked.append(arguments)
        container = FakeContainer(arguments)
        if Path(arguments["command"][-2]).name == "ExampleGen":
            vars(container).update(self.next_is)
        if container.is_interrupted:
            self.going_on.append(container)
        return container

    def _list(self, *, filters: dict[str, str]) -> list[FakeContainer]:
        name, _, value = filters["label"].partition("=")
        return [container for container in self.going_on if container.labels.get(name) == value]

    def ping(self) -> bool:
        return True

    def info(self) -> dict:
        return {"SecurityOptions": self.security_options}

    def close(self) -> None:
        pass


@pytest.fixture
def engine(monkeypatch) -> FakeEngine:
    engine = FakeEngine()
    monkeypatch.setattr(docker, "from_env", lambda: engine)
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 5678)
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
    assert asked["entrypoint"] == [""]
    assert asked["user"] == "1234:5678"
    assert asked["labels"] == {ROOT_LABEL: request_.root}
    assert asked["environment"] == {"CHECKPOINTS": "/cache/checkpoints", "API_KEY": "s3cret-value"}
    volume = Path(request_.root) / "volumes" / "petseg-data"
    assert [(mount["Target"], mount["Source"]) for mount in asked["mounts"]] == [("/cache", str(volume))]
    assert "Trainer writes to its log" in Path(record.log).read_text()
    assert RunStore(request_.root).record("latest") == record
    written = [file.read_bytes() for file in Path(request_.root).rglob("*") if file.is_file()]
    assert not any(b"s3cret-value" in content for content in written)


@pytest.mark.parametrize(("trains", "states"), [(True, ["complete"] * 3), (False, ["complete", "skipped", "skipped"])])
def test_what_is_under_a_condition_runs_only_where_it_holds(deciding, pods, behave, engine, request_, trains, states):
    behave(fingerprint=trains)
    record = docker_run(deciding, request_)
    assert (record.state, record.error) == (RunState.COMPLETE, None)
    assert [node.state.value for node in record.nodes] == states
    assert [pod["task"] for pod in pods()] == ["Driver", "ExampleGen", "Trainer"][: states.count("complete")]


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


def test_an_engine_without_root_maps_root_to_this_user(make_package, pods, engine, request_):
    engine.security_options = ["name=seccomp,profile=default", "name=rootless"]
    docker_run(make_package(), request_)
    assert {asked["user"] for asked in engine.asked} == {"0:0"}


def test_a_failed_container_that_is_gone_is_no_success(make_package, behave, pods, engine, request_):
    """An engine that removes it before it is waited for makes kfp.local take it for one that succeeded."""
    behave(ExampleGen={"fail": 1})
    engine.next_is = {"is_removed": True}
    record = docker_run(make_package(), request_)
    assert record.state is RunState.FAILED
    assert record.error == "the split is empty"
    assert [node.state.value for node in record.nodes] == ["complete", "failed", "pending"]
    assert [pod["task"] for pod in pods()] == ["Driver", "ExampleGen"]


def test_a_container_that_is_gone_and_left_its_outputs_has_succeeded(make_package, pods, engine, request_):
    engine.next_is = {"is_removed": True}
    assert docker_run(make_package(), request_).state is RunState.COMPLETE


@pytest.mark.parametrize("refused", [{"cannot_be_read": True}, None])
def test_what_the_engine_refuses_is_told_in_its_words(make_package, pods, engine, request_, refused):
    engine.next_is, engine.refuses_to_start = refused or {}, refused is None
    record = docker_run(make_package(), request_)
    assert record.state is RunState.FAILED
    name = "command_not_there" if refused is None else "log_of_one_that_is_being_removed"
    words = recorded_docker()[name]["explanation"]
    assert record.error == f"the Docker engine refused a container, or went away: {words}"


def test_an_interrupt_stops_the_container_and_waits_until_it_is_removed(make_package, pods, engine, request_):
    engine.next_is = {"is_interrupted": True}
    record = docker_run(make_package(), request_)
    assert record.state is RunState.INTERRUPTED
    assert record.error == "interrupted in ExampleGen"
    assert [container.stopped for container in engine.going_on] == [[("stop", 30), ("removed", 30)]]


def test_a_container_that_a_killed_dry_run_left_is_stopped_first(make_package, pods, engine, request_):
    behaviour = {"command": ["python", "-c", ""], "environment": {}}
    left, of_others = (FakeContainer(behaviour | {"labels": {ROOT_LABEL: root}}) for root in (request_.root, "/other"))
    engine.going_on = [left, of_others]
    assert docker_run(make_package(), request_).state is RunState.COMPLETE
    assert [bool(container.stopped) for container in engine.going_on] == [True, False]


def _with_image(image: str):
    def change(spec, _platform) -> None:
        for executor in spec["deploymentSpec"]["executors"].values():
            executor["container"]["image"] = image

    return change


def test_an_image_that_the_engine_has_not_is_pulled(make_package, pods, engine, request_):
    assert docker_run(make_package(_with_image("registry/petseg:2")), request_).state is RunState.COMPLETE
    assert engine.pulled == ["registry/petseg:2"]


@pytest.mark.usefixtures("engine")
def test_an_image_that_cannot_be_pulled_ends_it_before_anything_is_recorded(make_package, request_):
    with pytest.raises(
        ConfigError, match=r"has no image 'petseg:nowhere'.*no such host\); build it by make image TAG="
    ):
        docker_run(make_package(_with_image("petseg:nowhere")), request_)
    assert RunStore(request_.root).run_ids() == []


def test_what_components_name_by_a_volume_is_found_on_this_machine(make_package, behave, pods, engine, request_):
    found = []
    behave(Trainer={"metadata": {"where": "/cache/model"}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.runs.session.node_facts", lambda node, outputs, _: found.append(outputs) or FACTS)
        docker_run(make_package(), request_)
    [model] = found[-1]["model"]
    assert model.get_string_custom_property("where") == f"{request_.root}/volumes/petseg-data/model"
