"""What is installed, and the GPUs: what packages, programs and the bus of a machine say."""

import platform
import sys
from importlib import metadata

import pytest

from pipeline.config.loading import load_config
from pipeline.doctor import gpu, packages
from pipeline.doctor.apart import NoAnswerError
from pipeline.doctor.findings import State
from pipeline.doctor.gpu import look_at_gpus
from pipeline.doctor.packages import Modules


@pytest.fixture
def config():
    return load_config(preset="demo")


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Writes a program that is the only one on the path."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def write(name: str, script: str) -> None:
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    return write


@pytest.fixture
def bus(tmp_path, monkeypatch):
    """A PCI bus without a device; returns a function that plugs one in."""
    monkeypatch.setattr(gpu, "PCI_DEVICES", tmp_path / "pci")

    def plug(vendor: str, kind: str) -> None:
        device = tmp_path / "pci" / "0000:01:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text(f"{kind}\n")

    return plug


def test_python_is_told_with_its_path_and_another_is_a_problem(monkeypatch):
    found = packages.look_at_python()
    assert (found.state, found.found) == (State.OK, f"{platform.python_version()}, {sys.executable}")
    monkeypatch.setattr(platform, "python_version", lambda: "3.14.1")
    found = packages.look_at_python()
    assert found.state is State.PROBLEM
    assert "PETSEG_PYTHON=" in found.remedy


def test_a_c_library_of_its_own_is_told_beside_that_of_the_machine(program, tmp_path, monkeypatch):
    program("getconf", "echo glibc 2.36")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.41"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert packages.look_at_c_library().found == "glibc 2.41"
    (tmp_path / "glibc").mkdir()
    assert packages.look_at_c_library().found == f"glibc 2.41 of '{tmp_path / 'glibc'}'; the machine has glibc 2.36"


