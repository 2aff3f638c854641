"""Whole dry-runs of a package whose components are a small script."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.kubeflow.dry_run.metadata import Artifact, Execution, ExecutionState
from pipeline.kubeflow.dry_run.runner import dry_run
from pipeline.kubeflow.dry_run.specification import DryRunRequest
from pipeline.kubeflow.package import Package, code_arguments
from pipeline.runs.record import RunRecord, RunState
from pipeline.runs.store import RunStore
from trainer_module.errors import ConfigError, PetsegError

TASKS = ["Driver", "ExampleGen", "Trainer"]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "dry_run"


def run(package: Package, root: Path, **request) -> RunRecord:
    return dry_run(package, DryRunRequest(root=str(root), **request))


def states(record: RunRecord) -> list[str]:
    assert [node.id for node in record.nodes] == TASKS
    return [node.state.value for node in record.nodes]


def executions(root: Path) -> list[Execution]:
    """Returns the executions as they were left, each by its last line."""
    lines = (root / "executions.jsonl").read_text().splitlines()
    return list({execution.id: execution for execution in map(Execution.model_validate_json, lines)}.values())


def logs_of(root: Path, task: str) -> list[Artifact]:
    outputs = [artifact for execution in executions(root) if execution.task == task for artifact in execution.outputs]
    return [artifact for artifact in outputs if artifact.name == "executor-logs"]


def objects(root: Path) -> list[str]:
    """Returns the keys of all objects from the task on, without what differs from run to run."""
    bucket = root / "object_store" / "minio" / "mlpipeline" / "v2" / "artifacts" / "petseg-tiny"
    parts = (file.relative_to(bucket).parts for file in bucket.rglob("*"))
    return sorted("/".join((task, *rest)) for _, task, _, *rest in (p for p in parts if len(p) > 3))


def test_a_run_is_recorded_listed_and_kept_out_of_the_terminal(make_package, pods, root, capfd):
    package = make_package()
    record = run(package, root)

    assert record.state is RunState.COMPLETE, record.error
    assert states(record) == ["complete"] * 3
    assert (record.pipeline, record.preset) == ("petseg-tiny", None)
    assert record.settings == {
        "parameters": {"epochs": 3},
        "package": {"name": "petseg-tiny", "digest": package.digest},
    }
    assert RunStore(root).record("latest") == record
    assert [pod["task"] for pod in pods()] == TASKS
    assert "Trainer writes to its log" in Path(record.log).read_text()
    shown = "".join(capfd.readouterr())
    assert "Trainer: complete" in shown
    assert "writes to its log" not in shown
    assert Package.load(Path(record.log).with_name("package.yaml")).digest == package.digest
    assert not any(Path(record.log).with_name("pods").iterdir())


def test_inputs_arrive_as_the_server_gives_them(make_package, pods, root):
    run(make_package(), root)
    driver, _, trainer = pods()
    examples = trainer["input"]["inputs"]["artifacts"]["examples"]["artifacts"][0]
    assert examples["type"] == {"instanceSchema": ""}
    assert int(examples["name"]) > 0
    assert examples["metadata"]["splits"] == {"list": ["train", "eval"]}
    assert examples["metadata"]["counts"] == {"struct": {"train": 2}}
    assert (examples["metadata"]["is_new"], examples["metadata"]["display_name"]) == (1, "examples")
    model = trainer["input"]["outputs"]["artifacts"]["model"]["artifacts"][0]
    assert model["name"] == "model"
    assert "tfx.Model" in model["type"]["instanceSchema"]
    assert trainer["found"] == {"executor-logs": "a file", "model": "a parent", "model_run": "a parent"}
    assert driver["input"]["outputs"]["outputFile"].startswith(driver["environment"]["PETSEG_LAUNCHER_ROOT"])


def test_output_parameters_and_runtime_parameters_are_inputs(make_package, pods, root):
    run(make_package(), root, parameters={"epochs": 7})
    _, example_gen, trainer = pods()
    assert example_gen["input"]["inputs"]["parameterValues"] == {"fingerprint": "f1"}
    assert trainer["input"]["inputs"]["parameterValues"] == {"epochs": 7}


def test_an_output_parameter_may_be_a_file_of_its_own(make_package, pods, root):
    def write_file(spec, _platform):
        container = _container(spec, "Driver")
        code = "import pathlib, sys; pathlib.Path(sys.argv[-1]).write_text('f9')"
        container["command"] = ["python", "-c", code, *code_arguments("Driver")]
        container["args"] = ["{{$.outputs.parameters['fingerprint'].output_file}}"]

    record = run(make_package(write_file), root)
    assert record.state is RunState.COMPLETE, record.error
    assert pods()[0]["input"]["inputs"]["parameterValues"] == {"fingerprint": "f9"}


def test_only_files_are_uploaded_and_a_download_takes_what_begins_alike(make_package, pods, root):
    def evaluate(spec, _platform):
        model = {"taskOutputArtifact": {"producerTask": "Trainer", "outputArtifactKey": "model"}}
        spec["root"]["dag"]["tasks"]["Xvaluator"] = {
            "taskInfo": {"name": "Xvaluator"},
            "componentRef": {"name": "Xvaluator"},
            "dependentTasks": ["Trainer"],
            "inputs": {"artifacts": {"model": model}},
        }
        definition = {"artifacts": {"model": spec["components"]["Trainer"]["outputDefinitions"]["artifacts"]["model"]}}
        spec["components"]["Xvaluator"] = {"executorLabel": "X_executor", "inputDefinitions": definition}
        trainer = spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]
        spec["deploymentSpec"]["executors"]["X_executor"] = {"container": trainer | {"args": ["Xvaluator", "{{$}}"]}}

    run(make_package(evaluate), root)
    assert [key for key in objects(root) if "executor-logs" not in key] == [
        "ExampleGen/examples", "ExampleGen/examples/data", "Trainer/model", "Trainer/model/data", "Trainer/model_run",
        "Trainer/model_run/data",
    ]  # fmt: skip
    assert pods()[-1]["beside_inputs"] == {"model": ["model", "model_run"]}


def test_an_artifact_may_be_one_file_of_a_directory_and_of_the_servers_own_type(make_package, behave, root):
    """As a page is; what lies beside it in the pod stays there."""

    def show(spec, _platform):
        outputs = spec["components"]["Trainer"]["outputDefinitions"]["artifacts"]
        outputs["model_run"]["artifactType"] = {"schemaTitle": "system.HTML", "schemaVersion": "0.0.1"}

    behave(Trainer={"one_file": "model_run"})
    record = run(make_package(show), root)
    assert record.state is RunState.COMPLETE, record.error
    [artifact] = [one for execution in executions(root) for one in execution.outputs if one.name == "model_run"]
    assert (artifact.type, artifact.uri.rpartition("/")[2]) == ("system.HTML", "data")
    assert [key for key in objects(root) if "model_run" in key] == ["Trainer/model_run", "Trainer/model_run/data"]
    assert Path(record.node("Trainer").outputs["model_run"]).read_text() == "model_run of Trainer"


def test_volumes_and_scratch_lead_to_directories_of_this_machine(make_package, pods, root):
    def use_scratch(spec, _platform):
        spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]["env"].append(
            {"name": "SCRATCH", "value": "/tmp/petseg/x"}
        )

    record = run(make_package(use_scratch), root)
    driver, _, trainer = pods()
    volume = root / "volumes" / "petseg-data"
    config = json.loads(driver["input"]["inputs"]["parameterValues"]["config"])
    assert config["data"]["data_dir"] == f"{volume}/data"
    assert trainer["environment"]["CHECKPOINTS"] == f"{volume}/checkpoints"
    pod = Path(record.log).with_name("pods") / "Trainer"
    assert trainer["environment"]["SCRATCH"] == f"{pod}/scratch/x"
    assert volume.is_dir()


def test_a_pod_has_its_secrets_but_nothing_else_of_the_callers_environment(
    make_package, pods, root, monkeypatch, capfd
):
    monkeypatch.setenv("API_KEY", "s3cret-value")
    monkeypatch.setenv("SOME_SETTING", "of the caller")
    record = run(make_package(), root)
    driver, _, trainer = pods()
    assert trainer["environment"]["API_KEY"] == "s3cret-value"
    assert "API_KEY" not in driver["environment"]
    assert "SOME_SETTING" not in trainer["environment"]
    assert trainer["environment"]["HOME"].endswith("/pods/Trainer/home")
    assert ["PETSEG_PROGRESS_FILE" in pod["environment"] for pod in (driver, trainer)] == [False, True]
    written = [file.read_bytes() for file in root.rglob("*") if file.is_file()]
    assert not any(b"s3cret-value" in content for content in written)
    assert "s3cret-value" not in "".join(capfd.readouterr()) + repr(record)


@pytest.mark.usefixtures("behave")
def test_a_secret_that_is_not_set_is_noticed(make_package, root, monkeypatch, capfd):
    monkeypatch.delenv("API_KEY", raising=False)
    record = run(make_package(), root)
    assert record.state is RunState.COMPLETE
    assert "API_KEY is not set" in Path(record.log).read_text()
    assert "API_KEY is not set" in capfd.readouterr().out


def test_an_equal_run_reuses_all_but_what_must_look_for_itself(make_package, pods, root):
    first, second = (run(make_package(), root) for _ in range(2))
    assert states(second) == ["complete", "cached", "cached"]
    assert [node.summary for node in second.nodes] == [node.summary for node in first.nodes]
    assert [pod["task"] for pod in pods()] == [*TASKS, "Driver"]


def test_other_data_or_another_parameter_runs_what_depends_on_it(make_package, behave, pods, root):
    run(make_package(), root)
    assert states(run(make_package(), root, parameters={"epochs": 4})) == ["complete", "cached", "complete"]
    behave(fingerprint="f2")
    assert states(run(make_package(), root)) == ["complete"] * 3
    behave(fingerprint="f1")
    assert states(run(make_package(), root)) == ["complete", "cached", "cached"]
    assert states(run(make_package(), root, use_cache=False)) == ["complete"] * 3


@pytest.mark.usefixtures("behave")
@pytest.mark.parametrize(
    ("change", "after"),
    [
        (lambda spec, _: _container(spec, "Trainer").update(image="petseg:2"), ["complete", "cached", "complete"]),
        (
            lambda spec, _: _container(spec, "Trainer")["env"][0].update(value="/cache/other"),
            ["complete", "cached", "cached"],
        ),
        (
            lambda _, platform: _executor(platform, "Trainer")["pvcMount"][0].update(constant="other-claim"),
            ["complete", "cached", "complete"],
        ),
        (
            lambda spec, _: spec["root"]["dag"]["tasks"]["ExampleGen"].update(cachingOptions={}),
            ["complete", "complete", "complete"],
        ),
        (lambda spec, _: spec["pipelineInfo"].update(name="petseg-other"), ["complete"] * 3),
        (
            lambda spec, _: spec["root"]["dag"]["tasks"]["Trainer"]["retryPolicy"].update(maxRetryCount=5),
            ["complete", "cached", "cached"],
        ),
    ],
    ids=["image", "not the environment", "claim", "caching off: new artifacts", "pipeline", "retries"],
)
def test_what_enters_the_cache_key(make_package, root, change, after):
    run(make_package(), root)
    assert states(run(make_package(change), root)) == after


@pytest.mark.usefixtures("behave")
def test_the_cache_does_not_depend_on_where_the_dry_run_is(make_package, root):
    run(make_package(), root)
    moved = root.with_name("moved")
    root.rename(moved)
    assert states(run(make_package(), moved)) == ["complete", "cached", "cached"]


@pytest.mark.parametrize(
    "behaviour",
    [{"lose": 1}, {"lose": 1, "by": "SIGTERM"}, {"fail": 1, "code": 143}],
    ids=["killed", "terminated", "terminated, and tidied up"],
)
def test_a_lost_pod_is_started_again_as_its_policy_says(make_package, behave, pods, root, capfd, behaviour):
    behave(Trainer=behaviour)
    record = run(make_package(), root)
    assert states(record) == ["complete"] * 3
    assert [pod["task"] for pod in pods()] == [*TASKS, "Trainer"]
    first, second = (pod["input"] for pod in pods()[2:])
    logs = [message["outputs"]["artifacts"].pop("executor-logs") for message in (first, second)]
    assert first == second
    assert [log["artifacts"][0]["uri"].rpartition("/")[2] for log in logs] == ["executor-logs-0", "executor-logs-1"]
    assert [pod["environment"]["KFP_RETRY_INDEX"] for pod in pods()] == ["0", "0", "0", "1"]
    assert "Trainer: pod 1 of 2 was lost, the next starts in 0.01 s" in capfd.readouterr().out


def test_a_pod_that_is_lost_too_often_fails_the_run(make_package, behave, pods, root):
    behave(Trainer={"lose": 2})
    record = run(make_package(), root)
    assert (record.state, record.error) == (
        RunState.FAILED,
        "the pod was ended by SIGKILL; it may have run out of memory",
    )
    assert [pod["task"] for pod in pods()] == [*TASKS, "Trainer"]


@pytest.mark.parametrize("behaviour", [{"fail": 1}, {"lose": 1, "by": "SIGSEGV"}], ids=["exit code", "crash"])
def test_a_pod_that_failed_is_not_started_again(make_package, behave, pods, root, behaviour):
    behave(Trainer=behaviour)
    assert states(run(make_package(), root)) == ["complete", "complete", "failed"]
    assert [pod["task"] for pod in pods()] == TASKS


def test_the_tries_in_a_pod_come_with_short_pauses(make_package, pods, root):
    def set_retry(spec, _platform):
        retry = '{"max_count": 4, "backoff_seconds": 60, "backoff_max_seconds": 3600}'
        _container(spec, "Trainer")["env"].append({"name": "PETSEG_RETRY", "value": retry})

    run(make_package(set_retry), root)
    retry = json.loads(pods()[2]["environment"]["PETSEG_RETRY"])
    assert (retry["max_count"], retry["backoff_max_seconds"]) == (4, 0)


def test_what_a_pod_writes_is_an_artifact_also_when_it_failed_but_lost_with_the_pod(make_package, behave, root):
    behave(Trainer={"fail": 1, "say": "no memory"})
    run(make_package(), root)
    assert logs_of(root, "Trainer") == executions(root)[-1].outputs
    behave(Trainer={"lose": 2})
    run(make_package(), root)
    *_, trainer = executions(root)
    assert trainer.state is ExecutionState.COMPLETE
    logs = logs_of(root, "Trainer")
    assert [log.uri.rpartition("/")[2] for log in logs] == ["executor-logs-0", "executor-logs-1"]
    assert {log.type for log in logs} == {"system.Artifact"}
    assert logs[1] in trainer.outputs
    files = [root / "object_store" / log.uri.replace("://", "/") for log in logs]
    assert [file.read_text() for file in files] == [
        "Trainer writes to its log\nno memory\n", "Trainer writes to its log\n",
    ]  # fmt: skip


def test_what_a_component_says_of_the_log_does_not_count(make_package, behave, root):
    echo = {"executor-logs": {"artifacts": [{"uri": "minio://elsewhere/log", "metadata": {"said": "x"}}]}}
    behave(Driver={"output": {"artifacts": echo}})
    assert run(make_package(), root).state is RunState.COMPLETE
    [log] = logs_of(root, "Driver")
    assert "/Driver/" in log.uri
    assert log.metadata == {"display_name": "executor-logs", "store_session_info": "{}"}


def test_a_task_that_fails_ends_the_run_and_the_next_goes_on_from_it(make_package, behave, root):
    behave(Trainer={"fail": 1})
    failed = run(make_package(), root)
    assert (failed.state, failed.error) == (RunState.FAILED, "the split is empty")
    assert states(failed) == ["complete", "complete", "failed"]
    assert (Path(failed.log).with_name("pods") / "Trainer").is_dir()
    assert executions(root)[-1].state is ExecutionState.FAILED
    assert states(run(make_package(), root)) == ["complete", "cached", "complete"]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ({"output": {"artefacts": {}}}, 'cannot parse its output file: .*no field named "artefacts"'),
        ({"metadata": {"baseline": None}}, "output 'examples': its metadata 'baseline' is null"),
        ({"fail": 1, "say": "Traceback (most recent call last):\n  File x\nKeyError: 'y'"}, "^KeyError: 'y'$"),
        ({"fail": 1, "say": "no memory"}, "^the pod ended with exit code 1; its last words: no memory$"),
    ],
)
def test_what_the_launcher_refuses_fails_the_run(make_package, behave, root, behaviour, message):
    behave(ExampleGen=behaviour)
    record = run(make_package(), root)
    assert states(record) == ["complete", "failed", "pending"]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(record.error)


def test_a_missing_output_only_warns(make_package, behave, root):
    behave(Trainer={"no_output": "model_run"})
    record = run(make_package(), root)
    assert record.state is RunState.COMPLETE
    assert "task 'Trainer' wrote nothing to its output 'model_run'" in Path(record.log).read_text()


def test_a_deadline_ends_the_pod_for_good(make_package, behave, pods, root):
    def set_deadline(spec, platform):
        _executor(platform, "Driver")["activeDeadlineSeconds"] = 1
        spec["root"]["dag"]["tasks"]["Driver"]["retryPolicy"] = {"maxRetryCount": 1}

    behave(Driver={"sleep": 60})
    record = run(make_package(set_deadline), root)
    assert len(pods()) == 1
    assert states(record) == ["failed", "pending", "pending"]
    assert record.error == "the pod was ended after its deadline of 1 s"


@pytest.mark.usefixtures("behave")
def test_arguments_that_linux_does_not_take_are_refused(make_package, root):
    def enlarge(spec, _platform):
        long = {"runtimeValue": {"constant": "x" * 50_000}}
        task, component = spec["root"]["dag"]["tasks"]["Driver"], spec["components"]["Driver"]
        task["inputs"]["parameters"] |= {"a": long, "b": long}
        component["inputDefinitions"]["parameters"] |= {name: {"parameterType": "STRING"} for name in "ab"}
        container = spec["deploymentSpec"]["executors"]["Driver_executor"]["container"]
        container["args"] = ["{{$}}{{$}}"]

    record = run(make_package(enlarge), root)
    assert record.state is RunState.FAILED
    assert "an argument of the container has 2" in record.error


@pytest.mark.usefixtures("behave")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spec, _: spec["root"].update(dags={}), 'no field named "dags"'),
        (lambda _, platform: _executor(platform, "Driver").update(pvcMounts=[]), 'no field named "pvcMounts"'),
        (lambda spec, _: spec.update(schemaVersion="2.0.0"), "2.0.0"),
        (
            lambda spec, _: spec["root"]["dag"]["tasks"]["Driver"].update(
                parameterIterator={"items": {"raw": "[1]"}, "itemInput": "x"}
            ),
            "has a parameter_iterator, which the dry-run does not execute",
        ),
        (lambda spec, _: _container(spec, "Driver").update(command=["python"]), "compiled by another version"),
    ],
)
def test_a_package_that_no_server_would_run_is_refused_and_not_recorded(make_package, root, change, message):
    with pytest.raises(ConfigError, match=message):
        run(make_package(change), root)
    assert RunStore(root).run_ids() == []


@pytest.mark.usefixtures("behave")
def test_a_value_of_another_type_than_the_component_takes_is_refused(make_package, root):
    def mistype(spec, _platform):
        spec["components"]["Trainer"]["inputDefinitions"]["parameters"]["epochs"]["parameterType"] = "BOOLEAN"

    record = run(make_package(mistype), root)
    assert states(record) == ["complete", "complete", "failed"]
    assert record.error == "task 'Trainer': the parameter 'epochs' is a BOOLEAN, and gets a number"


@pytest.mark.usefixtures("behave")
def test_pods_are_kept_when_asked(make_package, root):
    record = run(make_package(), root, keep_pods=True)
    kept = Path(record.log).with_name("pods")
    assert sorted(pod.name for pod in kept.iterdir()) == TASKS


@pytest.mark.usefixtures("behave")
def test_a_damaged_record_is_named_and_what_a_killed_process_wrote_of_a_line_does_not_count(make_package, root):
    run(make_package(), root)
    file = root / "executions.jsonl"
    with file.open("a") as opened:
        opened.write('{"id": 9, "pipe')
    assert states(run(make_package(), root)) == ["complete", "cached", "cached"]
    before = RunStore(root).run_ids()
    file.write_text("not a record\n" + file.read_text())
    with pytest.raises(PetsegError, match=r"executions\.jsonl' is no record of dry-runs, or a damaged one \(line 1: "):
        run(make_package(), root)
    assert RunStore(root).run_ids() == before


def test_a_store_that_an_earlier_petseg_left_is_not_read(make_package, pods, root):
    root.mkdir()
    with closing(sqlite3.connect(root / "metadata.sqlite")) as connection:
        connection.execute("CREATE TABLE Execution (id INTEGER)")
    assert states(run(make_package(), root)) == ["complete"] * 3
    assert states(run(make_package(), root)) == ["complete", "cached", "cached"]


def test_the_newest_complete_runs_keep_their_artifacts_and_what_they_took_from_the_cache(
    make_package, behave, root, capfd
):
    first = run(make_package(), root)
    behave(Trainer={"fail": 9})
    failed = run(make_package(), root, parameters={"epochs": 4})
    behave(Trainer={})
    second = run(make_package(), root, parameters={"epochs": 5})
    assert runs_with_objects(root) == {first.run_id: TASKS, failed.run_id: ["Driver", "Trainer"]} | {
        second.run_id: ["Driver", "Trainer"]
    }
    other = run(make_package(lambda spec, _: spec["pipelineInfo"].update(name="petseg-other")), root, keep_runs=1)
    assert "removed" not in capfd.readouterr().out

    third = run(make_package(), root, parameters={"epochs": 6}, keep_runs=2)
    assert "removed the artifacts of 2 older runs (--keep-runs 2)" in capfd.readouterr().out
    assert runs_with_objects(root) == {
        first.run_id: ["ExampleGen"],
        second.run_id: ["Driver", "Trainer"],
        third.run_id: ["Driver", "Trainer"],
    }
    assert runs_with_objects(root, "petseg-other") == {other.run_id: TASKS}
    assert RunStore(root).record(first.run_id).state is RunState.COMPLETE
    assert states(run(make_package(), root, parameters={"epochs": 5})) == ["complete", "cached", "cached"]
    assert states(run(make_package(), root, parameters={"epochs": 3})) == ["complete", "cached", "complete"]


def runs_with_objects(root: Path, pipeline: str = "petseg-tiny") -> dict[str, list[str]]:
    runs = (root / "object_store" / "minio" / "mlpipeline" / "v2" / "artifacts" / pipeline).iterdir()
    return {run.name: sorted(task.name for task in run.iterdir()) for run in runs}


def test_a_root_whose_name_json_escapes_is_refused(make_package, tmp_path):
    with pytest.raises(ConfigError, match="choose another root"):
        run(make_package(), tmp_path / 'a "root"')


@pytest.fixture
def started(make_package, behave, pods, root, tmp_path):
    """Starts a dry-run in a process of its own, whose Trainer takes a minute, and waits for that."""
    behave(Trainer={"sleep": 60})
    file = tmp_path / "package.yaml"
    make_package().save(file)
    code = "import sys; from pipeline.cli import main; main(sys.argv[1:])"
    arguments = ["kubeflow", "dry-run", str(file), "--pipeline-root", str(root), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while len(pods()) < 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    assert len(pods()) == 3, process.communicate()
    yield process
    process.kill()
    process.communicate()


def component_processes(root: Path) -> list[int]:
    needle = f"PETSEG_LAUNCHER_ROOT={root}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if needle in environment:
                found.append(int(entry.name))
    return found


def test_ctrl_c_ends_run_and_pod_and_leaves_nothing_half_done(started, make_package, behave, root):
    with pytest.raises(PetsegError, match=f"another run uses the pipeline root .*process {started.pid}"):
        run(make_package(), root)
    started.send_signal(signal.SIGINT)
    stdout, stderr = started.communicate(timeout=30)

    assert started.returncode == 130
    assert json.loads(stdout)["state"] == "interrupted"
    assert "interrupted in Trainer" in stderr
    assert component_processes(root) == []
    assert executions(root)[-1].state is ExecutionState.FAILED
    behave(Trainer={})
    assert states(run(make_package(), root)) == ["complete", "cached", "complete"]


def test_what_a_killed_run_left_is_put_right_by_the_next(started, make_package, behave, root):
    assert len(component_processes(root)) == 2
    started.kill()
    started.communicate()
    deadline = time.monotonic() + 30
    while component_processes(root) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert component_processes(root) == []
    assert RunStore(root).record("latest").state is RunState.INTERRUPTED
    behave(Trainer={})
    assert states(run(make_package(), root)) == ["complete", "cached", "complete"]
    assert ExecutionState.RUNNING not in {execution.state for execution in executions(root)}


def _container(spec, task_id):
    return spec["deploymentSpec"]["executors"][f"{task_id}_executor"]["container"]


def _executor(platform, task_id):
    return platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][f"{task_id}_executor"]
