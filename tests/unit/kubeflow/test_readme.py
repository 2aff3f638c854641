"""What the walk-through says exists: commands with their options, files, targets of make, settings."""

import re
import shlex
from pathlib import Path

import click
import pytest

from pipeline.cli import cli
from pipeline.config.loading import setting_keys

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "kubeflow" / "README.md").read_text()
LINES = [
    line.split(" #")[0].strip()
    for block in re.findall(r"^```\n(.*?)^```", TEXT, re.M | re.S)
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("petseg ")])
def test_commands_and_their_options_exist(line):
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found, name
        command = found
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
    for word in words:
        assert not word.startswith("kubeflow/") or (ROOT / word).is_file()


def test_files_exist():
    named = re.findall(r"\b(kubeflow/(?:manifests|examples)/[\w/.]*\w)", TEXT)
    named += [f"kubeflow/{path}" for path in re.findall(r"`(examples/[\w.]+)`", TEXT)]
    assert len(named) > 10
    assert not [path for path in named if not (ROOT / path).exists()]
    for path in re.findall(r"`((?:base|shared_storage|object_store|serving)/[\w.]*)`", TEXT):
        assert (ROOT / "kubeflow" / "manifests" / path).exists(), path


def test_every_example_and_manifest_is_told_of():
    examples = [file.name for file in (ROOT / "kubeflow" / "examples").iterdir()]
    assert not [name for name in examples if name not in TEXT]
    folders = [folder.name for folder in (ROOT / "kubeflow" / "manifests").iterdir()]
    assert not [name for name in folders if name not in TEXT]


def test_targets_of_make_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"\bmake (image[\w-]*|setup)", TEXT)) <= set(targets)


def test_settings_exist():
    named = set(re.findall(r"`((?:kubeflow|push|schedule|trainer)\.[\w.]+)", TEXT))
    assert len(named) > 5
    assert named <= set(setting_keys())


def test_it_is_one_page():
    assert len(TEXT.splitlines()) <= 150
