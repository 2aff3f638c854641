"""Runs told to a real MLflow server, and to one that is down, silent, particular or strange."""

import itertools
import json
import socket
from datetime import UTC, datetime

import pytest
from mlflow_server import MlflowProxy, free_port, mlflow_server
from report_run import finished_run

from components.kserve_deployer.service import RolloutState
from components.model_pusher.push import PushRecord, push
from pipeline.cli import exit_code
from pipeline.config.loading import load_config
from pipeline.runs.record import DatasetRecord, NodeRecord, NodeState, ProbeRecord, RunState
from pipeline.runs.session import RecordedRun, record_run
from pipeline.runs.store import RunStore
from pipeline.tracking.address import EXPERIMENT_VARIABLE, URI_VARIABLE, Address
from pipeline.tracking.local import RunTracker
from pipeline.tracking.pods import failure_told, tell_run, training_told
from pipeline.tracking.rollouts import rolled_back, served_by_kserve
from pipeline.tracking.server import RUN_VARIABLE
from trainer_module.errors import DataError

NUMBERS = itertools.count(1)
ENOUGH_SECONDS = 60.0
"""To wait for a server that answers; it is not waited for longer than it takes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture
def client(server):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=server)


@pytest.fixture
def name():
    """Of an experiment and a registered model that no other test has."""
    return f"pets-{next(NUMBERS)}"


@pytest.fixture(autouse=True)
def _no_tracker(monkeypatch):
    for variable in (URI_VARIABLE, EXPERIMENT_VARIABLE, RUN_VARIABLE, "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(variable, raising=False)


class FakeRun(RecordedRun):
    """A run whose components do nothing, but leave what a run leaves."""

    def __init__(self, store, files, address, *, wait_seconds, fails_with=None, model=None, overrides=()):
        settings = [f"tracking.experiment={address.experiment}", *overrides]
        record = finished_run(files.directory, f"tracking.mlflow={address.uri}", *settings)
        record.run_id, record.state, self._nodes = files.directory.name, RunState.RUNNING, record.nodes
        record.nodes, record.log = [], str(files.log)
        record.dataset = DatasetRecord(name="pets", version="1", splits={"test": 12}, digests={"test": "ab" * 32})
        record.pushed_model = model
        record.probe = ProbeRecord(measurements={"latency_p50_ms": 12.5, "memory_mb": 250.0})
        trackers = [RunTracker(address, files, wait_seconds)]
        super().__init__(store, files, record, show_on_stderr=False, observers=trackers)
        self._fails_with = fails_with

    def _run(self):
        self._files.config.write_text("{}")
        self._record.nodes = [NodeRecord(id=node.id, outputs=node.outputs) for node in self._nodes]
        for node in self._nodes:
            self.node_started(node.id)
            if node.id == "Trainer":
                self._train()
            self._record.node(node.id).state = NodeState.COMPLETE
            self._change(node.id, NodeState.COMPLETE)

    def _train(self):
        with self._files.progress.open("a") as file:
            for epoch, loss in ((1, 0.9), (2, 0.5)):
                place = {"epoch": epoch, "epochs": 2, "step": 1, "steps": 1}
                file.write(json.dumps({**place, "loss": loss, "val_mean_iou": None if epoch == 1 else 0.55}) + "\n")
        if self._fails_with is not None:
            raise self._fails_with

    def _tidy(self):
        pass

    def _write_report(self, *, with_pictures):
        page = self._files.directory / "report.html"
        page.write_text("<h1>pets</h1>" + " " * 60_000)
        page.with_name("model_card.md").write_text("# pets")
        return page


@pytest.fixture
def run(tmp_path, name, capfd):
    """Makes a run that a server at a URL is told of; returns its record and what the run printed."""

    def run(url, *, wait_seconds=ENOUGH_SECONDS, registered_model=name, **settings):
        store = RunStore(tmp_path / "root")
        address = Address(uri=url, experiment=name, registered_model=registered_model)
        record = record_run(
            store, lambda _, files: FakeRun(store, files, address, wait_seconds=wait_seconds, **settings)
        )
        return record, capfd.readouterr().out

    return run


@pytest.fixture
def petseg(tmp_path, capfd):
    def call(*arguments):
        code = exit_code([*arguments, "--pipeline-root", str(tmp_path / "root")])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def pushed(tmp_path):
    """The directory of a pushed version."""

    def pushed(content=b"graph"):
        model, base = tmp_path / "model", tmp_path / "root" / "serving_model" / "petseg-demo"
        (model / "variables").mkdir(parents=True, exist_ok=True)
        (model / "saved_model.pb").write_bytes(content)
        (model / "variables" / "variables.index").write_bytes(b"weights")
        outcome = push(str(model), str(base), PushRecord(pushed_at=datetime.now(UTC)))
        return base / str(outcome.version)

    return pushed


def the_run(client, name):
    """The one MLflow run of an experiment."""
    experiment = client.get_experiment_by_name(name)
    [found] = client.search_runs([experiment.experiment_id])
    return found


def files_of(client, run, path=""):
    return {file.path for file in client.list_artifacts(run.info.run_id, path)}


def history(client, run, metric):
    return sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric))


def aliases(client, name):
    return {
        alias: client.get_model_version(name, version).tags["petseg.version"]
        for alias, version in client.get_registered_model(name).aliases.items()
    }


def test_a_run_is_one_run_of_mlflow_with_all_that_is_known_of_it(server, client, run, name, pushed, petseg):
    version = pushed()
    record, out = run(server, model=str(version))
    found = the_run(client, name)
    assert record.tracking == f"{server}/#/experiments/{found.info.experiment_id}/runs/{found.info.run_id}"
    assert f"tracked: {record.tracking}" in out
    assert (found.info.status, found.info.run_name) == ("FINISHED", record.run_id)
    assert found.info.start_time == round(record.started.timestamp() * 1000)

    params, metrics, tags = found.data.params, found.data.metrics, found.data.tags
    assert len(params) > 100
    assert (params["trainer.epochs"], params["push.destination"]) == ("3", "none")
    assert metrics["evaluation/accuracy_low"] == 0.69123
    assert metrics["slices/species Dog/mean_iou"] == 0.61111
    assert (metrics["probe/latency_p50_ms"], metrics["model/parameters"]) == (12.5, 1234)
    assert "evaluation/iou_border" not in metrics
    wanted = {
        "run_id": record.run_id, "verdict": "not blessed", "undefined_metrics": "iou_border",
        "code_digest": "0123456789abcdef", "dataset": "pets 1", "data_digest.test": "ab" * 32,
    }  # fmt: skip
    assert {key: tags[f"petseg.{key}"] for key in wanted} == wanted
    assert history(client, found, "training/loss") == [(1, 0.9), (2, 0.5), (3, 0.4)]
    assert history(client, found, "training/val_accuracy") == [(1, 0.65), (2, 0.85), (3, 0.75)]
    [data] = found.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest, data.tags[0].value) == ("pets 1", ("ab" * 32)[:36], "test")

    assert {"report.html", "model_card.md", "run.json", "config.json", "training", "model"} == files_of(client, found)
    assert files_of(client, found, "training") == {"training/history.json"}
    assert "model/saved_model/saved_model.pb" in files_of(client, found, "model/saved_model")
    [registered] = client.search_model_versions(f"name = '{name}'")
    assert registered.run_id == found.info.run_id
    assert registered.tags["petseg.version"] == version.name
    assert (registered.tags["petseg.verdict"], registered.tags["petseg.probe.memory_mb"]) == ("not blessed", "250")
    assert len(registered.tags["petseg.digest"]) == 64
    assert aliases(client, name) == {"champion": version.name}

    assert petseg("track", "status")[:2] == (0, "nothing of a run waits\n")
    assert petseg("track", "sync")[:2] == (0, "nothing of a run waits\n")
    code, out, _ = petseg("track", "sync", record.run_id, "--again")
    assert (code, out) == (0, f"{record.run_id}: sent: {record.tracking}\n")
    assert the_run(client, name).info.run_id == found.info.run_id
    assert history(client, found, "training/loss") == [(1, 0.9), (2, 0.5), (3, 0.4)]
    assert history(client, found, "evaluation/accuracy") == [(0, 0.71234)]
    assert len(client.search_model_versions(f"name = '{name}'")) == 1


@pytest.mark.parametrize(("error", "status"), [(DataError("no mask"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_run_that_fails_or_is_interrupted_ends_on_the_server_too(server, client, run, name, error, status):
    record, _ = run(server, fails_with=error)
    found = the_run(client, name)
    assert found.info.status == status
    assert found.data.tags["petseg.error"] == record.error


def test_what_a_server_that_is_down_has_missed_is_sent_later(server, client, run, name, petseg):
    record, out = run(f"http://127.0.0.1:{free_port()}")
    assert (record.state, record.tracking) == (RunState.COMPLETE, None)
    assert "does not answer" in out
    assert "`petseg track sync` sends what waits" in out
    code, out, _ = petseg("track", "status", "--json")
    [waiting] = json.loads(out)["runs"]
    assert (waiting["run_id"], waiting["is_complete"]) == (record.run_id, False)
    assert "does not answer" in waiting["problem"]
    code, _, err = petseg("track", "sync")
    assert code == 1
    assert f"{record.run_id}: http://127.0.0.1" in err

    code, out, _ = petseg("track", "sync", record.run_id, "--mlflow", server)
    assert code == 0, out
    found = the_run(client, name)
    assert found.info.status == "FINISHED"
    assert history(client, found, "training/loss") == [(1, 0.9), (2, 0.5), (3, 0.4)]
    assert "report.html" in files_of(client, found)
    assert petseg("track", "sync")[0] == 0
    assert record.run_id in petseg("runs", "show", "--json")[1]
    assert json.loads(petseg("runs", "show", "--json")[1])["tracking"].startswith(server)


def test_a_server_that_never_answers_holds_no_run_up(run, petseg):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        record, out = run(f"http://127.0.0.1:{silent.getsockname()[1]}", wait_seconds=0.2)
        assert record.state is RunState.COMPLETE
        assert "which was not in time; `petseg track sync` sends what waits" in out
    assert "items for http://127.0.0.1" in petseg("track", "status")[1]


def test_a_wrong_token_is_said_and_the_right_one_loses_nothing(server, client, run, name, petseg, monkeypatch):
    with MlflowProxy(server, token="right") as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
        record, out = run(proxy.host)
        assert record.state is RunState.COMPLETE
        assert "does not let petseg in (401): check MLFLOW_TRACKING_TOKEN" in " ".join(out.split())
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "right")
        assert petseg("track", "sync")[0] == 0
        assert the_run(client, name).info.status == "FINISHED"


def test_a_report_that_is_too_large_keeps_nothing_else_back(server, client, run, name, petseg):
    with MlflowProxy(server, max_bytes=50_000) as proxy:
        _, out = run(proxy.host)
        assert "larger than http://127.0.0.1" in out
        found = the_run(client, name)
        assert found.info.status == "FINISHED"
        assert "model_card.md" in files_of(client, found)
        assert "report.html" not in files_of(client, found)
        out = petseg("track", "status")[1]
        assert f"1 item for {proxy.host} waits: report.html: larger than" in " ".join(out.split())
        assert petseg("track", "sync")[0] == 1
        proxy.max_bytes = None
        assert petseg("track", "sync")[0] == 0
        assert "report.html" in files_of(client, found)


def test_a_deleted_experiment_is_named_and_takes_everything_once_it_is_restored(server, client, run, name, petseg):
    experiment_id = client.create_experiment(name)
    client.delete_experiment(experiment_id)
    _, out = run(server)
    said = " ".join(out.split())
    assert f"the experiment '{name}' was deleted on {server}: restore it there" in said
    assert f"--experiment-id {experiment_id}" in said
    client.restore_experiment(experiment_id)
    assert petseg("track", "sync")[0] == 0
    assert the_run(client, name).info.status == "FINISHED"


def test_a_run_that_was_deleted_there_is_made_anew_only_when_that_is_wanted(server, client, run, name, petseg):
    record, _ = run(server)
    first = the_run(client, name)
    client.delete_run(first.info.run_id)
    assert petseg("track", "sync", record.run_id)[0] == 0
    assert client.search_runs([first.info.experiment_id]) == []
    assert petseg("track", "sync", record.run_id, "--again")[0] == 0
    assert the_run(client, name).info.run_id != first.info.run_id


def test_the_name_of_a_model_may_be_taken_or_gone(server, client, run, name, pushed, petseg):
    client.create_registered_model(name)
    _, out = run(server, model=str(pushed()))
    assert f"the name '{name}' is taken by a registered model that is not petseg's" in " ".join(out.split())
    assert the_run(client, name).info.status == "FINISHED"
    client.delete_registered_model(name)
    assert petseg("track", "sync")[0] == 0
    assert client.get_registered_model(name).aliases.keys() == {"champion"}
    client.delete_registered_model(name)
    run(server, model=str(pushed(b"another")))
    assert len(client.search_model_versions(f"name = '{name}'")) == 1


def test_a_model_in_an_object_store_is_named_and_one_that_is_gone_is_told_by_its_run(server, client, run, name):
    run(server, model="gs://models/pets/17")
    run(server, model="/serving/pets/18")
    later, first = client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"])
    assert first.source == "gs://models/pets/17"
    assert later.source == client.get_run(later.run_id).info.artifact_uri
    assert later.tags["petseg.location"] == "/serving/pets/18"
    assert aliases(client, name) == {"champion": "18"}


def test_aliases_follow_what_is_served_and_wait_where_the_server_is_down(server, client, run, name, petseg, tmp_path):
    for version in (17, 18, 19):
        run(server, model=f"gs://models/pets/{version}")
    root, at = f"pipeline.root={tmp_path / 'root'}", "tracking.mlflow={}".format
    model = f"tracking.registered_model={name}"
    config = load_config(preset="demo", overrides=[root, at(server), model])
    down = load_config(preset="demo", overrides=[root, at(f"http://127.0.0.1:{free_port()}"), model])

    def served(stable, canary=None, percent=0, by=config):
        uri = "pvc://claim/pets/.kserve/{}-only".format
        return served_by_kserve(by, RolloutState(uri(stable), uri(canary) if canary else None, percent))

    assert served(18, 19, 10) is None
    assert aliases(client, name) == {"champion": "18", "challenger": "19"}
    assert served(18, 19, 0) is None
    assert aliases(client, name) == {"champion": "18"}
    assert "has no version with petseg.versions 99" in served(99)
    assert rolled_back(config, 20, 17) is None
    assert aliases(client, name) == {"champion": "17"}
    assert served(20) is None, "the model is known by its later number too"

    run(server, model="gs://models/pets/16")
    assert aliases(client, name) == {"champion": "17"}, "what is told late takes no alias from what was pushed later"

    assert "`petseg track sync`" in served(19, by=down)
    assert "`petseg track sync`" in rolled_back(down, 21, 18)
    [move] = json.loads(petseg("track", "status", "--json")[1])["aliases"]
    assert (move["aliases"], move["copies"]) == ({"champion": "21", "challenger": None}, {"21": "18"})
    code, _, err = petseg("track", "sync")
    assert (code, "aliases of" in err) == (1, True)
    file = tmp_path / "root" / "tracking_aliases.json"
    file.write_text(file.read_text().replace(down.tracking.mlflow, server))
    assert petseg("track", "sync")[0] == 0
    assert aliases(client, name) == {"champion": "18"}
    assert json.loads(petseg("track", "status", "--json")[1])["aliases"] == []


def finished_in_a_pod(tmp_path, run_id):
    record = finished_run(tmp_path)
    record.run_id = run_id
    page = tmp_path / "report.html"
    page.write_text("<h1>pets</h1>")
    (tmp_path / "run.json").write_text(record.model_dump_json())
    return {
        "record": record, "page": page, "model_card": None, "model_run": tmp_path / "model_run", "directory": tmp_path,
    }  # fmt: skip


def train_in_a_pod(tmp_path, run_id):
    progress = tmp_path / "progress.jsonl"
    with training_told(run_id, progress):
        for epoch, loss in ((1, 0.9), (2, 0.5)):
            with progress.open("a") as file:
                file.write(json.dumps({"epoch": epoch, "epochs": 2, "step": 1, "steps": 1, "loss": loss}) + "\n")


def test_the_pods_of_a_run_find_the_same_run_and_a_training_that_starts_again_doubles_nothing(
    server, client, name, tmp_path, monkeypatch
):
    monkeypatch.setenv(URI_VARIABLE, server)
    monkeypatch.setenv(EXPERIMENT_VARIABLE, name)
    train_in_a_pod(tmp_path, "c0a5aeb7")
    found = the_run(client, name)
    assert (found.info.status, history(client, found, "training/loss")) == ("RUNNING", [(1, 0.9), (2, 0.5)])
    failure_told("c0a5aeb7", "Trainer", KeyboardInterrupt())
    found = the_run(client, name)
    assert (found.info.status, found.data.tags["petseg.error"]) == ("KILLED", "Trainer was terminated")
    train_in_a_pod(tmp_path, "c0a5aeb7")
    found = the_run(client, name)
    assert (found.info.status, "petseg.error" in found.data.tags) == ("RUNNING", False)
    failure_told("c0a5aeb7", "Evaluator", DataError("no mask"))
    found = the_run(client, name)
    assert (found.info.status, found.data.tags["petseg.error"]) == ("FAILED", "Evaluator failed: no mask")
    assert tell_run(**finished_in_a_pod(tmp_path, "c0a5aeb7")).endswith(found.info.run_id)
    found = the_run(client, name)
    assert found.info.status == "FINISHED"
    assert history(client, found, "training/loss") == [(1, 0.9), (2, 0.5), (3, 0.4)]
    assert found.data.tags["petseg.kubeflow_run_id"] == "c0a5aeb7"
    assert {"report.html", "run.json", "training"} == files_of(client, found)


def test_pods_join_the_run_that_kubeflow_pipelines_has_made_and_leave_its_end_to_it(
    server, client, name, tmp_path, monkeypatch
):
    experiment = client.create_experiment(name)
    parent = client.create_run(experiment, run_name="of Kubeflow", tags={"kfp.pipeline_run_id": "c0a5aeb7"})
    for task, work in (("Trainer", train_in_a_pod), ("RunReport", lambda *run: tell_run(**finished_in_a_pod(*run)))):
        nested = client.create_run(experiment, run_name=task, tags={"mlflow.parentRunId": parent.info.run_id})
        monkeypatch.setenv(RUN_VARIABLE, nested.info.run_id)
        monkeypatch.setenv(URI_VARIABLE, server)
        work(tmp_path, "c0a5aeb7")
        assert client.get_run(nested.info.run_id).data.metrics == {}
    found = client.get_run(parent.info.run_id)
    assert (found.info.status, found.info.run_name) == ("RUNNING", "of Kubeflow")
    assert found.data.tags["petseg.verdict"] == "not blessed"
    assert found.data.metrics["evaluation/accuracy"] == 0.71234
    assert history(client, found, "training/loss") == [(1, 0.9), (2, 0.5), (3, 0.4)]
    assert len(client.search_runs([experiment])) == 3


def test_pods_without_a_server_or_with_one_that_is_down_go_on(tmp_path, monkeypatch, caplog):
    train_in_a_pod(tmp_path, "c0a5aeb7")
    assert tell_run(**finished_in_a_pod(tmp_path, "c0a5aeb7")) is None
    monkeypatch.setenv(URI_VARIABLE, f"http://127.0.0.1:{free_port()}")
    assert tell_run(**finished_in_a_pod(tmp_path, "c0a5aeb7")) is None
    assert "MLflow has not heard all of the run" in caplog.text


def test_mistakes_of_the_command_line(petseg, run, server):
    assert "--again needs the runs" in petseg("track", "sync", "--again")[2]
    assert petseg("track", "sync", "--again")[0] == 2
    code, _, err = petseg("track", "sync", "20260101-000000-000000")
    assert (code, "there is no run '20260101-000000-000000'" in err) == (1, True)
    run(server)
    code, _, err = petseg("track", "sync", "latest", "--mlflow", "mlflow:5000")
    assert (code, "give one such as http://mlflow:5000" in err) == (2, True)
