"""A package in containers of a real engine, with the image that PETSEG_TEST_DOCKER_IMAGE names; it has this code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, NotFound
from recordings import recorded_docker
from workplace import SMALL

from petseg.processes import OPTIONS
from pipeline.config.loading import load_config
from pipeline.kubeflow.compiler import compile_package
from pipeline.kubeflow.dry_run.docker import ROOT_LABEL

IMAGE = os.environ.get("PETSEG_TEST_DOCKER_IMAGE", "")
_RUN_SECONDS = 20 * 60
_STEP_SECONDS = 120

pytestmark = [
    pytest.mark.skipif(not IMAGE, reason="no Docker engine to test with: PETSEG_TEST_DOCKER_IMAGE not set"),
    pytest.mark.timeout(_RUN_SECONDS),
]


@pytest.fixture(scope="module")
def engine():
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("package") / "petseg.yaml"
    overrides = (*SMALL, f"kubeflow.image={IMAGE}", "evaluation.min_accuracy=0.01", "trainer.epochs=1")
    compile_package(load_config(preset="demo", overrides=overrides)).save(file)
    return file


def _start(package: Path, root: Path) -> subprocess.Popen[str]:
    arguments = ["kubeflow", "dry-run", str(package), "--docker", "--json", "--pipeline-root", str(root)]
    command = [sys.executable, "-m", "petseg", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _containers(engine, root: Path, *, also_ended: bool = False) -> list:
    return engine.containers.list(all=also_ended, filters={"label": f"{ROOT_LABEL}={root}"})


def _wait_for_a_container(engine, root: Path) -> None:
    end = time.monotonic() + _STEP_SECONDS
    while not _containers(engine, root):
        assert time.monotonic() < end, "no container was started"
        time.sleep(0.2)


def test_a_package_runs_to_a_pushed_model_that_belongs_to_the_caller(engine, package, tmp_path):
    run = _start(package, tmp_path)
    out, err = run.communicate(timeout=_RUN_SECONDS)
    assert run.returncode == 0, err
    record = json.loads(out)
    assert {node["state"] for node in record["nodes"]} == {"complete"}
    pushed = Path(record["pushed_model"])
    assert pushed.is_relative_to(tmp_path / "volumes" / "petseg-serving")
    assert (pushed / "saved_model.pb").is_file()
    files = [*tmp_path.rglob("*")]
    assert {file.lstat().st_uid for file in files} == {os.getuid()}
    assert not _containers(engine, tmp_path, also_ended=True)


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_leaves_no_container(engine, package, tmp_path, signals):
    run = _start(package, tmp_path)
    _wait_for_a_container(engine, tmp_path)
    for _ in range(signals):
        run.send_signal(signal.SIGINT)
        time.sleep(0.5)  # what comes at once is an echo
    _, err = run.communicate(timeout=_STEP_SECONDS)
    assert run.returncode == 130, err
    assert signals == 2 or "; the next run begins with the first component" in err
    assert not _containers(engine, tmp_path, also_ended=True)


def test_what_a_killed_dry_run_left_is_ended_by_the_next(engine, package, tmp_path):
    first = _start(package, tmp_path)
    _wait_for_a_container(engine, tmp_path)
    first.kill()
    first.communicate()
    [left] = _containers(engine, tmp_path)
    second = _start(package, tmp_path)
    left.wait(condition="removed", timeout=_STEP_SECONDS)
    _wait_for_a_container(engine, tmp_path)
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=_STEP_SECONDS)
    assert not _containers(engine, tmp_path, also_ended=True)


def test_the_engine_answers_as_the_recorded_one(engine):
    recorded = recorded_docker()
    with pytest.raises(APIError) as refused:
        engine.images.get("petseg:nowhere")
    assert refused.value.status_code == recorded["image_not_there"]["status"]
    asked = {"image": IMAGE, "entrypoint": [""], "detach": True, "auto_remove": True}
    container = engine.containers.run(command=["sleep", "60"], user="1234:5678", **asked)
    container.reload()
    started = recorded["started_with_entrypoint_of_one_empty_text"]
    assert {name: container.attrs["Config"][name] for name in started} == started
    container.stop(timeout=0)
    container.wait(condition="removed")
    with pytest.raises(NotFound) as gone:
        container.wait()
    assert gone.value.status_code == recorded["wait_for_one_that_is_removed"]["status"]
    with pytest.raises(APIError) as refused:
        engine.containers.run(command=["no-such-program"], **asked)
    assert refused.value.status_code == recorded["command_not_there"]["status"]


def test_the_image_runs_as_any_user_and_on_a_root_that_cannot_be_written(engine):
    hardened = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "network_mode": "none"}
    places = {"/tmp": "mode=1777", "/home/petseg": "mode=1777"}
    tried = ["python", *OPTIONS, "pipeline.kubeflow.self_test"]
    out = engine.containers.run(IMAGE, tried, user="1000700000:0", tmpfs=places, remove=True, **hardened)
    assert b"FAIL" not in out
    assert engine.containers.run(IMAGE, ["petseg", "--version"], user="4711:4711", remove=True).startswith(b"petseg ")
    assert engine.containers.run(IMAGE, ["find", "/home/petseg", "-mindepth", "1"], remove=True) == b""
