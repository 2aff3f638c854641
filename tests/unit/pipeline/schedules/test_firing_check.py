"""A schedule's firing is tried before it is installed: what it needs, in the environment that it will have."""

import os
import sys
from pathlib import Path

import pytest

from pipeline.schedules import firing_check
from pipeline.schedules.firing_check import Verdict, asked_variables, check_firing, try_firing
from pipeline.schedules.local_entry import LocalEntry
from trainer_module.errors import ConfigError

MODULES = "--set=data.builder_modules=[{}'components.datasets.synthetic_pets']"
ASKS = """
import os
PLACE = os.environ.get("OWN_TILES")
os.getenv("OWN_OTHER")
"OWN_THIRD" in os.environ
os.path.expandvars("$OWN_FOURTH")
"""


@pytest.fixture
def own_builder(tmp_path, monkeypatch):
    """A module of the user's, on Python's path."""
    directory = tmp_path / "modules"
    directory.mkdir()
    monkeypatch.syspath_prepend(directory)
    yield directory / "own_builder.py"
    sys.modules.pop("own_builder", None)


@pytest.fixture
def verdict(tmp_path, monkeypatch):
    """What a firing finds that stands in this process."""
    monkeypatch.chdir(tmp_path)

    def found(*arguments: str, directory: Path = tmp_path) -> Verdict:
        root = tmp_path / "root"
        check_firing(
            tmp_path / "verdict", directory, str(root), ["--preset=demo", f"--pipeline-root={root}", *arguments]
        )
        return Verdict.model_validate_json((tmp_path / "verdict").read_bytes())

    return found


def entry_of(root: Path, *arguments: str, **environment: str) -> LocalEntry:
    return LocalEntry(
        name="nightly", cron="0 3 * * *", time_zone="UTC", catch_up=False, directory=str(root.parent), root=str(root),
        run_arguments=("--preset=demo", f"--pipeline-root={root}", *arguments), python=sys.executable,
        environment=environment,
    )  # fmt: skip


def test_what_is_there_is_enough_and_nothing_is_run(verdict, tmp_path):
    assert verdict() == Verdict()
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--set=trainer.epoch=3"], "did you mean 'trainer.epochs'?"),
        (["--config=gone.toml"], "gone.toml"),
        ([MODULES.format("'own_builder', ")], "cannot import 'own_builder': No module named 'own_builder'"),
        (["--set=data.dataset=synthetic_pet"], "knows no data set 'synthetic_pet'"),
        (["--set=data.image_feature=photo"], "feature 'photo' of synthetic_pets"),
        (["--set=data.download=false"], "is not prepared in"),
        (["--set=data.data_dir=file/inside"], "data.data_dir: cannot write to 'file/inside'"),
        (["--set=push.destination=file/inside"], "push.destination: cannot write to 'file/inside'"),
    ],
)
def test_what_is_missing_is_said(verdict, arguments, error, tmp_path):
    (tmp_path / "file").touch()
    assert error in verdict(*arguments).error


def test_a_working_directory_that_is_gone_is_named(verdict, tmp_path):
    assert f"No such file or directory: {str(tmp_path / 'gone')!r}" in verdict(directory=tmp_path / "gone").error


def test_a_builder_that_breaks_is_told_in_its_own_words(verdict, own_builder):
    own_builder.write_text("raise KeyError('TILES')")
    assert verdict(MODULES.format("'own_builder', ")).error == "KeyError: 'TILES'"


def test_the_variables_that_the_users_code_asks_for_are_known(verdict, own_builder, monkeypatch):
    own_builder.write_text(ASKS)
    monkeypatch.setenv("OWN_OTHER", "set")
    assert verdict(MODULES.format("'own_builder', ")).asked == ("OWN_FOURTH", "OWN_THIRD", "OWN_TILES")


def test_looking_up_works_as_before():
    get = type(os.environ).__getitem__
    with asked_variables() as asked, pytest.raises(KeyError):
        os.environ["PETSEG_NO_SUCH"]
    assert asked == {"PETSEG_NO_SUCH"}
    assert type(os.environ).__getitem__ is get


def test_a_process_in_the_schedulers_environment_tries_it(own_builder, tmp_path, monkeypatch):
    own_builder.write_text(ASKS + "os.getenv('OWN_TOKEN')\nassert 'STRAY' not in list(os.environ)\nprint(PLACE)")
    for name in ("OWN_TILES", "OWN_TOKEN", "STRAY"):
        monkeypatch.setenv(name, "here")
    given = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    entry = entry_of(tmp_path / "root", MODULES.format("'own_builder', "), PYTHONPATH=str(own_builder.parent))
    with pytest.raises(ConfigError) as caught:
        try_firing(entry, given, "crontab")
    assert "the builder asks for OWN_TILES, OWN_TOKEN, set in this shell" in str(caught.value)
    assert 'schedule.environment = ["OWN_TILES"]. OWN_TOKEN: secrets are not carried along' in str(caught.value)
    assert "the crontab gives, with HOME, PATH, PYTHONPATH" in str(caught.value)
    assert "would fail" not in str(caught.value)


def test_what_cannot_be_started_or_says_nothing_is_refused(tmp_path, monkeypatch):
    entry = entry_of(tmp_path / "root").model_copy(update={"python": str(tmp_path / "python")})
    with pytest.raises(ConfigError, match=r"would fail: cannot start '.*/python'"):
        try_firing(entry, {"HOME": str(tmp_path)}, "crontab")
    (tmp_path / "python").write_text("#!/bin/sh\necho broken >&2\nexit 7\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(ConfigError, match="ended with exit code 7: broken"):
        try_firing(entry, {"HOME": str(tmp_path)}, "crontab")
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr(firing_check, "_SECONDS", 0)
    with pytest.raises(ConfigError, match="not there after 0 s"):
        try_firing(entry, {"HOME": str(tmp_path)}, "crontab")
