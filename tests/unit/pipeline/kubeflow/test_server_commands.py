"""submit, status, logs and cancel, as they are called, against a server in memory."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from fake_kubeflow_api import V2
from fake_kubernetes_api import FakeKubernetesApi
from fake_metadata import InMemory, MetadataOfRuns
from fake_workflow import driver_node, executor_node, play, root_driver_node
from kfp_server_api import models

from pipeline.kubeflow import following
from pipeline.kubeflow.package import Package

pytestmark = pytest.mark.timeout(120)

DRIVER, EXAMPLES, TRAINER, PUSHER = CHAIN = ["TfdsExampleGenDriver", "TfdsExampleGen", "Trainer", "Pusher"]
DONE = dict.fromkeys(CHAIN, "SUCCEEDED")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def package_file(package, tmp_path):
    file = tmp_path / "pets.yaml"
    package.save(file)
    return file


def only_run(api):
    (run,) = api.store.runs.values()
    return run


class TestSubmit:
    def test_a_run_is_followed_to_its_end(self, api, petseg, package_file):
        play(
            api,
            ("RUNNING", {DRIVER: "RUNNING"}),
            ("RUNNING", {DRIVER: "SUCCEEDED", EXAMPLES: "CACHED", TRAINER: "RUNNING"}),
            ("SUCCEEDED", {**DONE, EXAMPLES: "CACHED"}),
        )
        code, out, err = petseg("submit", package_file, "--parameter", "epochs=7", "--run-name", "first")
        assert code == 0
        run = only_run(api)
        assert (run.display_name, run.runtime_config.parameters) == ("first", {"epochs": 7})
        assert run.runtime_config.pipeline_root == "minio://mlpipeline/v2/artifacts"
        assert out.splitlines() == [
            f"run {run.run_id} of petseg-pets",
            f"log: petseg kubeflow logs {run.run_id} COMPONENT",
            "TfdsExampleGenDriver: running",
            "TfdsExampleGenDriver: complete, 30.0 s",
            "TfdsExampleGen: cached",
            "Trainer: running",
            "Trainer: complete, 30.0 s",
            "Pusher: complete, 30.0 s",
            "complete after 1 m 30 s",
        ]
        assert err.splitlines()[0].startswith("uploaded petseg-pets-")
        assert f"started 'first' on {api.host}" in err
        assert [experiment.display_name for experiment in api.store.experiments.values()] == ["Default", "petseg-pets"]

    def test_a_second_submission_uploads_nothing(self, api, petseg, package_file):
        play(api, ("SUCCEEDED", DONE))
        assert petseg("submit", package_file)[0] == 0
        code, _, err = petseg("submit", package_file)
        assert code == 0
        assert "the server has it already: petseg-pets-" in err
        assert (len(api.store.pipelines), len(api.store.versions), len(api.store.experiments)) == (1, 1, 2)
        assert len(api.store.runs) == 2

    def test_json_is_the_record(self, api, petseg, package_file):
        play(api, ("RUNNING", {DRIVER: "RUNNING"}), ("SUCCEEDED", DONE))
        code, out, err = petseg("submit", package_file, "--json", "--parameter", "min_accuracy=0.9")
        record = json.loads(out)
        assert code == 0
        assert (record["state"], record["pipeline"], record["seconds"]) == ("complete", "petseg-pets", 90.0)
        assert record["settings"]["parameters"] == {"min_accuracy": 0.9}
        assert [(node["id"], node["state"], node["seconds"]) for node in record["nodes"]] == [
            (name, "complete", 30.0) for name in CHAIN
        ]
        assert (record["blessed"], record["pushed_model"], record["metrics"]) == (None, None, {})
        assert "complete after" in err

    def test_without_waiting_the_id_is_all(self, api, petseg, package_file):
        code, out, _ = petseg("submit", package_file, "--no-wait")
        assert (code, out.strip()) == (0, only_run(api).run_id)
        code, out, _ = petseg("submit", package_file, "--no-wait", "--json")
        assert (code, json.loads(out)["state"]) == (0, "running")

    def test_upload_only(self, api, petseg, package_file):
        code, out, _ = petseg("submit", package_file, "--upload-only", "--json")
        (version,) = api.store.versions.values()
        assert code == 0
        assert json.loads(out) == {
            "pipeline_id": version.pipeline_id,
            "version_id": version.pipeline_version_id,
            "name": version.name,
            "is_new": True,
        }
        assert not api.store.runs
        assert api.count(f"POST {V2}/experiments") == 0
        for option in (["--no-wait"], ["--reset-baseline"], ["--force-bless", "it leaks"]):
            assert petseg("submit", package_file, "--upload-only", *option)[0] == 2
        assert not api.store.runs

    def test_the_gate_is_overruled_by_parameters_of_the_run(self, api, petseg, package_file):
        options = ["--reset-baseline", "--force-bless", " it leaks = badly ", "--parameter", "epochs=2"]
        assert petseg("submit", package_file, "--no-wait", *options)[0] == 0
        parameters = {"reset_baseline": True, "force_bless": "it leaks = badly", "epochs": 2}
        assert only_run(api).runtime_config.parameters == parameters

    def test_settings_reach_the_run(self, api, petseg, package_file, tmp_path):
        file = tmp_path / "config.toml"
        file.write_text(
            '[kubeflow]\nexperiment = "nightly"\nservice_account = "trainer"\npipeline_root = "s3://bucket/root"\n'
        )
        assert petseg("submit", package_file, "--config", file, "--no-wait")[0] == 0
        run = only_run(api)
        assert run.service_account == "trainer"
        assert run.runtime_config.pipeline_root == "s3://bucket/root"
        assert api.store.experiments[run.experiment_id].display_name == "nightly"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--parameter", "epoch=3"], "the package has no parameter 'epoch'; did you mean 'epochs'?"),
            (["--parameter", "epochs"], "--parameter 'epochs': expected NAME=VALUE"),
            (["--parameter", "epochs=many"], "epochs is 'many'; expected: a whole number from 1 on (NUMBER_INTEGER)"),
            (["--parameter", "epochs=1.5"], "epochs is '1.5'; expected: a whole number from 1 on (NUMBER_INTEGER)"),
            (["--parameter", "epochs=2.0"], "epochs is '2.0'; expected: a whole number from 1 on (NUMBER_INTEGER)"),
            (["--parameter", "epochs="], "epochs is ''; expected: a whole number from 1 on (NUMBER_INTEGER)"),
            (["--parameter", "epochs=0"], "epochs is 0; expected: a whole number from 1 on (setting trainer.epochs)"),
            (["--parameter", "min_accuracy=50"], "min_accuracy is 50.0; expected: a number from 0 to 1"),
            (["--parameter", "min_accuracy=0,5"], "min_accuracy is '0,5'; expected: a number from 0 to 1"),
            (["--parameter", "min_accuracy=nan"], "min_accuracy is 'nan'; expected: a number from 0 to 1"),
            (["--parameter", "dataset_version=latest"], "dataset_version is 'latest'; expected: TFDS version"),
            (["--parameter", "epochs=1", "--parameter", "epochs=2"], "--parameter sets epochs more than once"),
            (["--force-bless", " "], "--force-bless needs a reason, which is recorded; got an empty one"),
            (["--parameter", "force_bless= "], "the parameter force_bless is ' '; expected: Reason to push the model"),
            (["--parameter", "reset_baseline=1"], "reset_baseline is '1'; expected: true or false (BOOLEAN)"),
            (["--parameter", "force_bless=a", "--force-bless", "b"], "--parameter sets force_bless more than once"),
            (["--parameter", "push_destination=models"], "the push destination is 'models', which no pod can write to"),
            (["--set", "kubeflow.pipeline_root=/tmp"], "kubeflow.pipeline_root"),
        ],
    )
    def test_mistakes_are_answered_without_the_server(self, api, petseg, package_file, arguments, message):
        code, _, err = petseg("submit", package_file, *arguments)
        assert code == 2
        assert message in err
        assert not api.requests

    def test_a_package_of_other_code_is_refused(self, api, petseg, package, tmp_path):
        file = tmp_path / "old.yaml"
        Package(json.loads(json.dumps(package.pipeline_spec).replace("--code_digest", "--old")), {}).save(file)
        code, _, err = petseg("submit", file)
        assert code == 2
        assert "compiled by another version of petseg" in err
        assert not api.requests

    def test_no_package(self, api, petseg, tmp_path):
        code, _, err = petseg("submit", tmp_path / "none.yaml")
        assert code == 2
        assert "cannot read the package" in err

    def test_a_run_that_cannot_be_made_leaves_no_run(self, api, petseg, package_file):
        api.fail(403, on=f"POST {V2}/runs")
        code, _, err = petseg("submit", package_file)
        assert code == 1
        assert "cannot create the run" in err
        assert "answered 403" in err
        assert not api.store.runs

    @pytest.mark.parametrize("route", ["pipelines", "pipelines/upload_version", "experiments"])
    def test_nothing_runs_when_something_before_fails(self, api, petseg, package_file, route):
        api.fail(500, on=f"POST {V2}/{route}")
        assert petseg("submit", package_file)[0] == 1
        assert not api.store.runs
        if route != "experiments":
            assert not api.store.pipelines
        assert petseg("submit", package_file, "--no-wait")[0] == 0
        assert (len(api.store.pipelines), len(api.store.versions), len(api.store.runs)) == (1, 1, 1)


class TestFailures:
    def test_a_failed_component_is_told_by_its_own_last_words(self, api, petseg, package_file):
        play(api, ("FAILED", {DRIVER: "SUCCEEDED", EXAMPLES: "SUCCEEDED", TRAINER: "FAILED"}))
        api.store.archived_logs[executor_node(TRAINER)] = (
            "noise\npetseg 10:00:00 Trainer: starting\npetseg 10:00:09 Trainer: failed: the loss is not finite\n"
            "F1129 10:00:09.123456      16 launch.go:62] failed to execute component: exit status 1\n"
        )
        code, out, err = petseg("submit", package_file)
        assert code == 1
        assert "Trainer: failed, 30.0 s" in out
        assert err.splitlines()[-1] == "error: Trainer failed: the loss is not finite"

    def test_else_by_what_the_server_says_and_the_end_of_its_log(self, api, petseg, package_file):
        states = {DRIVER: "SUCCEEDED", EXAMPLES: "FAILED"}
        play(api, ("FAILED", states))
        move = api.on_run_read

        def with_error(run) -> None:
            move(run)
            for detail in run.run_details.task_details:
                if detail.display_name == EXAMPLES:
                    detail.error = models.GoogleRpcStatus(message="OOMKilled (exit code 137)")

        api.on_run_read = with_error
        api.store.archived_logs[executor_node(EXAMPLES)] = "".join(f"line {number}\n\n" for number in range(30))
        code, out, err = petseg("submit", package_file)
        assert code == 1
        assert err.splitlines()[-1] == "error: TfdsExampleGen failed: OOMKilled (exit code 137)"
        assert "line 29" in out
        assert "line 14" not in out

    def test_and_without_log_every_place_is_named(self, api, petseg, package_file):
        play(api, ("FAILED", {DRIVER: "FAILED"}))
        _, _, err = petseg("submit", package_file)
        assert "TfdsExampleGenDriver failed: its pod failed; all of its log: petseg kubeflow logs" in err
        assert "the Kubernetes API: kubectl has no settings here (kubeflow.kubeconfig)" in err
        assert "the archive of the server: it has none of that pod" in err
        assert "the object store: kubeflow.object_store does not say where it is" in err

    def test_a_driver_of_a_component_may_fail(self, api, petseg, package_file):
        play(api, ("FAILED", {DRIVER: "SUCCEEDED", EXAMPLES: "DRIVER_FAILED"}))
        code, out, err = petseg("submit", package_file)
        assert code == 1
        assert "TfdsExampleGen: failed" in out
        assert "TfdsExampleGen-driver, which prepares TfdsExampleGen, failed" in err
        fatal = "F1129 10:00:09.123456      16 main.go:127] KFP driver: configmaps is forbidden\n"
        api.store.archived_logs[driver_node(EXAMPLES)] = f"I1129 10:00:08.123456 16 main.go:1] so far\n{fatal}"
        run_id = only_run(api).run_id
        _, out, _ = petseg("status", run_id, "--json")
        said = "TfdsExampleGen-driver, which prepares TfdsExampleGen, failed: KFP driver: configmaps is forbidden"
        assert json.loads(out)["error"] == said

    def test_the_driver_of_the_pipeline_may_fail(self, api, petseg, package_file):
        play(api, ("FAILED", {}), root_driver="FAILED")
        code, out, err = petseg("submit", package_file)
        assert code == 1
        assert f"petseg kubeflow logs {only_run(api).run_id} root-driver" in err
        assert "root-driver, the driver that starts the pipeline, failed: no component has run" in err
        assert "Pusher" not in out

    def test_a_run_may_fail_before_its_components(self, api, petseg, package_file):
        play(api, ("FAILED", {}))
        code, out, err = petseg("submit", package_file)
        assert code == 1
        assert "the run failed: it failed outside of its components" in err
        assert "Pusher" not in out

    def test_components_after_a_failed_one_are_skipped(self, api, petseg, package_file):
        play(api, ("RUNNING", {DRIVER: "RUNNING"}), ("FAILED", {DRIVER: "FAILED"}))
        _, out, _ = petseg("submit", package_file, "--json")
        assert [node["state"] for node in json.loads(out)["nodes"]] == ["failed", "skipped", "skipped", "skipped"]

    def test_attempts_are_counted(self, api, petseg, package_file):
        states = {**DONE, TRAINER: "SUCCEEDED"}
        play(api, ("SUCCEEDED", states), attempts={TRAINER: ["FAILED", "SUCCEEDED"]})
        code, out, _ = petseg("submit", package_file)
        assert code == 0
        assert "Trainer: complete, 30.0 s, attempt 2" in out

    def test_a_cancelled_run(self, api, petseg, package_file):
        play(api, ("CANCELED", {DRIVER: "RUNNING"}))
        code, out, err = petseg("submit", package_file)
        assert code == 130
        assert "TfdsExampleGenDriver: interrupted" in out
        assert "the run was cancelled" in err


class TestFollowing:
    @pytest.mark.parametrize("fault", ["500", "429", "broken"])
    def test_a_server_that_is_away_for_a_while(self, api, petseg, package_file, fault):
        play(api, ("RUNNING", {DRIVER: "RUNNING"}), ("SUCCEEDED", DONE))
        if fault == "broken":
            api.break_off(on=f"GET {V2}/runs/", times=9)
        else:
            api.fail(int(fault), on=f"GET {V2}/runs/", times=9)
        code, out, _ = petseg("submit", package_file)
        assert code == 0
        assert sum(line.endswith("; trying again") for line in out.splitlines()) == 1

    def test_a_server_that_stays_away(self, api, petseg, package_file, monkeypatch):
        monkeypatch.setattr(following, "PATIENCE_SECONDS", 0.0)

        def die(run) -> None:
            api.break_off(on="GET", times=1000)

        api.on_run_read = die
        code, _, err = petseg("submit", package_file)
        run_id = only_run(api).run_id
        assert code == 1
        assert "broke off" in err
        assert f"petseg kubeflow status {run_id} --follow" in err
        assert f"petseg kubeflow cancel {run_id}" in err

    def test_a_token_that_runs_out(self, api, petseg, package_file):
        def run_out(run) -> None:
            api.token = "another"

        api.on_run_read = run_out
        code, out, err = petseg("submit", package_file)
        assert code == 1
        assert "answered 401" in err
        assert "KFP_TOKEN" in err
        assert "the run goes on" in err
        assert "trying again" not in out

    def test_interrupting_stops_following_only(self, api, petseg, package_file, monkeypatch):
        def interrupt(seconds: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(following.time, "sleep", interrupt)
        code, out, err = petseg("submit", package_file)
        run_id = only_run(api).run_id
        assert code == 130
        assert api.count(f"POST {V2}/runs/{run_id}:terminate") == 0
        assert err.splitlines()[-1] == following.how_to_go_on(run_id)
        code, out, _ = petseg("submit", package_file, "--json")
        assert (code, json.loads(out)["state"]) == (130, "running")

    def test_a_signal_does_so_too(self, api, package_file, tmp_path):
        environment = os.environ | {"HOME": str(tmp_path)}
        command = [sys.executable, "-m", "pipeline.cli", "kubeflow", "submit", str(package_file)]
        starter = "import sys\nfrom pipeline.cli import main\nmain(sys.argv[1:])"
        command = [sys.executable, "-c", starter, *command[3:], "--set", f"kubeflow.host={api.host}"]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert process.stdout is not None
        assert process.stdout.readline().startswith("run ")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "the run goes on" in err
        assert only_run(api).state == "PENDING"


def found(component: str, summary: str, **fields) -> str:
    """Returns what the log of a component's pod says of its outputs."""
    return f"petseg 10:00:09 {component}: found {json.dumps({'summary': summary, 'fields': fields})}\n"


