"""The servers that a configuration names: there, not there, silent, not allowed, and without what is looked for."""

import json
import time

import pytest
from fake_http_api import Answer, FakeApi, Request
from fake_kubeflow_api import FakeKubeflowApi
from fake_kubernetes_api import FakeKubernetesApi
from mlflow_server import free_port
from schedule_commands import make_package

from pipeline.cli import exit_code
from pipeline.config.kubeflow import KubeflowConfig
from pipeline.config.loading import load_config
from pipeline.doctor import services
from pipeline.doctor.findings import State
from pipeline.kubeflow.client import connect
from pipeline.kubeflow.transport import KubeflowApiError
from pipeline.runs.store import RunStore
from pipeline.tracking.address import Address
from pipeline.tracking.errors import TrackerError
from pipeline.tracking.items import Beginning, Tags
from pipeline.tracking.outbox import DIRECTORY, Outbox
from trainer_module.errors import ConfigError

EXPERIMENT = {"experiment_id": "7", "name": "petseg-demo", "lifecycle_stage": "active"}


@pytest.fixture(autouse=True)
def _nothing_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KFP_TOKEN", "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "MLFLOW_TRACKING_URI", "PETSEG_WEBHOOK_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(services, "READ_SECONDS", 1)


@pytest.fixture
def load(tmp_path):
    return lambda *overrides: load_config(
        preset="demo", pipeline_root=str(tmp_path / "root"), overrides=overrides, file=None
    )


@pytest.fixture
def nobody_asked(monkeypatch):
    monkeypatch.setattr(services, "ask", lambda *_: pytest.fail("something was asked"))


@pytest.mark.parametrize(
    ("name", "setting", "reason"),
    [
        ("Kubeflow", "trainer.epochs=1", "kubeflow.host is not set"),
        ("KServe", "trainer.epochs=1", "push.kserve.enabled is false"),
        ("MLflow", "trainer.epochs=1", "neither tracking.mlflow nor MLFLOW_TRACKING_URI is set"),
        ("MLflow", "tracking.enabled=false", "tracking.enabled is false"),
    ],
)
def test_what_the_configuration_does_without_is_not_asked(load, nobody_asked, name, setting, reason):
    (found,) = services.look_at_service(name, load(setting), offline=False)
    assert (found.state, found.found) == (State.NOT_USED, reason)


def test_offline_asks_nobody(load, nobody_asked):
    (found,) = services.look_at_service("Kubeflow", load("kubeflow.host=http://localhost:1"), offline=True)
    assert (found.state, found.found) == (State.NOT_SEEN, "--offline")


