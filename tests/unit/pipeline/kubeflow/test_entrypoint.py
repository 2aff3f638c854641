"""The container's process: what it writes for the launcher, and how it ends."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from recordings import recorded

from components.run_report.report import ConfusionMatrix, Reported
from petseg.processes import command as petseg_process
from pipeline.kubeflow import entrypoint
from pipeline.kubeflow.findings import findings_in
from pipeline.kubeflow.package import check_compiled_by_this_code, code_arguments
from pipeline.kubeflow.pod_output import local_path
from pipeline.runs.record import NodeRecord, RunRecord
from trainer_module.errors import ConfigError, DataError

SCHEMA_TYPE = {"instanceSchema": "title: tfx.Schema\ntype: object\n"}
IMPORT_SCHEMA = "components.import_schema.ImportSchema_Executor"
_, MODULES, _, DIGEST = code_arguments("ImportSchema")
RECORDED = recorded("launcher_arguments")


@pytest.fixture(autouse=True)
def launcher_root(tmp_path, monkeypatch):
    monkeypatch.setenv("PETSEG_LAUNCHER_ROOT", str(tmp_path))
    previous = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, previous)


def executor_input(root, schema_text="feature { name: 'image' }", **inputs) -> dict:
    schema = {"name": "", "uri": "s3://models/run/ImportSchema/schema", "type": SCHEMA_TYPE}
    return {
        "inputs": {"parameterValues": {"schema_text": schema_text}} | inputs,
        "outputs": {
            "artifacts": {"schema": {"artifacts": [schema]}},
            "outputFile": str(root / "kfp_outputs" / "out.json"),
        },
    }


def arguments(message: dict, executor: str = IMPORT_SCHEMA, digest: str = DIGEST, modules: str = MODULES) -> list[str]:
    spec = {"parameters": {"schema_text": {"parameterType": "STRING"}}}
    return [
        "--component", "ImportSchema", "--code_modules", modules, "--code_digest", digest, "--outputs", "schema",
        "--executor_class_path", executor,
        "--json_serialized_invocation_args", json.dumps(message),
        "--json_serialized_inputs_spec_args", json.dumps(spec), "--direct_num_workers=1",
    ]  # fmt: skip


def test_a_component_writes_where_the_launcher_looks(launcher_root, capfd):
    assert entrypoint.main(arguments(executor_input(launcher_root))) == 0
    written = launcher_root / "s3" / "models" / "run" / "ImportSchema" / "schema" / "schema.pbtxt"
    assert 'name: "image"' in written.read_text()
    output = json.loads((launcher_root / "kfp_outputs" / "out.json").read_text())
    [schema] = output["artifacts"]["schema"]["artifacts"]
    assert schema["uri"] == "s3://models/run/ImportSchema/schema"
    assert None not in schema["metadata"].values()
    out = capfd.readouterr().out
    assert "starting" in out
    assert f"ImportSchema: found {schema['metadata']['findings']}\n" in out
    assert json.loads(schema["metadata"]["findings"])["summary"] == "schema"
    assert out.rstrip().endswith("done")


def from_launcher(task: str, root: Path) -> tuple[dict, Path]:
    """Returns what a real launcher gives a component, and the log that it has made before."""
    message = copy.deepcopy(RECORDED[task]["executor_input"])
    [logs] = message["outputs"]["artifacts"]["executor-logs"]["artifacts"]
    logs["uri"] += "-0"
    message["outputs"]["outputFile"] = f"{root}{message['outputs']['outputFile']}"
    log = Path(local_path(logs["uri"]))
    log.parent.mkdir(parents=True)
    log.write_text("so far")
    return message, log


def test_the_log_of_a_real_server_is_none_of_the_components_outputs(launcher_root):
    message, log = from_launcher("ImportSchema", launcher_root)
    assert entrypoint.main(arguments(message)) == 0
    assert log.read_text() == "so far"
    assert list(json.loads(Path(message["outputs"]["outputFile"]).read_text())["artifacts"]) == ["schema"]
    assert (log.with_name("schema") / "schema.pbtxt").is_file()


def test_a_report_is_handed_back_as_what_the_pages_read(launcher_root, monkeypatch, capfd):
    def report_fn(arguments):
        record = RunRecord(run_id=arguments.run_id, pipeline="pets", preset=None, started=datetime.now(UTC), log="")
        record.blessed, record.metrics = False, {"accuracy": 0.5}
        record.save(arguments.directory / "run.json")
        arguments.report.write_text("the page")
        matrix = ConfusionMatrix(["pet"], [[7]])
        return Reported({"accuracy": 0.5, "blessed": 1, "verdict": "blessed", "pushed_model": "/serving/1"}, matrix)

    monkeypatch.setitem(sys.modules, "made_up_report", SimpleNamespace(report_fn=report_fn))
    place = "minio://b/pets/run-7/RunReport/00000000-0000-0000-0000-000000000001"
    kinds = {"metrics": "Metrics", "confusion_matrix": "ClassificationMetrics", "report": "HTML"}
    outputs = {
        name: {"artifacts": [{"uri": f"{place}/{name}", "type": {"schemaTitle": f"system.{kind}"}}]}
        for name, kind in (kinds | {"model_card": "Markdown"}).items()
    }
    values = {
        "report_fn": "made_up_report.report_fn",
        "settings": "{}",
        "node_ids": "[]",
        "origins": "{}",
        "run_id": "",
    }
    message = {
        "inputs": {"parameterValues": values},
        "outputs": {"artifacts": outputs, "outputFile": str(launcher_root / "out.json")},
    }
    spec = {"parameters": {name: {"parameterType": "STRING"} for name in values}}
    given = arguments(message, executor="components.run_report.executor.Executor")
    given[given.index("--component") + 1], given[given.index("--outputs") + 1] = "RunReport", ",".join(outputs)
    given[given.index("--json_serialized_inputs_spec_args") + 1] = json.dumps(spec)
    assert entrypoint.main(given) == 0

    answer = json.loads((launcher_root / "out.json").read_text())["artifacts"]
    found = {name: channel["artifacts"][0] for name, channel in answer.items()}
    assert {name: artifact["uri"].removeprefix(place) for name, artifact in found.items()} == {
        "metrics": "/metrics", "confusion_matrix": "/confusion_matrix", "report": "/report/report.html",
        "model_card": "/model_card/model_card.md",
    }  # fmt: skip
    left = launcher_root / place.replace("://", "/")
    assert (left / "report" / "report.html").read_text() == "the page"
    assert RunRecord.load(left / "metrics" / "run.json").run_id == "run-7"
    assert found["metrics"]["metadata"] == {
        "accuracy": 0.5, "blessed": 1.0, "verdict": "blessed", "pushed_model": "/serving/1",
    }  # fmt: skip
    assert found["confusion_matrix"]["metadata"] == {
        "confusionMatrix": {"annotationSpecs": [{"displayName": "pet"}], "rows": [{"row": [7.0]}]}
    }
    told = RunRecord(run_id="run-7", pipeline="pets", preset=None, started=datetime.now(UTC), log="")
    findings_in(capfd.readouterr().out).put_into(told, NodeRecord(id="RunReport"))
    assert (told.blessed, told.metrics) == (False, {"accuracy": 0.5}), "what cached components have no pod to tell"


def test_an_output_that_nobody_declares_is_left_alone_whatever_its_name(launcher_root):
    message = executor_input(launcher_root)
    other = {"name": "a", "uri": "s3://models/run/ImportSchema/a", "type": {"schemaTitle": "system.Metrics"}}
    message["outputs"]["artifacts"] = {"a": {"artifacts": [other]}} | message["outputs"]["artifacts"]
    assert entrypoint.main(arguments(message)) == 0
    assert [path.name for path in (launcher_root / "s3" / "models" / "run" / "ImportSchema").iterdir()] == ["schema"]


def test_an_image_of_other_code_is_refused_before_it_does_anything(launcher_root, capfd):
    assert entrypoint.main(arguments(executor_input(launcher_root), digest="0123456789abcdef")) == 2
    assert "this image holds other code" in capfd.readouterr().out
    assert not (launcher_root / "kfp_outputs").exists()


def test_an_input_that_was_not_downloaded_is_named(launcher_root, capfd):
    gone = {"artifacts": {"examples": {"artifacts": [{"name": "1", "uri": "s3://models/old/examples"}]}}}
    assert entrypoint.main(arguments(executor_input(launcher_root, **gone))) == 1
    assert "the input 'examples' was not downloaded" in capfd.readouterr().out


def test_an_unforeseen_failure_shows_its_traceback_and_a_last_line(launcher_root, capfd):
    assert entrypoint.main(arguments(executor_input(launcher_root, schema_text="feature {"))) == 1
    captured = capfd.readouterr()
    assert "ParseError" in captured.err
    assert "failed: " in captured.out.splitlines()[-1]
    assert not (launcher_root / "kfp_outputs" / "out.json").exists()


def driver_arguments(task: str, message: dict) -> list[str]:
    return [
        "--component", task, *code_arguments(task), "--outputs", "", "--driver",
        "--json_serialized_invocation_args", json.dumps(message),
    ]  # fmt: skip


def test_the_driver_answers_with_the_fingerprint(launcher_root, monkeypatch, capfd):
    from components.tfds_example_gen import component as driver

    monkeypatch.setattr(driver, "fingerprint", lambda properties: {"input_fingerprint": properties["custom_config"]})
    message, log = from_launcher("TfdsExampleGenDriver", launcher_root)
    message["inputs"]["parameterValues"] = {"custom_config": "abc"}
    assert entrypoint.main(driver_arguments("TfdsExampleGenDriver", message)) == 0
    output = json.loads(Path(message["outputs"]["outputFile"]).read_text())
    assert output == {"parameterValues": {"input_fingerprint": "abc"}}
    assert log.read_text() == "so far"


@pytest.mark.parametrize(("reset", "path"), [(False, "{root}/serving/17"), (True, "no model")])
def test_another_driver_answers_with_the_model_that_is_served(reset, path, launcher_root, capfd):
    version = launcher_root / "serving" / "17"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"model")
    message = executor_input(launcher_root)
    message["inputs"]["parameterValues"] = {
        "push_destination": json.dumps({"filesystem": {"base_directory": "/elsewhere"}}), "reset": 0.0,
        "runtime_push_destination": str(version.parent), "runtime_reset_baseline": reset,
    }  # fmt: skip
    assert entrypoint.main(driver_arguments("ServedModelResolverDriver", message)) == 0
    output = json.loads(Path(message["outputs"]["outputFile"]).read_text())
    found = output["parameterValues"]["served_model"]
    assert bool(found) is not reset
    assert f'"summary":"{path.format(root=launcher_root)}"' in capfd.readouterr().out
    (version / "saved_model.pb").write_bytes(b"another")
    assert entrypoint.main(driver_arguments("ServedModelResolverDriver", message)) == 0
    again = json.loads(Path(message["outputs"]["outputFile"]).read_text())["parameterValues"]["served_model"]
    assert (again != found) is not reset


@pytest.mark.parametrize("name", ["epochs", "min_accuracy", "push_destination", "force_bless", "reset_baseline"])
def test_the_driver_refuses_what_a_later_component_could_not_use(name, launcher_root, monkeypatch, capfd):
    monkeypatch.setattr("components.tfds_example_gen.component.fingerprint", lambda properties: pytest.fail("went on"))
    message, _ = from_launcher("TfdsExampleGenDriver", launcher_root)
    message["inputs"]["parameterValues"] = {
        "custom_config": "abc",
        f"checked_{name}": 0.5 if name == "epochs" else 50.0,
    }
    assert entrypoint.main(driver_arguments("TfdsExampleGenDriver", message)) == 2
    captured = capfd.readouterr()
    assert f"{name.replace('_', ' ')} is" in captured.out.replace("_", " ")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(("error", "code"), [(ConfigError("no such version"), 2), (DataError("bad image"), 1)])
def test_what_is_the_users_to_mend_has_its_own_code(error, code, launcher_root, monkeypatch, capfd):
    def fail(*_):
        raise error

    monkeypatch.setattr(entrypoint, "_run_executor", fail)
    assert entrypoint.main(arguments(executor_input(launcher_root))) == code
    captured = capfd.readouterr()
    assert str(error) in captured.out
    assert "Traceback" not in captured.err


class StartedAnewError(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def started_anew(monkeypatch) -> list[dict[str, str]]:
    """The environments that a process was started anew with; its pauses are in SLEPT."""
    environments: list[dict[str, str]] = []

    def start_anew(environment):
        environments.append(environment)
        raise StartedAnewError

    monkeypatch.setattr(entrypoint, "start_anew", start_anew)
    monkeypatch.setattr(time, "sleep", lambda seconds: environments.append({"SLEPT": f"{seconds:g}"}))
    return environments


RETRY = json.dumps({"max_count": 2, "backoff_seconds": 5, "backoff_factor": 3})


def fails(monkeypatch, error: BaseException) -> None:
    def fail(*_):
        raise error

    monkeypatch.setattr(entrypoint, "_run_executor", fail)


def test_a_failure_that_may_pass_is_tried_again_in_a_fresh_process(launcher_root, monkeypatch, capfd, started_anew):
    monkeypatch.setenv("PETSEG_RETRY", RETRY)
    fails(monkeypatch, ConnectionResetError("the store has gone"))
    argv = arguments(executor_input(launcher_root))
    for number, pause in ((1, "5"), (2, "15")):
        with pytest.raises(StartedAnewError):
            entrypoint.main(argv)
        slept, environment = started_anew[-2:]
        assert slept == {"SLEPT": pause}
        assert environment == dict(os.environ) | {"PETSEG_ATTEMPT": str(number + 1)}
        captured = capfd.readouterr()
        said = f"attempt {number} of 3 failed: ConnectionResetError: the store has gone; next in {pause} s"
        assert captured.out.splitlines()[-1].endswith(said)
        assert "Traceback" in captured.err
        monkeypatch.setenv("PETSEG_ATTEMPT", environment["PETSEG_ATTEMPT"])
    assert entrypoint.main(argv) == 1
    assert capfd.readouterr().out.splitlines()[-1].endswith(": failed: ConnectionResetError: the store has gone")
    assert len(started_anew) == 4


@pytest.mark.parametrize(
    ("error", "environment"),
    [
        (ConnectionResetError("gone"), {}),
        (ConnectionResetError("gone"), {"PETSEG_RETRY": RETRY, "KFP_RETRY_INDEX": "2"}),
        (DataError("bad image"), {"PETSEG_RETRY": RETRY}),
        (KeyError("image"), {"PETSEG_RETRY": RETRY}),
        (MemoryError(), {"PETSEG_RETRY": RETRY}),
    ],
    ids=["no retries", "the server's third pod", "bad data", "programming error", "memory"],
)
def test_another_failure_is_final(error, environment, launcher_root, monkeypatch, started_anew):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    fails(monkeypatch, error)
    assert entrypoint.main(arguments(executor_input(launcher_root))) == 1
    assert started_anew == []


def test_sigterm_in_the_pause_ends_as_sigterm_at_work(launcher_root, monkeypatch, capfd, started_anew):
    monkeypatch.setenv("PETSEG_RETRY", RETRY)
    fails(monkeypatch, TimeoutError())
    monkeypatch.setattr(time, "sleep", lambda _: signal.raise_signal(signal.SIGTERM))
    assert entrypoint.main(arguments(executor_input(launcher_root))) == 143
    assert "terminated before it was done" in capfd.readouterr().out
    assert started_anew == []


def test_settings_of_the_tries_that_cannot_be_read_are_unusable(launcher_root, monkeypatch, capfd):
    monkeypatch.setenv("PETSEG_RETRY", "often")
    assert entrypoint.main(arguments(executor_input(launcher_root))) == 2
    assert "PETSEG_RETRY is 'often'" in capfd.readouterr().out


def test_what_an_earlier_try_left_is_gone_before_the_next(launcher_root, monkeypatch):
    message, log = from_launcher("ImportSchema", launcher_root)
    output_file = Path(message["outputs"]["outputFile"])
    left = [
        log.with_name("schema") / "half",
        log.with_name("schema.executor") / "x",
        output_file.parent / ".temp" / "x",
    ]
    for file in [*left, output_file]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{")
    assert entrypoint.main(arguments(message)) == 0
    assert [file for file in left if file.exists()] == []
    assert log.read_text() == "so far"
    assert list(json.loads(output_file.read_text())["artifacts"]) == ["schema"]


def test_the_container_goes_on_with_the_next_try(launcher_root, tmp_path):
    (tmp_path / "flaky.py").write_text(
        "import os, pathlib\nfrom tfx.dsl.components.base import base_executor\n"
        "class Executor(base_executor.BaseExecutor):\n"
        "  def Do(self, inputs, outputs, properties):\n"
        "    schema = pathlib.Path(outputs['schema'][0].uri)\n"
        "    print('found', os.getpid(), sorted(schema.iterdir()), flush=True)\n"
        "    (schema / os.environ.get('PETSEG_ATTEMPT', 'first')).touch()\n"
        "    if 'PETSEG_ATTEMPT' not in os.environ:\n      raise ConnectionResetError('gone')\n"
    )
    retry = json.dumps({"max_count": 1, "backoff_seconds": 0})
    done = subprocess.run(
        petseg_process("pipeline.kubeflow.entrypoint")
        + arguments(executor_input(launcher_root), executor="flaky.Executor"),
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}", "PETSEG_RETRY": retry},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    first, second = (line for line in done.stdout.splitlines() if line.startswith("found"))
    assert first == second
    assert "attempt 1 of 2 failed: ConnectionResetError: gone; next in 0 s" in done.stdout
    written = launcher_root / "s3" / "models" / "run" / "ImportSchema" / "schema"
    assert [file.name for file in written.iterdir()] == ["2"]


def test_sigterm_ends_with_its_own_code(launcher_root, tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\nfrom tfx.dsl.components.base import base_executor\n"
        "class Executor(base_executor.BaseExecutor):\n"
        "  def Do(self, inputs, outputs, properties):\n    print('working', flush=True)\n    time.sleep(600)\n"
    )
    command = petseg_process("pipeline.kubeflow.entrypoint")
    process = subprocess.Popen(
        command + arguments(executor_input(launcher_root), executor="slow.Executor"),
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for line in process.stdout:
        if "working" in line:
            break
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "terminated before it was done" in out


def test_the_heartbeat_tells_epochs_and_that_it_is_alive(monkeypatch, capfd):
    from pipeline.kubeflow import pod_output

    monkeypatch.delenv("PETSEG_PROGRESS_FILE", raising=False)
    monkeypatch.setattr(pod_output, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(pod_output, "_HEARTBEAT_SECONDS", 0.05)
    with pod_output.heartbeat("Trainer"):
        line = {"epoch": 1, "epochs": 2, "step": 5, "steps": 9, "loss": 0.5, "accuracy": 0.75}
        Path(os.environ["PETSEG_PROGRESS_FILE"]).write_text(json.dumps(line) + "\n")
        time.sleep(0.3)
    out = capfd.readouterr().out
    assert "Trainer: running for 0 min" in out
    assert "epoch 1/2, step 5/9, loss 0.5" in out
    assert "Trainer: epoch 1/2, loss 0.5, accuracy 0.75" in out
    assert "PETSEG_PROGRESS_FILE" not in os.environ


def test_a_package_of_another_version_is_refused():
    def spec(*command):
        return {"deploymentSpec": {"executors": {"Trainer_executor": {"container": {"command": list(command)}}}}}

    check_compiled_by_this_code(spec("python", *code_arguments("Trainer")))
    modules, digest = code_arguments("Trainer")[1::2]
    for command in (
        ["--code_modules", modules, "--code_digest", "feed"],
        ["--code_modules", "trainer_module.preprocessing", "--code_digest", digest],
        ["--code_modules", "trainer_module.gone", "--code_digest", digest],
        ["--code_modules", modules, "--code_digest"],
        [],
    ):
        with pytest.raises(ConfigError, match="compiled by another version of petseg: Trainer_executor"):
            check_compiled_by_this_code(spec(*command))


def test_other_code_of_one_component_is_none_of_the_others(monkeypatch):
    from pipeline import code_digest

    before = {task: code_arguments(task) for task in ("Trainer", "Transform", "TfdsExampleGen", "StatisticsGen")}
    original = code_digest._source_path

    def affected(edited):
        monkeypatch.setattr(
            code_digest, "_source_path", lambda module: Path(__file__) if module == edited else original(module)
        )
        return {task for task, arguments in before.items() if code_arguments(task) != arguments}

    assert affected("trainer_module.trainer") == {"Trainer"}
    assert affected("pipeline.kubeflow.pod_output") == set(before)


def test_a_component_finds_the_directories_of_its_outputs(launcher_root, tmp_path, monkeypatch):
    (tmp_path / "bare.py").write_text(
        "from tfx.dsl.components.base import base_executor\n"
        "class Executor(base_executor.BaseExecutor):\n"
        "  def Do(self, inputs, outputs, properties):\n"
        "    open(outputs['schema'][0].uri + '/file', 'w').close()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert entrypoint.main(arguments(executor_input(launcher_root), executor="bare.Executor")) == 0
    assert (launcher_root / "s3" / "models" / "run" / "ImportSchema" / "schema" / "file").exists()


def test_only_beams_components_run_on_its_workers():
    remote = ["--runner=FlinkRunner"]
    transform = "tfx.components.transform.executor.Executor"
    assert entrypoint._runs_on_workers(transform, remote)
    assert not entrypoint._runs_on_workers(transform, ["--direct_num_workers=1"])
    assert not entrypoint._runs_on_workers(IMPORT_SCHEMA, remote)


def test_workers_find_temporary_files_beside_the_outputs(launcher_root, monkeypatch, capsys):
    (launcher_root / "beam_work.py").write_text(
        "from pipeline.beam.notices import notice\n"
        "from tfx.dsl.components.base import base_beam_executor\n"
        "class Executor(base_beam_executor.BaseBeamExecutor):\n"
        "  def Do(self, inputs, outputs, properties):\n"
        "    open(outputs['schema'][0].uri + '/tmp', 'w').write(self._get_tmp_dir())\n"
        "    notice('waiting since 15 s: no worker')\n"
    )
    monkeypatch.syspath_prepend(launcher_root)
    asked = []
    monkeypatch.setattr(entrypoint, "check_services", asked.append)
    message, log = from_launcher("ImportSchema", launcher_root)
    argv = arguments(message, executor="beam_work.Executor")
    assert entrypoint.main([*argv[:-1], "--runner=FlinkRunner"]) == 0
    assert asked == [["--runner=FlinkRunner"]]
    assert "ImportSchema: waiting since 15 s: no worker" in capsys.readouterr().out
    schema = log.with_name("schema")
    assert (schema / "tmp").read_text().startswith(f"{schema}.executor/")
    assert Path(message["outputs"]["outputFile"]).exists()


def test_what_beam_needs_and_is_not_there_ends_the_pod_before_the_component(launcher_root, capsys):
    message, log = from_launcher("ImportSchema", launcher_root)
    argv = arguments(message, executor="tfx.components.transform.executor.Executor")
    assert entrypoint.main([*argv[:-1], "--runner=PortableRunner"]) == entrypoint.UNUSABLE
    assert "failed: pipeline.beam_args ask for PortableRunner, which needs --job_endpoint" in capsys.readouterr().out
    assert not log.with_name("schema").exists()


def test_a_tracker_hears_of_a_training_under_the_id_of_its_run(launcher_root, monkeypatch):
    told = []
    monkeypatch.setattr(entrypoint, "training_told", lambda *training: told.append(training) or nullcontext())
    monkeypatch.setenv("PETSEG_PROGRESS_FILE", "/given.jsonl")
    message, _ = from_launcher("ImportSchema", launcher_root)
    as_trainer = ["--component", "Trainer", *arguments(message)[2:]]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert entrypoint.main(as_trainer) == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow")
    assert entrypoint.main(arguments(message)) == 0
    assert told == []
    assert entrypoint.main(as_trainer) == 0
    assert told == [("c0a5aeb7-787d-457c-9f5c-1c08daffb49a", Path("/given.jsonl"))]
    failed = []
    monkeypatch.setattr(entrypoint, "failure_told", lambda *failure: failed.append(failure))
    monkeypatch.setattr(entrypoint, "_run", lambda *_: 1 / 0)
    assert entrypoint.main(arguments(message)) == 1
    [(run_id, component, error)] = failed
    assert (run_id, component, type(error)) == (told[0][0], "ImportSchema", ZeroDivisionError)