class TestOutcome:
    def test_what_the_components_found_is_in_the_record(self, api, petseg, package_file):
        play(api, ("SUCCEEDED", DONE))
        api.store.archived_logs[executor_node(TRAINER)] = found(TRAINER, "3 epochs", parameters=7)
        api.store.archived_logs[executor_node(PUSHER)] = found(PUSHER, "/serving/1", pushed_model="/serving/1")
        code, out, _ = petseg("submit", package_file, "--json")
        record = json.loads(out)
        assert (code, record["parameters"], record["pushed_model"]) == (0, 7, "/serving/1")
        assert record["nodes"][2]["summary"] == "3 epochs"

    def test_a_model_that_is_not_blessed_has_an_exit_code_of_its_own(self, api, petseg, package_file):
        play(api, ("SUCCEEDED", DONE))
        api.store.archived_logs[executor_node(PUSHER)] = found(PUSHER, "nothing: not blessed", blessed=False)
        code, out, _ = petseg("submit", package_file)
        assert code == 3
        assert "nothing: not blessed" in out
        run_id = only_run(api).run_id
        assert petseg("status", run_id, "--follow")[0] == 3

    def test_a_log_that_says_nothing_is_read_once(self, api, petseg, package_file):
        play(api, *[("RUNNING", {DRIVER: "SUCCEEDED"})] * 5, ("SUCCEEDED", {**DONE, EXAMPLES: "CACHED"}))
        api.store.archived_logs[executor_node(DRIVER)] = "done\n"
        assert petseg("submit", package_file)[0] == 0
        reads = [request.path for request in api.requests if executor_node(DRIVER) in request.path]
        assert len(reads) == 1

    def test_without_logs_the_outcome_is_not_known(self, api, petseg, package_file):
        play(api, ("SUCCEEDED", DONE))
        code, _, err = petseg("submit", package_file)
        assert code == 0
        assert "what became of the model is not known here: cannot read the artifacts in ML Metadata" in err
        assert "kubeflow.metadata_host" in err
        assert "; no log of Pusher of the run" in err


