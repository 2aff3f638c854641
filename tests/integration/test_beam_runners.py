"""All components on Beam through a job server: Beam's own in Python, and a real Flink where there is one.

PETSEG_FLINK_JOB_SERVER_JAR=beam-runners-flink-1.19-job-server-2.77.0.jar PETSEG_FLINK_MASTER=localhost:8081 \
        pytest tests/integration/test_beam_runners.py
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from portable_jobs import fake_java
from tiny_training import tiny_network
from workplace import SMALL, Workplace

from petseg.processes import command
from pipeline.beam.flink import Flink
from pipeline.runs.record import RunRecord
from trainer_module import networks

# Threads of Beam's workers end with an error where a job server goes.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
JAR_VARIABLE = "PETSEG_FLINK_JOB_SERVER_JAR"
MASTER_VARIABLE = "PETSEG_FLINK_MASTER"
ON_BEAM = {"TfdsExampleGen", "SegmentationValidator", "StatisticsGen", "Transform", "Evaluator"}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.MODELS, "unet", tiny_network)
        yield Workplace(tmp_path_factory.mktemp("pipeline_root"), ("evaluation.min_accuracy=0.01",))


def beam_args(arguments: list[str]) -> str:
    return f"pipeline.beam_args={json.dumps(arguments)}"


def check_run(record: RunRecord) -> None:
    """Checks that each component on Beam ran, on all examples."""
    assert {node.id for node in record.nodes if node.state.value == "complete"} >= ON_BEAM
    assert record.dataset.splits == {"train": 22, "eval": 2, "test": 12}
    assert sum(record.distributions["image_iou_histogram"]) == 12
    assert sum(row["examples"] for row in record.slices if "species" in row["slice"]) == 12
    assert 0 < record.metrics["mean_iou"] < record.metrics["accuracy"] < 1


def test_all_components_work_through_a_job_server_and_none_is_left(workplace, tmp_path):
    java = fake_java(tmp_path)
    check_run(workplace.run(beam_args(java.arguments), to_node="Evaluator"))
    assert len(java.started) == len(ON_BEAM)
    assert java.left == []


@pytest.mark.skipif(JAR_VARIABLE not in os.environ, reason=f"{JAR_VARIABLE} names no job server for a Flink that runs")
def test_all_components_work_on_a_real_flink(workplace):
    master = os.environ.get(MASTER_VARIABLE, "localhost:8081")
    version = ".".join(Flink(master).version().split(".")[:2])
    arguments = [
        "--runner=FlinkRunner", f"--flink_master={master}", f"--flink_version={version}",
        f"--flink_job_server_jar={os.environ[JAR_VARIABLE]}", "--environment_type=LOOPBACK",
    ]  # fmt: skip
    check_run(workplace.run(beam_args(arguments), to_node="Evaluator"))


def start(root: Path, arguments: list[str]) -> subprocess.Popen[str]:
    settings = [*SMALL, beam_args(arguments), f"pipeline.root={root}"]
    options = [option for setting in settings for option in ("--set", setting)]
    return subprocess.Popen(
        command("pipeline.cli", "run", "--preset", "demo", "--to", "TfdsExampleGen", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_command_ends_without_a_word_of_beam_and_leaves_no_process(tmp_path, interrupted):
    java = fake_java(tmp_path)
    process = start(tmp_path / "root", java.arguments)
    if interrupted:
        while not java.started and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == (130 if interrupted else 0), output
    assert ("interrupted in TfdsExampleGen" in output) == interrupted
    assert "Traceback" not in output
    assert (len(java.started), java.left) == (1, [])
    assert not (tmp_path / "root" / "tmp").exists()
