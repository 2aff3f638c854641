"""petseg beside a project that has packages of the same names, in the working directory and on PYTHONPATH."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import petseg
from petseg.processes import command

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[3]
CONSOLE = [str(Path(sys.executable).with_name("petseg"))]
SCHEDULED = "pipeline.scheduling.scheduled_run"
"""Started by schedules of an earlier petseg; those of this one start the console command."""


@pytest.fixture(params=["packages", "modules"])
def project(request, tmp_path, monkeypatch) -> Path:
    """A project whose every name of petseg's is something else; it is the working directory."""
    directory = tmp_path / "project"
    for name in petseg.PACKAGES:
        file = directory / (f"{name}/__init__.py" if request.param == "packages" else f"{name}.py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("raise SystemExit('the project was imported')\n")
    monkeypatch.chdir(directory)
    return directory


def run(arguments: list[str], path: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(path)}
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("start", [CONSOLE, [sys.executable, "-m", "petseg"]], ids=["petseg", "python -m petseg"])
def test_the_command_is_petsegs(project, start):
    result = run([*start, "show-config", "--preset", "demo"], project)
    assert (result.returncode, result.stderr) == (0, "")
    assert "synthetic_pets" in result.stdout


def test_child_processes_are_petsegs(project):
    options = ["--name", "nightly", "--directory", ".", "--root", "root", "--", "--preset=no-such-preset"]
    assert run(command(SCHEDULED, *options), project).returncode == 2
    assert "no-such-preset" in (project / "root" / "schedule.log").read_text()
    result = run(command("pipeline.kubeflow.entrypoint", "--help"), project)
    assert "--code_digest" in result.stdout


def test_the_modules_of_the_project_are_found_but_not_from_the_working_directory(project):
    (project / "fields.py").write_text("import sys\ndef main(_): print(sys.modules['pipeline'].__file__)\n")
    assert run(command("fields"), project).stdout.strip() == str(CHECKOUT / "pipeline" / "__init__.py")
    assert "No module named 'fields'" in run(command("fields"), project / "elsewhere").stderr


@pytest.mark.parametrize("project", ["packages"], indirect=True)
def test_processes_of_multiprocessing_have_petsegs_packages(project, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import petseg, multiprocessing\n"
        "from pipeline.terminal.streams import json_text\n"
        "if __name__ == '__main__':\n"
        "    print(multiprocessing.get_context('spawn').Pool(1).apply(json_text, ({'a': 1},)))\n"
    )
    result = run([sys.executable, str(script)], project)
    assert result.returncode == 0, result.stderr
    assert '"a": 1' in result.stdout


@pytest.mark.parametrize("project", ["packages"], indirect=True)
def test_worker_processes_of_beam_have_petsegs_packages(project, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import petseg\n"
        "import apache_beam as beam\n"
        "from apache_beam.options.pipeline_options import PipelineOptions\n"
        "from pipeline.beam.arguments import arguments_for_tfx\n"
        "from pipeline.terminal.streams import json_text\n"
        "arguments = arguments_for_tfx(['--direct_running_mode=multi_processing'])\n"
        "with beam.Pipeline(options=PipelineOptions(arguments)) as pipeline:\n"
        "    lines = pipeline | beam.Create([{'a': 1}]) | beam.Map(json_text)\n"
        "    lines | beam.io.WriteToText('out', shard_name_template='')\n"
    )
    result = run([sys.executable, str(script)], project)
    assert result.returncode == 0, result.stderr
    assert '"a": 1' in (project / "out").read_text()


def test_another_package_that_is_loaded_already_is_named(project):
    other = project / "elsewhere" / "pipeline.py"
    other.parent.mkdir()
    other.write_text("")
    result = run([sys.executable, "-P", "-c", "import pipeline, petseg"], other.parent)
    assert f"has loaded another 'pipeline' ({other})" in result.stderr


def test_the_wheel_has_every_package():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(packages) == sorted(["petseg", *petseg.PACKAGES])
    assert project["project"]["scripts"] == {"petseg": "petseg.__main__:main"}
