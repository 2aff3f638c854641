"""What a process of petseg has where there is no home, no name, or nothing that may be written to."""

import atexit
import getpass
import os
import subprocess
import sys
from pathlib import Path

import pytest

from petseg import processes

VARIABLES = ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
DRAWS = """
from petseg.processes import prepare
prepare()
import os, pathlib, sys
from pipeline.terminal.streams import leave
from pipeline.runs.process import temporary_directory
with temporary_directory(pathlib.Path(sys.argv[1])):  # as in a run
    import matplotlib.font_manager
    assert os.listdir(matplotlib.get_cachedir())
print(os.environ.get("MPLCONFIGDIR", ""))
sys.modules.setdefault("tensorflow", sys)
leave({code})
"""


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that monkeypatch restores what prepare sets
        monkeypatch.delenv(name)
    monkeypatch.setattr(processes, "_made", [])
    monkeypatch.setattr(atexit, "register", lambda *_: None)


@pytest.fixture
def no_entry(monkeypatch):
    """The user id has no entry in /etc/passwd."""

    def missing(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", missing)


@pytest.mark.usefixtures("no_entry")
def test_without_a_home_and_a_name_there_are_those_of_containers():
    with pytest.raises(RuntimeError):
        Path.home()
    processes.prepare()
    assert Path.home() == Path("/")
    assert getpass.getuser() == str(os.getuid())


def test_what_is_there_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "me")
    before = dict(os.environ)
    processes.prepare()
    assert dict(os.environ) == before
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"])
def test_matplotlib_has_a_directory_of_its_own_where_its_own_choice_cannot_be(variable, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, str(tmp_path / "file" / "inside"))
    processes.prepare()
    directory = Path(os.environ["MPLCONFIGDIR"])
    assert directory.is_dir()
    processes.prepare()
    assert Path(os.environ["MPLCONFIGDIR"]) == directory
    processes.tidy_up()
    assert not directory.exists()


@pytest.mark.parametrize("code", [0, 130])
def test_matplotlib_leaves_nothing_and_says_nothing_at_exit(code, tmp_path):
    (tmp_path / "home").touch()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", DRAWS.format(code=code), str(tmp_path / "run")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (code, "")
    assert Path(result.stdout.strip()).parent == temporary
    assert not [*temporary.iterdir()]
