import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths
from dockerfile_parse import DockerfileParser

from petseg.processes import OPTIONS

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "kubeflow" / "Dockerfile"


@pytest.fixture(scope="module")
def instructions():
    parser = DockerfileParser(path=str(DOCKERFILE))
    return [(step["instruction"], step["value"]) for step in parser.structure if step["instruction"] != "COMMENT"]


@pytest.fixture(scope="module")
def stages(instructions):
    """Name of each stage to its base and instructions."""
    found = {}
    for instruction, value in instructions:
        if instruction == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", value).groups()
            found[name] = (base, [])
        elif found:
            found[name][1].append((instruction, value))
    return found


def inherited(stages, name):
    """The instructions of a stage after those of the stages it is made from."""
    base, own = stages[name]
    return (inherited(stages, base) if base in stages else []) + own


def values(steps, instruction):
    return [value for name, value in steps if name == instruction]


def test_hadolint_finds_nothing(request):
    hadolint = ROOT / ".venv" / "bin" / "hadolint"
    done = subprocess.run([str(hadolint), str(DOCKERFILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_default_is_the_cpu_image(stages):
    assert list(stages)[-2:] == ["gpu", "cpu"]


def test_bases_are_pinned_to_a_release_with_glibc_2_39(instructions):
    bases = [value for instruction, value in instructions[:2] if instruction == "ARG"]
    assert len(bases) == 2
    for base in bases:
        assert re.fullmatch(r"\w+_IMAGE=python:3\.11\.\d+(-slim)?-trixie", base)


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_images_run_as_a_numbered_user_that_is_not_root(stages, target):
    assert values(inherited(stages, target), "USER") == ["1000:0"]


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_images_start_the_entrypoint_with_a_home_for_any_user(stages, target):
    steps = inherited(stages, target)
    assert values(steps, "ENTRYPOINT") == [json.dumps(["python", *OPTIONS, "pipeline.kubeflow.entrypoint"])]
    assert "install --directory --mode=1777 /home/petseg" in values(steps, "RUN")
    assert any("HOME=/home/petseg" in env for env in values(steps, "ENV"))


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_images_test_themselves_as_the_user_they_run_as(stages, target):
    names = [name for name, _ in stages[target][1]]
    assert names.index("USER") < names.index("RUN")
    assert values(stages[target][1], "RUN") == [
        f"--mount=type=tmpfs,target=/tmp python {' '.join(OPTIONS)} pipeline.kubeflow.self_test"
    ]


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_images_have_the_labels_of_the_open_container_initiative(stages, target):
    (labels,) = values(stages[target][1], "LABEL")
    for name in ("title", "description", "licenses", "revision", "source", "version"):
        assert f"org.opencontainers.image.{name}=" in labels


def test_nothing_is_fetched_from_a_web_address(instructions):
    assert "ADD" not in [name for name, _ in instructions]
    assert not [value for name, value in instructions if re.search(r"https?://", value)]


def test_the_environments_differ_in_tensorflow_only(stages):
    (cpu, cpu_wheel), (gpu, gpu_wheel) = (values(stages[f"{name}-environment"][1], "RUN") for name in ("cpu", "gpu"))
    assert cpu.replace("--group tensorflow-cpu --no-install-package tensorflow ", "--extra gpu ", 1) == gpu
    assert cpu_wheel == gpu_wheel
    assert "uv sync --frozen --no-dev --no-install-project" in cpu


def test_everything_copied_exists_and_is_not_ignored(stages):
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    sent = set(exclude_paths(str(ROOT), [line for line in patterns if line and not line.startswith("#")]))
    for _, steps in stages.values():
        for copied in values(steps, "COPY"):
            if not copied.startswith("--from"):
                for source in copied.split()[:-1]:
                    assert source in sent, source


def test_only_what_the_image_needs_is_sent_to_the_builder():
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    sent = {path.split("/")[0] for path in exclude_paths(str(ROOT), patterns)}
    assert sent <= {
        "LICENSE", "README.md", "components", "petseg", "pipeline", "pyproject.toml", "scripts", "trainer_module",
        "uv.lock", ".dockerignore",
    }  # fmt: skip


def test_packages_left_out_are_ones_that_the_lock_has(stages):
    locked = {package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    for name in ("cpu", "gpu"):
        command = values(stages[f"{name}-environment"][1], "RUN")[0]
        left_out = set(re.findall(r"--no-install-package (\S+)", command))
        assert left_out
        assert left_out <= locked


def test_the_extra_and_the_group_exist_and_name_the_locked_tensorflow():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = {
        package["name"]: package["version"]
        for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
        if "version" in package
    }
    assert project["project"]["optional-dependencies"]["gpu"] == ["tensorflow[and-cuda]==2.21.*"]
    assert project["dependency-groups"]["tensorflow-cpu"] == ["tensorflow-cpu==2.21.*"]
    assert locked["tensorflow"] == locked["tensorflow-cpu"]


def test_uv_is_the_one_that_the_set_up_pins(stages):
    (command,) = [value for value in values(stages["builder"][1], "RUN") if value.startswith("pip")]
    assert "--require-hashes --requirement scripts/setup-requirements.txt" in command
    assert re.search(r"^uv==\d", (ROOT / "scripts" / "setup-requirements.txt").read_text(), re.MULTILINE)
