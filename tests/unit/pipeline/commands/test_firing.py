"""A firing that only looks: what it finds missing, and which variables the user's own code asks for."""

import os
import sys
from pathlib import Path

import pytest

from pipeline.commands.firing import asked_variables, check_firing
from pipeline.schedules.environment import Verdict

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
