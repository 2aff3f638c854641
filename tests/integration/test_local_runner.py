"""The runner, with a pipeline of trivial components: states, caching, failures, interruptions, partial runs."""

import html
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import forked_processes
import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.portable import inputs_utils
from tfx.orchestration.portable.input_resolution import exceptions
from workplace import without_report

from components.model_evaluator.gate import BoundResult
from petseg.processes import command
from pipeline.config.loading import load_config
from pipeline.housekeeping import cleaning
from pipeline.housekeeping.policy import Rules
from pipeline.local.runner import RunRequest, run_pipeline
from pipeline.runs.record import NodeState, RunRecord, RunState
from pipeline.runs.store import RunStore
from trainer_module.errors import ConfigError, PetsegError

FAKES = Path(__file__).parent
sys.path.append(str(FAKES))
import fake_pipeline  # noqa: E402

# TFX walks through protobufs in a way they no longer like, and the warning names whoever called TFX.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")

COMPLETE, CACHED = metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED
NODES = ["TfdsExampleGen", "Trainer", "Evaluator", "Pusher", "RunReport"]
METRICS = {"accuracy": 0.75, "mean_iou": 0.61, "loss": 0.6}


@pytest.fixture(autouse=True)
def _evaluation(monkeypatch):
    def read_evaluation(uri):
        bound = float((Path(uri) / "min_accuracy").read_text())
        passed = METRICS["accuracy"] >= bound
        threshold = BoundResult(metric="accuracy", kind="min", bound=bound, value=0.75, passed=passed)
        by_species = {"slice": {"species": "cat"}, "examples": 3, "metrics": METRICS}
        verdict = SimpleNamespace(bounds=[threshold], passed=passed, comparison=None)
        return SimpleNamespace(
            metrics=METRICS, served_metrics={}, slices=[by_species], distributions={}, verdict=verdict
        )

    monkeypatch.setitem(
        sys.modules, "components.model_evaluator.results", SimpleNamespace(read_evaluation=read_evaluation)
    )


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def run(root: Path, *overrides: str, trainer: str = "", report: bool = False, **request) -> RunRecord:
    own = ["pipeline.name=petseg-demo", "trainer.epochs=2", *overrides]
    config = load_config(overrides=own, pipeline_root=str(root))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(fake_pipeline.TRAINER_VARIABLE, trainer)
        with nullcontext() if report else without_report():
            return run_pipeline(config, RunRequest(create_pipeline=fake_pipeline.create_pipeline, **request))


def states(record: RunRecord) -> list[str]:
    assert [node.id for node in record.nodes] == NODES
    return [node.state.value for node in record.nodes]


def executions(root: Path) -> list[metadata_store_pb2.Execution]:
    config = sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
    return metadata_store.MetadataStore(config).get_executions()


def left_running(root: Path) -> list[int]:
    return [e.id for e in executions(root) if e.last_known_state == metadata_store_pb2.Execution.RUNNING]


def trainer_outputs(root: Path) -> list[str]:
    return [path.name for path in (root / "artifacts/petseg-demo/Trainer/model_run").iterdir()]


def test_a_run_is_recorded_and_its_flood_is_kept_out_of_the_terminal(root, capfd):
    record = run(root, report=True)

    assert record.state is RunState.COMPLETE
    assert states(record) == ["complete"] * 5
    assert record.dataset.model_dump() == {
        "name": "fake_pets",
        "version": "1.0.0",
        "splits": {"train": 1360, "eval": 40},
        "digests": {},
        "class_pixels": {},
        "not_labelled_pixels": {},
        "date_ranges": {},
    }
    assert record.parameters == 1234567
    assert record.metrics == METRICS
    assert record.slices == [{"slice": {"species": "cat"}, "examples": 3, "metrics": METRICS}]
    assert record.blessed is True
    assert record.thresholds[0].passed
    assert record.pushed_model == str(root / "artifacts/petseg-demo/Pusher/pushed_model/4")
    assert record.node("Trainer").summary == "1,234,567 parameters, 2 epochs, val loss 0.6000, val accuracy 0.7500"
    assert all(node.seconds >= 0 for node in record.nodes)
    assert RunStore(root).record("latest") == record
    assert json.loads((root / "runs" / record.run_id / "config.json").read_text()) == record.settings
    shown = "".join(capfd.readouterr())
    assert "Trainer: complete" in shown
    assert record.log in shown
    assert "flood" not in shown
    assert "flood of a C++ library" in Path(record.log).read_text()
    assert record.report == str(root / "runs" / record.run_id / "report.html")
    assert f"report: {record.report}" in shown
    assert "Blessed" in Path(record.report).read_text()
    assert "0.6100" in Path(record.report).with_name("model_card.md").read_text()
    told = RunRecord.load(Path(record.node("RunReport").outputs["metrics"], "run.json"))
    assert (told.run_id, told.state, told.log) == (record.run_id, RunState.COMPLETE, record.log)
    assert told.node("Trainer") == record.node("Trainer")


