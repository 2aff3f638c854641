"""The file of a compiled pipeline."""

import pytest

from pipeline.kubeflow.package import Package, ParameterSpec
from trainer_module.errors import ConfigError

SPEC = {"pipelineInfo": {"name": "pets"}, "root": {"dag": {"tasks": {}}}}
PLATFORM = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}


@pytest.mark.parametrize("platform", [PLATFORM, {}])
def test_a_saved_package_is_read_back(tmp_path, platform):
    package, file = Package(SPEC, platform), tmp_path / "pets.yaml"
    package.save(file)
    assert Package.load(file) == package
    assert [path.name for path in tmp_path.iterdir()] == ["pets.yaml"]


def test_the_digest_is_of_the_content(tmp_path):
    reordered = {"root": SPEC["root"], "pipelineInfo": SPEC["pipelineInfo"]}
    assert Package(SPEC, {}).digest == Package(reordered, {}).digest != Package(SPEC, PLATFORM).digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [1", "no YAML file"),
        ("- 1\n", "no package"),
        ("a: 1\n---\nb: 2\n---\nc: 3\n", "found 3"),
        ("a: 1\n", "no pipelineInfo"),
        ("", "no package"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    file = tmp_path / "pets.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        Package.load(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml.*No such file"):
        Package.load(tmp_path / "nowhere.yaml")


def test_an_unwritable_place_is_named_and_nothing_is_left(tmp_path):
    with pytest.raises(ConfigError, match="cannot write"):
        Package(SPEC, {}).save(tmp_path / "missing" / "pets.yaml")


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        ("STRING", ["", "a"], [1, None, True]),
        ("NUMBER_INTEGER", [0, 7], [1.5, "7", True]),
        ("NUMBER_DOUBLE", [0.5, 1], ["0.5", False]),
        ("BOOLEAN", [True], [1, "true"]),
    ],
)
def test_parameters_take_values_of_their_type(kind, accepted, refused):
    spec = ParameterSpec(kind, None)
    assert all(spec.accepts(value) for value in accepted)
    assert not any(spec.accepts(value) for value in refused)


def test_tasks_are_ordered_by_what_they_wait_for():
    tasks = {"A": {"dependentTasks": ["C"]}, "B": {}, "C": {"dependentTasks": ["B"]}}
    spec = {"pipelineInfo": {"name": "pets"}, "root": {"dag": {"tasks": tasks}}}
    assert Package(spec, {}).task_ids == ["B", "C", "A"]
    tasks["B"] = {"dependentTasks": ["A"]}
    with pytest.raises(ConfigError, match="wait for each other"):
        _ = Package(spec, {}).task_ids
