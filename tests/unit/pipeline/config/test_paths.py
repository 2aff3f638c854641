"""Directories that TFX cannot use are refused before anything runs; every other name is good."""

import os
import string
import subprocess
import sys

import pytest
import tensorflow as tf

from pipeline.cli import exit_code
from pipeline.config.loading import load_config
from pipeline.config.paths import check_name, check_no_pattern
from pipeline.runs.store import RunStore
from trainer_module.errors import ConfigError

REFUSED = "*?[\\"
ACCEPTED = [character for character in string.printable if character not in REFUSED + "/\x0b\x0c"] + ["ü", "草"]


def test_what_is_accepted_is_no_pattern(tmp_path):
    check_no_pattern("root", f"{tmp_path}/" + "".join(ACCEPTED))
    for character in ACCEPTED:
        directory = tmp_path / f"x{character}y"
        directory.mkdir()
        (directory / "file").touch()
        assert tf.io.gfile.glob(f"{directory}/*") == [f"{directory}/file"]


@pytest.mark.parametrize("name", ["run [1]", "run?", "run*", "back\\slash"])
def test_a_root_that_is_a_pattern_is_refused_and_nothing_is_made(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_code(["run", "--preset", "demo", "--pipeline-root", name]) == 2
    message = capsys.readouterr().err
    [character] = set(name) & set(REFUSED)
    assert message.startswith(f"error: pipeline.root: {name!r} has a {character!r}")
    assert "choose a directory without any of * ? [ \\" in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_root_is_refused_for_the_directory_that_it_is_in(tmp_path, monkeypatch, capsys):
    here = tmp_path / "old [1]"
    here.mkdir()
    monkeypatch.chdir(here)
    assert exit_code(["run", "--preset", "demo"]) == 2
    assert f"the pipeline root: '{here}/pipeline_root' has a '['" in capsys.readouterr().err
    assert list(here.iterdir()) == []
    with pytest.raises(ConfigError, match="has a '\\['"):
        RunStore(here).prepare()


def test_directories_that_are_opened_by_name_may_have_any(tmp_path):
    name = "d [1]?*\\x"
    assert load_config(preset="demo", overrides=[f"data.data_dir='{name}'"]).data.data_dir == name


@pytest.mark.parametrize("setting", ["kubeflow.pipeline_root", "push.destination"])
def test_a_place_in_a_bucket_is_a_pattern_too(setting):
    with pytest.raises(ConfigError, match=rf"{setting}: 'gs://bucket/\[1\]' has a '\['"):
        load_config(preset="demo", overrides=[f"{setting}='gs://bucket/[1]'"])


def test_a_destination_is_refused_for_the_directory_that_it_is_in(tmp_path, monkeypatch, capsys):
    here = tmp_path / "old [1]"
    here.mkdir()
    monkeypatch.chdir(here)
    root = tmp_path / "root"
    assert exit_code(["run", "--preset", "demo", "--pipeline-root", str(root), "--set", "push.destination=models"]) == 2
    assert f"push.destination: '{here}/models' has a '['" in capsys.readouterr().err
    assert not root.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "--model", "{}", "--out", "out", "x.jpg"],
        ["evaluate", "--model", "{}", "--dataset", "x", "--data-dir", ".", "--split", "test"],
        ["export", "--model", "{}", "--optimize", "frozen", "--output", "out"],
        ["export", "--model", "good", "--optimize", "frozen", "--output", "{}"],
        ["serve", "{}", "--port", "0"],
    ],
)
def test_a_model_directory_that_is_a_pattern_is_refused(command, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.jpg").touch()
    assert exit_code([word.format("models [1]") for word in command]) == 2
    assert "models [1]' has a '['" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.jpg"]


@pytest.mark.parametrize("setting", ["pipeline.root", "data.data_dir", "push.destination"])
def test_bytes_that_are_no_text_are_refused(setting):
    with pytest.raises(ConfigError, match=rf"{setting}: .* cannot be opened: TensorFlow takes names .* UTF-8"):
        load_config(preset="demo", overrides=[f"{setting}={os.fsdecode(b'a' + bytes([255]))}"])


def test_a_locale_that_is_not_utf_8_takes_ascii_names_only():
    code = (
        "import sys\nfrom pipeline.config.paths import check_name\nfrom trainer_module.errors import ConfigError\n"
        "check_name('x', 'ascii')\n"
        "try:\n    check_name('x', sys.argv[1])\n"
        "except ConfigError as error:\n    sys.exit('LC_ALL=C.UTF-8' not in str(error))\nsys.exit(2)\n"
    )
    environment = os.environ | {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert subprocess.run([sys.executable, "-c", code, "Zürich"], env=environment, check=False).returncode == 0
    check_name("x", "Zürich")