@pytest.mark.parametrize("variable", ["set", "unset"])
def test_temporary_files_end_with_the_run(root, tmp_path, monkeypatch, variable):
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(outside))
    monkeypatch.setenv("TMPDIR", str(outside))
    if variable == "unset":
        monkeypatch.delenv("TMPDIR")
    assert run(root, trainer="error").state is RunState.FAILED
    assert run(root).state is RunState.COMPLETE
    assert list(outside.iterdir()) == []
    assert not (root / "tmp").exists()
    assert tempfile.gettempdir() == str(outside)
    assert os.environ.get("TMPDIR") == (str(outside) if variable == "set" else None)


def test_a_report_that_cannot_be_written_does_not_end_a_run(root, monkeypatch, capfd):
    def refuse(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr("pipeline.report.page.write_report", refuse)
    record = run(root, report=True)
    assert (record.state, record.blessed) == (RunState.COMPLETE, True)
    assert "no report: OSError: no space left" in "".join(capfd.readouterr())
    assert "OSError: no space left" in Path(record.report).read_text()

    (root / "runs" / record.run_id / "report.html").unlink()
    failed = run(root, report=True, trainer="error", use_cache=False)  # RunReport does not run
    assert (failed.state, failed.report) == (RunState.FAILED, None)
    assert "no report was written (no space left)" in "".join(capfd.readouterr())
    assert "OSError: no space left" in Path(failed.log).read_text()


def test_an_equal_run_is_cached_with_the_same_numbers_and_a_changed_setting_runs_what_follows(root):
    first = run(root)
    second = run(root)
    assert states(second) == [*["cached"] * 4, "complete"]
    fields = {"dataset", "parameters", "metrics", "slices", "thresholds", "blessed", "pushed_model"}
    assert second.model_dump(include=fields) == first.model_dump(include=fields)
    assert [node.summary for node in second.nodes] == [node.summary for node in first.nodes]

    assert states(run(root, "trainer.epochs=3")) == ["cached", *["complete"] * 4]
    assert states(run(root, use_cache=False)) == ["complete"] * 5


def test_a_model_that_is_not_blessed_is_done_but_not_pushed(root):
    record = run(root, "evaluation.min_accuracy=0.9")
    assert (record.state, record.blessed, record.pushed_model) == (RunState.COMPLETE, False, None)
    assert "not blessed" in record.node("Evaluator").summary


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("data error", "split 'train', file 'a.jpg': expected a mask, got 3"),
        ("error", "ZeroDivisionError: one of the many"),
    ],
)
def test_a_failing_component_ends_the_run_and_the_next_goes_on_from_it(root, what, message):
    failed = run(root, trainer=what, report=True)
    assert failed.state is RunState.FAILED
    assert states(failed) == ["complete", "failed", *["pending"] * 3]
    assert failed.error == message
    assert f'Failed in Trainer</p>\n  <p class="reason">{message}' in html.unescape(Path(failed.report).read_text())
    assert RunStore(root).record(failed.run_id) == failed
    assert message in Path(failed.log).read_text()
    assert trainer_outputs(root) == []
    assert states(run(root)) == ["cached", *["complete"] * 4]


def test_inputs_that_cannot_be_resolved_fail_the_run(root, monkeypatch):
    resolve = inputs_utils.resolve_input_artifacts

    def refuse(*, pipeline_node, metadata_handle):
        if pipeline_node.node_info.id == "Trainer":
            raise exceptions.FailedPreconditionError("min_count of examples is 1, got 0")
        return resolve(pipeline_node=pipeline_node, metadata_handle=metadata_handle)

    monkeypatch.setattr(inputs_utils, "resolve_input_artifacts", refuse)
    record = run(root)
    assert states(record) == ["complete", "failed", *["pending"] * 3]
    assert "min_count of examples is 1, got 0" in record.error
    assert "Traceback" not in record.error


def test_what_a_component_on_beam_waits_for_is_shown(root, capfd):
    record = run(root, trainer="notice")
    assert "waiting since 15 s: no worker" in "".join(capfd.readouterr())
    assert "waiting since 15 s: no worker" in Path(record.log).read_text()


def test_an_interrupted_component_leaves_nothing_half_done(root):
    interrupted = run(root, trainer="interrupt")
    assert interrupted.state is RunState.INTERRUPTED
    assert states(interrupted) == ["complete", "interrupted", *["pending"] * 3]
    assert trainer_outputs(root) == []
    assert left_running(root) == []
    assert states(run(root)) == ["cached", *["complete"] * 4]


def test_a_partial_run_takes_the_rest_from_the_latest_run_that_has_it(root):
    first = run(root, to_node="Trainer")
    assert states(first) == ["complete", "complete", *["skipped"] * 3]
    assert first.blessed is None
    run(root, "trainer.epochs=3", trainer="error")

    second = run(root, from_node="Evaluator")
    assert states(second) == ["skipped", "skipped", *["complete"] * 3]
    assert second.parameters == 1234567
    assert second.dataset == first.dataset
    assert second.blessed is True


