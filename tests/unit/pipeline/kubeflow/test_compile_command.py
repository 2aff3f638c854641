"""`petseg kubeflow compile` as a user meets it."""

import pytest

from pipeline.cli import exit_code
from pipeline.kubeflow.package import Package


def test_it_writes_the_package_and_says_what_a_run_may_set(tmp_path, capfd):
    output = tmp_path / "demo.yaml"
    arguments = ["kubeflow", "compile", "--preset", "demo", "--set", "trainer.epochs=3", "--output", str(output)]
    assert exit_code(arguments) == 0
    package = Package.load(output)
    out = capfd.readouterr().out
    assert f"pipeline petseg-demo, 15 components, digest {package.digest}" in out
    assert "epochs = 3  (NUMBER_INTEGER)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "demo.json"], "it must end in .yaml or .yml"),
        (["--output", "demo.yaml", "--target", "vertex"], "it must end in .json"),
        (["--output", "demo.yaml", "--set", "kubeflow.trainer.gpus=1"], "names no node pool"),
        (["--output", "demo.yaml", "--set", "kubeflow.gpus=1"], "did you mean"),
        (["--output", "demo.yaml", "--set", "data.data_dir=data"], "a path of this machine"),
    ],
)
def test_what_cannot_be_compiled_leaves_no_file(arguments, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert exit_code(["kubeflow", "compile", "--preset", "demo", *arguments]) == 2
    assert message in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