def test_a_server_that_the_environment_names_is_used(load, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setattr(services, "ask", lambda *_: [])
    assert services.look_at_service("MLflow", load(), offline=False) == []


class TestKubeflow:
    @pytest.fixture
    def api(self):
        with FakeKubeflowApi() as server:
            yield server

    def test_a_server_without_the_pipeline_says_how_it_gets_one(self, api, load):
        server, pipeline = services.look_at_kubeflow(load(f"kubeflow.host={api.host}"))
        assert server.state is State.OK
        assert f"{api.host} answers, of a release that it does not tell, one user" in server.found
        assert "no package of 'petseg-demo' yet; petseg kubeflow submit" in pipeline.found

    def test_what_is_uploaded_and_scheduled_is_found(self, api, load):
        host = f"kubeflow.host={api.host}"
        connect(KubeflowConfig(host=api.host), backoff_seconds=0).upload(make_package())
        _, pipeline, schedule = services.look_at_kubeflow(load(host, "schedule.cron=0 3 * * 1"))
        assert pipeline.found == "it has 'petseg-demo'"
        assert schedule.state is State.WARNING
        assert "the server has no schedule 'petseg-demo'" in schedule.found
        options = ["--preset=demo", f"--set={host}", "--set=schedule.cron=0 3 * * 1"]
        assert exit_code(["schedule", "apply", *options]) == 0
        assert services.look_at_kubeflow(load(host, "schedule.cron=0 3 * * 1"))[2].found == "'petseg-demo' fires"
        assert exit_code(["schedule", "pause", "petseg-demo", *options]) == 0
        paused = services.look_at_kubeflow(load(host, "schedule.cron=0 3 * * 1"))[2]
        assert (paused.state, paused.remedy) == (State.WARNING, "petseg schedule resume petseg-demo")

    def test_a_server_that_tells_its_release_is_quoted(self, api, load, monkeypatch):
        answer = api.answer

        def with_release(request: Request) -> Answer:
            said = answer(request)
            return said._replace(content=str(said.content).replace('"tag_name": "unknown"', '"tag_name": "2.17.0"'))

        monkeypatch.setattr(api, "answer", with_release)
        assert "answers, release 2.17.0" in services.look_at_kubeflow(load(f"kubeflow.host={api.host}"))[0].found

    def test_nobody_at_the_port(self, load):
        with pytest.raises(KubeflowApiError, match=r"cannot be reached; set kubeflow.host, or forward a port"):
            services.look_at_kubeflow(load(f"kubeflow.host=http://127.0.0.1:{free_port()}"))

    def test_a_server_that_never_answers_is_asked_once_and_for_a_short_time(self, api, load):
        api.stall()
        start = time.monotonic()
        with pytest.raises(KubeflowApiError, match="did not answer in time"):
            services.look_at_kubeflow(load(f"kubeflow.host={api.host}"))
        assert time.monotonic() - start < 5
        assert len(api.requests) == 1

    def test_a_token_that_is_missing_is_named(self, load):
        with FakeKubeflowApi(token="secret") as api, pytest.raises(KubeflowApiError, match="KFP_TOKEN"):
            services.look_at_kubeflow(load(f"kubeflow.host={api.host}"))


class TestKServe:
    @pytest.fixture
    def api(self):
        with FakeKubernetesApi() as server:
            yield server

    @pytest.fixture
    def config(self, api, load, tmp_path):
        return load(
            "push.kserve.enabled=true",
            "push.kserve.storage_uri=pvc://models/pets",
            "push.kserve.namespace=models",
            f"push.kserve.kubeconfig={api.write_kubeconfig(tmp_path)}",
        )

    def test_a_cluster_that_lets_it_be_deployed(self, config):
        (found,) = services.look_at_kserve(config)
        assert (found.state, found.found) == (
            State.OK,
            "models/petseg-demo is not deployed yet; the account may deploy it",
        )

    def test_rights_that_are_missing_are_named(self, api, config):
        api.forbidden = {"patch inferenceservices", "create configmaps"}
        (found,) = services.look_at_kserve(config)
        assert found.state is State.PROBLEM
        assert "the account may not patch inferenceservices, create configmaps" in found.found
        assert "deployer.yaml" in found.remedy

    def test_nothing_is_changed(self, api, config):
        services.look_at_kserve(config)
        reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        assert {request.path for request in api.requests if request.method != "GET"} == {reviews}
        asked = [request.json["spec"]["resourceAttributes"] for request in api.requests if request.path == reviews]
        assert {"name": "petseg-demo-rollout", "verb": "patch"}.items() <= next(
            each.items() for each in asked if each["resource"] == "configmaps" and each["verb"] == "patch"
        )

    def test_a_cluster_without_kserve(self, api, config):
        api.is_kserve_installed = False
        with pytest.raises(Exception, match="is KServe installed"):
            services.look_at_kserve(config)

    def test_no_way_to_a_cluster(self, load):
        with pytest.raises(ConfigError, match="no way to a cluster"):
            services.look_at_kserve(load("push.kserve.enabled=true", "push.kserve.storage_uri=pvc://models/pets"))

    def test_a_destination_that_no_cluster_sees(self, load):
        with pytest.raises(ConfigError, match="which no cluster sees by that name"):
            services.look_at_kserve(load("push.kserve.enabled=true"))


class FakeMlflow(FakeApi):
    """MLflow's REST, as far as it is asked for an experiment and the release."""

    def __init__(self, experiment: dict[str, str] | None) -> None:
        self.experiment = experiment
        super().__init__()

    def answer(self, request: Request) -> Answer:
        if request.path == "/version":
            return Answer("3.17.2", content_type="text/html")
        if self.experiment is None:
            return Answer(json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no experiment"}), 404)
        return Answer(json.dumps({"experiment": self.experiment}))


class TestMlflow:
    @pytest.mark.parametrize(
        ("experiment", "state", "said"),
        [
            (EXPERIMENT, State.OK, "it has the experiment 'petseg-demo'"),
            (None, State.OK, "the first run makes the experiment 'petseg-demo'"),
            (EXPERIMENT | {"lifecycle_stage": "deleted"}, State.PROBLEM, "its experiment 'petseg-demo' was deleted"),
        ],
    )
    def test_a_server_that_answers_tells_release_and_experiment(self, load, experiment, state, said):
        with FakeMlflow(experiment) as server:
            (found,) = services.look_at_mlflow(load(f"tracking.mlflow={server.host}"))
            assert found.state is state
            assert f"{server.host} answers, release 3.17.2; {said}" in found.found
            assert {request.method for request in server.requests} == {"GET"}

    def test_nobody_at_the_port(self, load):
        with pytest.raises(TrackerError, match="does not answer"):
            services.look_at_mlflow(load(f"tracking.mlflow=http://127.0.0.1:{free_port()}"))

    def test_a_server_that_never_answers_costs_a_second(self, load):
        with FakeMlflow(EXPERIMENT) as server:
            server.stall()
            start = time.monotonic()
            with pytest.raises(TrackerError, match="does not answer"):
                services.look_at_mlflow(load(f"tracking.mlflow={server.host}"))
            assert time.monotonic() - start < 10
            assert len(server.requests) == 1


def test_runs_of_which_something_waits_are_told_with_the_command_that_sends_it(load, tmp_path):
    config = load()
    assert services.look_at_outbox(config).state is State.NOT_USED
    files = RunStore(config.pipeline.root).create_run("20260101-000000-000000")
    files.record.write_text("{}")
    address = Address(uri="http://mlflow:5000", experiment="x", registered_model="x")
    outbox = Outbox.begin(
        files.directory / DIRECTORY, address, Beginning(run_id="20260101-000000-000000", started_ms=0)
    )
    outbox.add([Tags(values={"a": "b"})])
    found = services.look_at_outbox(config)
    assert found.state is State.WARNING
    assert "1 item for http://mlflow:5000 waits" in found.found
    assert found.remedy == f"petseg track sync --pipeline-root {tmp_path / 'root'}"


def test_channels_and_their_secrets(load, monkeypatch, tmp_path):
    assert services.look_at_notification(load()).state is State.NOT_USED
    config = load("notification.webhook=true")
    missing = services.look_at_notification(config)
    assert missing.state is State.PROBLEM
    assert "PETSEG_WEBHOOK_URL is not set" in missing.found
    (tmp_path / "url").write_text("https://hooks.test/services/T0/B0/abcd")
    monkeypatch.setenv("PETSEG_WEBHOOK_URL_FILE", str(tmp_path / "url"))
    found = services.look_at_notification(config)
    assert found.state is State.OK
    assert "abcd" not in found.found
    assert services.look_at_notification(load("notification.webhook=true", "notification.when=never")).state is (
        State.NOT_USED
    )