def test_a_report_alone_can_be_had_again(root):
    first = run(root)
    again = run(root, from_node="RunReport", report=True)
    assert states(again) == [*["skipped"] * 4, "complete"]
    assert again.metrics == first.metrics
    assert "Blessed" in Path(again.report).read_text()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"from_node": "Trainer"}, "--from Trainer needs what TfdsExampleGen produced in one earlier run"),
        ({"to_node": "Traner"}, "did you mean 'Trainer'?"),
        ({"from_node": "Pusher", "to_node": "Trainer"}, "no component lies between --from Pusher and --to Trainer"),
    ],
)
def test_a_partial_run_that_cannot_be_is_refused_and_not_recorded(root, request_, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        run(root, **request_)
    assert RunStore(root).run_ids() == []


def clean(root: Path, keep: int) -> None:
    config, rules = load_config(pipeline_root=str(root)), Rules(keep=keep)
    cleaning.clean(RunStore(root), config, rules, cleaning.look(RunStore(root), config, rules))


def test_after_a_cleaning_the_cache_answers_for_what_stays_and_for_nothing_else(root):
    old, new = run(root, "trainer.epochs=1"), run(root)
    repeated = run(root)
    clean(root, keep=1)
    assert {state.last_known_state for state in executions(root)} <= {COMPLETE, CACHED}
    assert states(run(root))[:4] == ["cached"] * 4
    assert not Path(old.node("Trainer").outputs["model_run"]).exists()
    assert RunStore(root).record(old.run_id).cleaned
    again = run(root, "trainer.epochs=1")
    assert states(again)[:4] == ["cached", "complete", "complete", "complete"]
    assert new.node("Trainer").outputs == repeated.node("Trainer").outputs


def test_after_a_cleaning_a_partial_run_finds_the_rest(root):
    run(root, "trainer.epochs=1")
    base = run(root)
    partial = run(root, "evaluation.min_accuracy=0.5", from_node="Evaluator")
    assert states(partial)[:3] == ["skipped", "skipped", "complete"]
    clean(root, keep=1)
    again = run(root, "evaluation.min_accuracy=0.6", from_node="Evaluator")
    assert states(again)[:3] == ["skipped", "skipped", "complete"]
    assert again.node("Trainer").outputs == base.node("Trainer").outputs
    assert states(run(root))[:2] == ["cached", "cached"]


def test_a_cleaning_after_an_interrupted_run_leaves_what_the_next_goes_on_from(root):
    run(root, "trainer.epochs=1")
    interrupted = run(root, "trainer.seed=7", trainer="interrupt")
    assert states(interrupted)[:2] == ["complete", "interrupted"]
    clean(root, keep=1)
    assert states(run(root, "trainer.seed=7"))[:2] == ["cached", "complete"]


def test_metadata_that_is_no_database_is_named(root):
    root.mkdir()
    (root / "metadata.sqlite").write_text("not a database" * 100)
    with pytest.raises(PetsegError, match=r"metadata\.sqlite' is no database of ML Metadata, or a damaged one"):
        run(root)
    assert RunStore(root).run_ids() == []


def start(root: Path, trainer: str, *arguments: str) -> subprocess.Popen:
    """Forks a process of the command line, and waits until the Trainer runs."""
    environment = os.environ | {"PYTHONPATH": str(FAKES), fake_pipeline.TRAINER_VARIABLE: trainer}
    options = ["--preset", "demo", "--set", "trainer.epochs=2", "--pipeline-root", str(root), *arguments]
    process = forked_processes.Popen(
        command("fake_pipeline", "run", *options),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for file in root.glob("runs/*/progress.jsonl"):
            if file.stat().st_size:
                return process
        time.sleep(0.1)
    process.kill()
    raise AssertionError(process.communicate())


def test_ctrl_c_ends_the_process_soon_and_orderly(root):
    process = start(root, "sleep 300", "--json")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == 130
    assert json.loads(stdout)["state"] == "interrupted"
    assert "interrupted in Trainer" in stderr
    assert trainer_outputs(root) == []
    assert left_running(root) == []


def test_what_a_killed_run_left_is_cleaned_up_by_the_next_which_goes_on(root):
    process = start(root, "sleep 300")
    store = RunStore(root)
    killed = store.record("latest")
    assert (killed.state, killed.node("Trainer").state) == (RunState.RUNNING, NodeState.RUNNING)
    with pytest.raises(PetsegError, match=rf"process {process.pid}, run {killed.run_id}"):
        run(root)

    process.kill()
    process.communicate()
    assert store.record("latest").state is RunState.INTERRUPTED
    assert left_running(root) != []
    assert trainer_outputs(root) != []
    left = trainer_outputs(root)
    assert list((root / "tmp").iterdir()) != []

    assert states(run(root)) == ["cached", *["complete"] * 4]
    assert left_running(root) == []
    assert not set(left) & set(trainer_outputs(root))
    assert not (root / "tmp").exists()