def test_an_older_c_library_is_a_problem_that_the_set_up_mends(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    found = packages.look_at_c_library()
    assert found.state is State.PROBLEM
    assert "make setup" in found.remedy


def test_versions_are_told_and_wrong_ones_named(monkeypatch):
    found = packages.look_at_versions()
    assert found.state is State.OK
    assert f"tensorflow {metadata.version('tensorflow')}, tfx {metadata.version('tfx')}" in found.found
    monkeypatch.setattr(metadata, "requires", lambda name: ["click==7.*", "no-such-thing>=1"])
    found = packages.look_at_versions()
    assert found.state is State.PROBLEM
    assert f"click==7.* is wanted, {metadata.version('click')} is installed; no-such-thing>=1 is wanted" in found.found
    assert found.remedy


def test_the_remedy_is_that_of_the_place_where_petseg_is(monkeypatch, tmp_path):
    monkeypatch.setattr(metadata, "requires", lambda name: ["click==7.*"])
    monkeypatch.setattr(sys, "prefix", str(packages.petseg.ROOT / ".venv"))
    assert packages.look_at_versions().remedy == "rm -f .venv/.set-up && make setup"
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert packages.look_at_versions().remedy == f"{sys.executable} -m pip install --upgrade 'petseg'"


def test_an_extra_that_is_whole_is_told_from_one_that_is_broken_and_one_that_is_absent(monkeypatch):
    wanted = [
        "click==8.*; extra == 'serve'",
        "click==7.*; extra == 'mlflow'",
        "no-such-thing; extra == 'tensorboard'",
        "click; extra == 'import'",
        "no-such-thing; extra == 'import'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda name: wanted if name == "petseg" else [])
    found = packages.look_at_extras()
    assert found.state is State.WARNING
    assert "serve" in found.found.partition(" installed")[0]
    assert "mlflow: click==7.* is wanted" in found.found
    assert "import: no-such-thing is wanted, none is installed" in found.found
    assert "tensorboard: " not in found.found


def test_a_module_that_cannot_be_imported_is_named_with_the_reason(monkeypatch, config, program, bus):
    failed = {
        "tensorflow": "ImportError: libfoo.so.1: no such file",
        "tfx.v1": "ImportError: libfoo.so.1: no such file",
    }
    answer = Modules(failed=failed, seconds=1.0).model_dump()
    monkeypatch.setattr(packages, "ask", lambda *_: answer)
    imports, gpus = packages.look_at_modules(config)
    assert imports.state is State.PROBLEM
    assert imports.found == "tensorflow cannot be imported, and 1 more: ImportError: libfoo.so.1: no such file"
    assert "make setup" in imports.remedy or "pip install" in imports.remedy
    assert gpus.state is State.NOT_USED


def test_a_process_that_dies_of_its_imports_is_a_problem_and_the_driver_is_asked_all_the_same(
    monkeypatch, config, program, bus
):
    def die(*_) -> None:
        raise NoAnswerError("its process was ended by SIGILL: importing tensorflow")

    monkeypatch.setattr(packages, "ask", die)
    program("nvidia-smi", "echo 'NVIDIA L4, 23034 MiB, 580.95'")
    imports, gpus = packages.look_at_modules(config)
    assert imports.state is State.PROBLEM
    assert "SIGILL: importing tensorflow" in imports.found
    assert (gpus.state, gpus.subject) == (State.WARNING, "GPU")
    assert "NVIDIA L4 with 23034 MiB (driver 580.95); TensorFlow cannot be asked" in gpus.found


def test_modules_that_fail_are_collected(monkeypatch, capfd):
    monkeypatch.setattr(packages, "_TENSORFLOW", "no_such_tensorflow")
    monkeypatch.setattr(packages, "MODULES", ("json", "no_such_module"))
    found = packages.import_modules(load_config())
    assert list(found.failed) == ["no_such_tensorflow", "no_such_module"]
    assert found.failed["no_such_module"] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert found.gpus is None
    assert capfd.readouterr().err.splitlines()[-1] == "importing no_such_module"


def with_gpus(config, count):
    return config.model_copy(update={"trainer": config.trainer.model_copy(update={"gpus": count})})


def test_a_machine_without_gpus_is_no_finding_unless_the_training_wants_some(config, program, bus):
    assert look_at_gpus(config, [], "12.5", []).state is State.NOT_USED
    assert look_at_gpus(with_gpus(config, 0), [], "12.5", []).found == "trainer.gpus is 0"
    wanted = look_at_gpus(with_gpus(config, 2), [], "12.5", [])
    assert wanted.state is State.PROBLEM
    assert "trainer.gpus is 2, and there is no NVIDIA GPU" in wanted.found


def test_gpus_that_tensorflow_sees_are_told_with_driver_and_memory(config, program, bus):
    program("nvidia-smi", "echo 'NVIDIA L4, 23034 MiB, 580.95'")
    found = look_at_gpus(config, ["NVIDIA L4"], "12.5", [])
    assert (found.state, found.found) == (
        State.OK,
        "TensorFlow sees 1: NVIDIA L4; NVIDIA L4 with 23034 MiB (driver 580.95)",
    )
    too_many = look_at_gpus(with_gpus(config, 4), ["NVIDIA L4"], "12.5", [])
    assert too_many.state is State.PROBLEM
    assert "trainer.gpus is 4, and TensorFlow sees 1: NVIDIA L4" in too_many.found


@pytest.mark.parametrize(
    ("cuda", "missing", "said", "remedy"),
    [
        ("12.5", ["nvidia-cudnn-cu12", "nvidia-nccl-cu12"], "nvidia-cudnn-cu12 and 1 more packages", "petseg[gpu]"),
        ("", [], "built without CUDA", "petseg[gpu]"),
        ("12.5", [], "sees none, and CUDA's packages are installed", "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_gpu_that_tensorflow_does_not_see_is_a_warning_with_the_cause(
    config, program, bus, cuda, missing, said, remedy
):
    program("nvidia-smi", "echo 'NVIDIA L4, 23034 MiB, 580.95'")
    found = look_at_gpus(config, [], cuda, missing)
    assert found.state is State.WARNING
    assert said in found.found
    assert remedy in found.remedy
    assert look_at_gpus(with_gpus(config, 1), [], cuda, missing).state is State.PROBLEM


def test_a_gpu_without_a_driver_is_found_on_the_bus(config, program, bus):
    bus("0x10de", "0x030200")
    found = look_at_gpus(config, [], "12.5", [])
    assert found.state is State.WARNING
    assert "no driver" in found.found


def test_another_makers_card_and_another_device_of_the_same_maker_are_none(config, program, bus):
    bus("0x10de", "0x040300")
    assert look_at_gpus(config, [], "12.5", []).state is State.NOT_USED


def test_a_driver_that_fails_says_why(config, program, bus):
    program("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    found = look_at_gpus(config, [], "12.5", [])
    assert found.state is State.WARNING
    assert "Driver/library version mismatch" in found.found


def test_the_packages_with_cudas_libraries_are_those_that_tensorflow_names():
    missing = packages.missing_cuda_packages()
    installed = {str(each.metadata["Name"]).lower() for each in metadata.distributions()}
    assert not set(missing) & installed
    assert "nvidia-cudnn-cu12" in missing or "nvidia-cudnn-cu12" in installed
