"""The benchmark of GPUs, on two layers and a CPU; the imports of the networks without TensorFlow."""

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from small_network import two_layers

from trainer_module import networks

REPOSITORY = Path(__file__).parents[3]
WITHOUT_TENSORFLOW = """
import sys
from unittest.mock import MagicMock

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_transform", "tfx", "apache_beam"):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Blocked())
sys.modules["keras"] = MagicMock()  # Keras imports its backend, and TensorFlow's is the only one that need be here
import gpu, networks
from trainer_module import augmentation, encoder_unet, unet
from trainer_module.encoders import efficientnet_lite, encoder
from trainer_module.networks import build_model
"""


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setitem(networks.MODELS, "unet", two_layers)
    import gpu

    return gpu


@pytest.fixture
def case(gpu):
    return gpu.Case("tensorflow", "unet", 16, 0, 2, "float32", False, 2, steps=4, repeats=2)


def test_a_case_is_trained_and_told_as_a_row(gpu, case):
    measured = gpu.measure(case, {}, matrix_side=64)
    assert measured.operations_per_image == 2 * 3 * 16 * 16 * (9 * 3 * 8 + 8 * 3)
    assert measured.device.startswith("CPU, ")
    assert measured.share_of_peak > 0
    assert measured.first_epoch_seconds > 0
    row = gpu.report_line(case, replace(measured, images_per_second=100.0, peak=1.0), 3680)
    share = f"{100 * measured.operations_per_image / 1e12:.1%}"
    assert row == f"| unet | 16 | CPU | 2 | float32 | no | 2 | 20.0 | 100.0 | 36.8 | {share} |"


def test_the_epoch_that_compiles_does_not_count(gpu, case, monkeypatch):
    monkeypatch.setattr(gpu, "epoch_seconds", lambda model, case: [100.0, 2.0, 4.0])
    measured = gpu.measure(case, {"float32": 2.0})
    assert measured.images_per_second == 4 * 2 / 3.0
    assert (measured.first_epoch_seconds, measured.peak) == (100.0, 2.0)


@pytest.mark.parametrize(
    ("device", "precision", "peak"),
    [
        ("NVIDIA H200", "mixed_bfloat16", 989.5),
        ("NVIDIA H100 80GB HBM3", "float32", 494.7),
        ("NVIDIA H100 PCIe", "float32", 378.0),
        ("NVIDIA A100-SXM4-80GB", "float32", 156.0),
        ("NVIDIA L40S", "float32", 183.0),
        ("NVIDIA L4", "mixed_float16", 7.0),
        ("NVIDIA GeForce", "float32", None),
    ],
)
def test_a_peak_is_given_or_known_by_the_words_of_the_name(gpu, device, precision, peak):
    assert gpu.peak_of(device, precision, {"mixed_float16": 7.0}) == peak


def test_the_peak_is_that_of_all_gpus(gpu, case, monkeypatch):
    monkeypatch.setattr(gpu, "epoch_seconds", lambda model, case: [1.0, 1.0])
    monkeypatch.setattr(gpu, "device_name", lambda case: "NVIDIA H200")
    monkeypatch.setattr(gpu, "tensorflow_model", lambda case: type("Model", (), {"network": two_layers(16, 3)}))
    assert gpu.measure(replace(case, gpus=2), {}).peak == 2 * 494.7


def test_a_missing_gpu_is_said(gpu, case):
    with pytest.raises(SystemExit, match="--gpus 99, but tensorflow sees 0 GPUs here; --gpus 0 measures the CPU"):
        gpu.device_name(replace(case, gpus=99))


def test_xla_is_for_one_replica_and_always_on_jax(gpu):
    arguments = ["--gpus", "1", "2", "--xla", "no", "yes"]
    asked = gpu.cases(gpu._parser().parse_args(arguments))
    assert [(case.gpus, case.xla) for case in asked] == [(1, False), (1, True), (2, False)]
    asked = gpu.cases(gpu._parser().parse_args([*arguments, "--backend", "jax"]))
    assert [(case.gpus, case.xla) for case in asked] == [(1, True), (2, True)]


def test_a_case_that_fails_leaves_the_others(gpu, case, monkeypatch, capsys):
    measured = gpu.Measured("NVIDIA H200", 100.0, 9.0, 10**9, 1.0)
    monkeypatch.setattr(gpu, "run_case", lambda case, peaks: "out of memory" if case.batch_size > 2 else measured)
    rows = list(gpu.measured_rows([replace(case, batch_size=4), case], {}, 1000, as_table=True))
    assert rows[0] == asdict(case) | {"batch_size": 4, "error": "out of memory"}
    assert (rows[1]["seconds_per_epoch"], rows[1]["share_of_peak"]) == (10.0, 0.1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].endswith("| 4 | float32 | no | 2 | failed: out of memory |")
    assert lines[3].endswith("| 100.0 | 10.0 | 10.0% |")
    assert lines[4:] == ["", "NVIDIA H200, tensorflow; an epoch is 1,000 images"]


def test_the_networks_need_no_tensorflow():
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW]
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'benchmarks'}"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