class TestMetadata:
    """What is read of the outcome where the server is the pages' host, and no log can be read."""

    @pytest.fixture
    def runs(self, api):
        api.metadata = InMemory()
        return MetadataOfRuns(api.metadata)

    @pytest.fixture
    def run_id(self, api, petseg, package_file, runs):
        """A run that has ended, and whose model was not blessed."""
        run_id = petseg("submit", package_file, "--no-wait")[1].strip()
        play(api, ("SUCCEEDED", DONE))
        metrics = {"accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9, "mean_iou": 0.6}
        bound = {"metric": "accuracy", "kind": "min", "bound": 0.9, "value": 0.8, "passed": False}
        fields = {"metrics": metrics, "blessed": False, "thresholds": [bound], "report": "minio://b/report.html"}
        findings = json.dumps({"summary": "nothing: the model is not blessed", "fields": fields})
        runs.add_task(run_id, PUSHER, {"pushed_model": ("minio://b/pushed", {"findings": findings})})
        return run_id

    def test_following_ends_with_verdict_and_metrics(self, petseg, run_id):
        code, out, err = petseg("status", run_id, "--follow")
        assert code == 3
        assert "accuracy 0.8000, mean IoU 0.6000" in out
        assert "accuracy 0.8000 ≥ 0.9: not passed\nnot blessed: nothing was pushed\nreport: minio://b/report" in out
        assert err == ""

    def test_a_run_that_has_ended_is_shown_with_its_verdict(self, petseg, run_id):
        code, out, _ = petseg("status", run_id)
        assert code == 3
        assert "accuracy 0.8000 ≥ 0.9: not passed" in out
        assert "0.7000 to 0.9000" in out
        code, out, _ = petseg("status", run_id, "--json")
        record = json.loads(out)
        assert (code, record["blessed"], record["metrics"]["accuracy_low"]) == (3, False, 0.7)

    def test_by_an_address_of_its_own(self, api, petseg, run_id):
        store, api.metadata = api.metadata, None
        with store.served() as address:
            assert petseg("status", run_id, "--set", f"kubeflow.metadata_host={address}")[0] == 3
        assert petseg("status", run_id)[0] == 0

    def test_the_list_has_verdicts(self, petseg, package_file, runs, run_id):
        newer = petseg("submit", package_file, "--no-wait")[1].strip()
        runs.add_task(newer, "Evaluator", {"blessing": ("minio://b/blessing", {"blessed": 1.0})})
        code, out, err = petseg("status", "--experiment", "petseg-pets")
        assert (code, err) == (0, "")
        head, *rows = (line.split() for line in out.splitlines())
        verdicts = {row[0]: set(row) & {"yes", "no"} for row in rows}
        assert "blessed" in head
        assert verdicts == {newer: {"yes"}, run_id: {"no"}}


class TestCluster:
    """What only the cluster tells."""

    @pytest.fixture
    def kubernetes(self, tmp_path, monkeypatch):
        with FakeKubernetesApi(namespace="kubeflow") as server:
            file = str(server.write_kubeconfig(tmp_path))
            monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", file)
            yield server

    @pytest.fixture
    def run_id(self, api, petseg, package_file):
        return petseg("submit", package_file, "--no-wait")[1].strip()

    def add_pod(self, kubernetes, run_id, node, **status):
        annotations = {"workflows.argoproj.io/node-id": node}
        metadata = {"name": "the-pod", "labels": {"pipeline/runid": run_id}, "annotations": annotations}
        kubernetes.pods.append({"metadata": metadata, "status": status})

    def test_the_log_of_a_running_pod(self, api, kubernetes, petseg, run_id):
        play(api, ("RUNNING", {DRIVER: "RUNNING"}))
        self.add_pod(kubernetes, run_id, executor_node(DRIVER), phase="Running")
        kubernetes.logs["the-pod"] = "so far\n"
        told = "log of TfdsExampleGenDriver, from the pod the-pod\n"
        assert petseg("logs", run_id, DRIVER) == (0, "so far\n", told)

    def test_a_pod_that_has_ended_may_not_be_in_the_archive(self, api, kubernetes, petseg, run_id):
        play(api, ("RUNNING", {DRIVER: "SUCCEEDED"}))
        self.add_pod(kubernetes, run_id, executor_node(DRIVER), phase="Succeeded")
        kubernetes.logs["the-pod"] = "all\n"
        assert petseg("logs", run_id, DRIVER)[:2] == (0, "all\n")

    def test_why_a_component_waits(self, api, kubernetes, petseg, run_id):
        play(api, ("RUNNING", {DRIVER: "SUCCEEDED", EXAMPLES: "WAITING"}), since=datetime.now(UTC))
        message = "0/1 nodes are available: 1 Insufficient cpu."
        condition = {"type": "PodScheduled", "status": "False", "message": message}
        self.add_pod(kubernetes, run_id, executor_node(EXAMPLES), phase="Pending", conditions=[condition])
        _, out, _ = petseg("status", run_id, "--json")
        assert json.loads(out)["nodes"][1]["summary"] == f"its pod waits: {message}"

    def test_a_cluster_that_cannot_be_asked_is_done_without(self, api, kubernetes, petseg, run_id):
        play(api, ("RUNNING", {DRIVER: "SUCCEEDED", EXAMPLES: "WAITING"}), since=datetime.now(UTC))
        kubernetes.forbidden.add("list pods")
        code, out, _ = petseg("status", run_id, "--json")
        assert (code, json.loads(out)["nodes"][1]["summary"]) == (0, "")


class TestStatus:
    @pytest.fixture
    def run_id(self, api, petseg, package_file):
        return petseg("submit", package_file, "--no-wait")[1].strip()

    def test_a_run_is_shown(self, api, petseg, run_id):
        play(api, ("RUNNING", {DRIVER: "SUCCEEDED", EXAMPLES: "RUNNING"}), since=datetime.now(UTC))
        code, out, _ = petseg("status", run_id)
        assert code == 0
        assert f"run {run_id} of petseg-pets" in out
        assert "TfdsExampleGen        running" in out

    def test_as_json_it_is_the_record(self, api, petseg, run_id):
        play(api, ("FAILED", {DRIVER: "SUCCEEDED", EXAMPLES: "FAILED"}))
        api.store.archived_logs[executor_node(EXAMPLES)] = "petseg 10:00:09 TfdsExampleGen: failed: no such data set\n"
        code, out, _ = petseg("status", run_id, "--json")
        record = json.loads(out)
        assert code == 1
        assert (record["state"], record["error"]) == ("failed", "TfdsExampleGen failed: no such data set")

    def test_it_can_be_followed(self, api, petseg, run_id):
        play(api, ("RUNNING", {DRIVER: "RUNNING"}), ("FAILED", {DRIVER: "FAILED"}))
        code, out, err = petseg("status", run_id, "--follow")
        assert code == 1
        assert out.splitlines()[2:] == [
            "TfdsExampleGenDriver: running",
            "TfdsExampleGenDriver: failed, 30.0 s",
            "failed after 1 m 30 s",
        ]
        assert "TfdsExampleGenDriver failed" in err

    def test_the_newest_runs_of_the_experiment(self, api, petseg, package_file, run_id):
        newer = petseg("submit", package_file, "--no-wait", "--run-name", "newer")[1].strip()
        code, out, err = petseg("status", "--experiment", "petseg-pets")
        assert code == 0
        assert [line.split()[0] for line in out.splitlines()] == ["run", newer, run_id]
        assert "blessed" not in out
        assert "verdicts are not shown: cannot read the artifacts in ML Metadata" in err
        assert "newer" in out
        _, out, _ = petseg("status", "--experiment", "petseg-pets", "--limit", 1, "--json")
        assert [record["run_id"] for record in json.loads(out)] == [newer]

    def test_the_experiment_of_the_pipeline_is_the_default(self, petseg, run_id):
        assert petseg("status", "--preset", "pets")[0] == 0
        code, _, err = petseg("status", "--experiment", "petsegpets")
        assert code == 1
        assert "there is no experiment 'petsegpets'" in err
        assert "did you mean 'petseg-pets'?" in err

    def test_a_cancelled_run_is_none_that_failed(self, api, petseg, run_id):
        play(api, ("FAILED", {DRIVER: "SUCCEEDED", EXAMPLES: "FAILED"}))
        run = only_run(api)
        run.state_history = [models.V2beta1RuntimeStatus(state=state) for state in ("RUNNING", "CANCELING", "FAILED")]
        code, out, _ = petseg("status", run_id, "--json")
        record = json.loads(out)
        assert (code, record["state"], record["error"]) == (130, "interrupted", "the run was cancelled")
        assert [node["state"] for node in record["nodes"]] == ["complete", "interrupted", "skipped", "skipped"]
        assert "has ended already (interrupted)" in petseg("cancel", run_id)[1]

    def test_a_run_that_is_being_cancelled_says_so(self, api, petseg, run_id):
        play(api, ("CANCELING", {DRIVER: "RUNNING"}))
        assert "the run is being cancelled" in petseg("status", run_id)[2]

    def test_no_such_run(self, petseg):
        code, _, err = petseg("status", "nix")
        assert code == 1
        assert "cannot read the run nix: Run nix not found" in err
        assert petseg("status", "--follow")[0] == 2


class TestLogs:
    @pytest.fixture
    def run_id(self, api, petseg, package_file):
        return petseg("submit", package_file, "--no-wait")[1].strip()

    def test_the_log_of_the_latest_attempt(self, api, petseg, run_id):
        states = {DRIVER: "SUCCEEDED", EXAMPLES: "SUCCEEDED", TRAINER: "RUNNING"}
        play(api, ("RUNNING", states), attempts={TRAINER: ["FAILED", "RUNNING"]})
        api.store.archived_logs[executor_node(TRAINER, 1)] = "epoch 1\nepoch 2\n"
        archive = f"from the archive of {api.host}\n"
        told = f"log of Trainer, attempt 2, {archive}"
        assert petseg("logs", run_id, TRAINER) == (0, "epoch 1\nepoch 2\n", told)
        api.store.archived_logs[executor_node(TRAINER)] = "epoch 1\n"
        assert petseg("logs", run_id, TRAINER, "--attempt", 1) == (0, "epoch 1\n", f"log of Trainer, {archive}")
        code, _, err = petseg("logs", run_id, TRAINER, "--attempt", 3)
        assert (code, err) == (1, f"error: Trainer of the run {run_id} has 2 attempts; --attempt is 3\n")

    def test_it_can_be_followed(self, api, petseg, run_id):
        play(
            api,
            ("RUNNING", {DRIVER: "PENDING"}),
            ("RUNNING", {DRIVER: "RUNNING"}),
            ("RUNNING", {DRIVER: "RUNNING"}),
            ("RUNNING", {DRIVER: "SUCCEEDED", EXAMPLES: "RUNNING"}),
        )
        move, texts = api.on_run_read, [None, None, "one\n", "one\ntwo\n"]

        def move_and_write(run) -> None:
            move(run)
            text = texts.pop(0) if texts else None
            if text is not None:
                api.store.archived_logs[executor_node(DRIVER)] = text

        api.on_run_read = move_and_write
        assert petseg("logs", run_id, DRIVER, "--follow")[:2] == (0, "one\ntwo\n")

    def test_a_log_that_is_nowhere(self, api, petseg, run_id):
        play(api, ("SUCCEEDED", DONE))
        code, _, err = petseg("logs", run_id, TRAINER)
        assert code == 1
        assert f"no log of Trainer of the run {run_id} can be read; the archive of the server: " in err
        assert petseg("logs", run_id, TRAINER, "--follow")[0] == 1

    @pytest.mark.parametrize(
        ("states", "message"),
        [({DRIVER: "CACHED"}, "taken from the cache"), ({DRIVER: "PENDING"}, "has no log: it is pending")],
    )
    def test_a_component_without_pod(self, api, petseg, run_id, states, message):
        play(api, ("RUNNING", states))
        code, _, err = petseg("logs", run_id, DRIVER)
        assert code == 1
        assert message in err

    def test_drivers_have_logs(self, api, petseg, run_id):
        play(api, ("RUNNING", {DRIVER: "RUNNING"}))
        api.store.archived_logs[driver_node(DRIVER)] = "resolved\n"
        api.store.archived_logs[root_driver_node()] = "started\n"
        assert petseg("logs", run_id, f"{DRIVER}-driver")[:2] == (0, "resolved\n")
        assert petseg("logs", run_id, "root-driver")[:2] == (0, "started\n")
        assert petseg("logs", run_id, f"{TRAINER}-driver")[0] == 1

    def test_no_such_component(self, petseg, run_id):
        code, _, err = petseg("logs", run_id, "Trainr")
        assert code == 1
        assert "has no component 'Trainr'; did you mean 'Trainer'?" in err


class TestCancel:
    @pytest.fixture
    def run_id(self, petseg, package_file):
        return petseg("submit", package_file, "--no-wait")[1].strip()

    def test_it_is_asked_for_once(self, api, petseg, run_id):
        code, out, _ = petseg("cancel", run_id)
        assert code == 0
        assert "the server stops it" in out
        assert only_run(api).state == "CANCELING"
        code, out, _ = petseg("cancel", run_id)
        assert (code, out.strip()) == (0, f"run {run_id}: it is being cancelled already")
        assert api.count(f"POST {V2}/runs/{run_id}:terminate") == 1

    def test_a_run_that_has_ended_says_so(self, api, petseg, run_id):
        only_run(api).state = "SUCCEEDED"
        assert petseg("cancel", run_id) == (0, f"run {run_id}: it has ended already (complete)\n", "")

    def test_also_when_it_ends_meanwhile(self, api, petseg, run_id):
        states = ["RUNNING", "FAILED"]
        terminate = api.store.terminate_run

        def too_late(terminated: str):
            only_run(api).state = "FAILED"
            return terminate(terminated)

        api.store.terminate_run = too_late
        code, out, _ = petseg("cancel", run_id)
        assert (code, out.strip()) == (0, f"run {run_id}: it has ended already (failed)")
        assert states

    def test_a_server_that_does_not_stop_it(self, api, petseg, run_id):
        api.fail(500, on=f"POST {V2}/runs/{run_id}:terminate")
        code, _, err = petseg("cancel", run_id)
        assert code == 1
        assert f"cannot cancel the run {run_id}" in err

    def test_a_cancelled_run_is_none_that_failed(self, api, petseg, run_id):
        play(api, ("FAILED", {DRIVER: "SUCCEEDED", EXAMPLES: "FAILED"}))
        run = only_run(api)
        run.state_history = [models.V2beta1RuntimeStatus(state=state) for state in ("RUNNING", "CANCELING", "FAILED")]
        code, out, _ = petseg("status", run_id, "--json")
        record = json.loads(out)
        assert (code, record["state"], record["error"]) == (130, "interrupted", "the run was cancelled")
        assert [node["state"] for node in record["nodes"]] == ["complete", "interrupted", "skipped", "skipped"]
        assert "has ended already (interrupted)" in petseg("cancel", run_id)[1]

    def test_a_run_that_is_being_cancelled_says_so(self, api, petseg, run_id):
        play(api, ("CANCELING", {DRIVER: "RUNNING"}))
        assert "the run is being cancelled" in petseg("status", run_id)[2]

    def test_no_such_run(self, petseg):
        code, _, err = petseg("cancel", "nix")
        assert code == 1
        assert "Run nix not found" in err


HEAVY = ("tensorflow", "tfx", "kfp", "apache_beam", "kubernetes", "matplotlib", "pandas")


def test_help_loads_no_client():
    code = (
        "import sys\nfrom pipeline.cli import exit_code\n"
        "for command in ('compile', 'dry-run', 'submit', 'status', 'logs', 'cancel'):\n"
        "    assert exit_code(['kubeflow', command, '--help']) == 0\n"
        f"loaded = set({(*HEAVY, 'kfp_server_api', 'ml_metadata', 'grpc', 'docker')!r}) & sys.modules.keys()\n"
        "assert not loaded, loaded"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "--parameter NAME=VALUE" in result.stdout


def test_what_asks_the_server_loads_nothing_that_computes(api, petseg, package_file):
    play(api, ("RUNNING", {DRIVER: "SUCCEEDED", EXAMPLES: "SUCCEEDED", TRAINER: "RUNNING"}))
    for component in (DRIVER, EXAMPLES):
        api.store.archived_logs[executor_node(component)] = "done\n"
    run_id = petseg("submit", package_file, "--no-wait")[1].strip()
    calls = [
        ["submit", str(package_file), "--no-wait"],
        ["status", "--experiment", "petseg-pets"],
        ["status", run_id],
        ["cancel", run_id],
    ]
    calls = [["kubeflow", *call, "--set", f"kubeflow.host={api.host}"] for call in calls]
    code = (
        "import sys\nfrom pipeline.cli import exit_code\n"
        f"for call in {calls!r}: assert exit_code(call) == 0, call\n"
        "import pipeline.kubeflow.logs\n"
        f"loaded = set({HEAVY!r}) & sys.modules.keys()\n"
        "assert not loaded, loaded"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
