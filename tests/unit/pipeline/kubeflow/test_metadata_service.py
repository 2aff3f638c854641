"""The ways to ML Metadata, by the pages' host and by its own address, and what is said where there is none."""

import socket

import pytest
from fake_kubeflow_api import FakeKubeflowApi
from fake_metadata import SERVICE, InMemory, MetadataOfRuns
from fake_proxy import FakeProxy
from pydantic import ValidationError

from components import http_requests
from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow import metadata_service
from pipeline.kubeflow.client import connect
from pipeline.kubeflow.metadata_service import MetadataError, open_metadata, origin
from pipeline.kubeflow.run_artifacts import RunArtifacts

CALL = f"POST /{SERVICE.full_name}/"
BLESSING = {"blessing": ("minio://b/blessing", {"blessed": 1.0, "forced_because": "why, 'so'"})}


@pytest.fixture(scope="module")
def store():
    """A store with two runs: the second has taken the Trainer of the first from the cache."""
    store = InMemory()
    runs = MetadataOfRuns(store)
    runs.add_task("run-1", "TfdsExampleGenDriver", parameters={"input_fingerprint": "0123abcd"})
    [model] = runs.add_task("run-1", "Trainer", {"model": ("minio://b/run-1/model", {})})
    runs.add_task("run-1", "Evaluator", {}, state=runs.FAILED)
    logs = {"executor-logs": ("minio://b/executor-logs-0", {}), "executor-logs-1": ("minio://b/executor-logs-1", {})}
    runs.add_task("run-1", "Evaluator", BLESSING | logs)
    runs.add_task("run-1", "Pusher", {"pushed_model": ("minio://b/pushed", {"pushed": 0.0})}, state=runs.RUNNING)
    runs.add_cached("run-2", "Trainer", {"model": model})
    return store


@pytest.fixture
def pages(api, store):
    """The server, as the pages' host shows it."""
    api.metadata = store
    return api


def artifacts_of(config: KubeflowConfig) -> RunArtifacts:
    return RunArtifacts(open_metadata(config, None, 0))


class TestArtifacts:
    def test_of_a_run(self, pages):
        found = artifacts_of(KubeflowConfig(host=pages.host)).of_run("run-1")
        assert set(found) == {"TfdsExampleGenDriver", "Trainer", "Evaluator"}
        assert set(found["Evaluator"]) == {"blessing"}
        [blessing] = found["Evaluator"]["blessing"]
        assert blessing.uri == "minio://b/blessing"
        assert blessing.get_int_custom_property("blessed") == 1
        assert blessing.get_string_custom_property("forced_because") == "why, 'so'"
        [fingerprint] = found["TfdsExampleGenDriver"]["input_fingerprint"]
        assert fingerprint.get_string_custom_property("value") == "0123abcd"

    def test_of_a_cached_task_they_are_those_of_the_run_before(self, pages):
        found = artifacts_of(KubeflowConfig(host=pages.host)).of_run("run-2")
        assert [one.uri for one in found["Trainer"]["model"]] == ["minio://b/run-1/model"]

    def test_of_a_run_that_has_none(self, pages):
        assert artifacts_of(KubeflowConfig(host=pages.host)).of_run("run-3") == {}

    def test_of_several_runs_in_four_requests(self, pages):
        artifacts = artifacts_of(KubeflowConfig(host=pages.host))
        found = artifacts.of_runs(["run-2", "run-1", 'no "such" run'], ["Trainer", "Evaluator"])
        assert {run: set(of_run) for run, of_run in found.items()} == {
            "run-1": {"Trainer", "Evaluator"},
            "run-2": {"Trainer"},
        }
        assert found["run-1"]["Evaluator"]["blessing"][0].uri == "minio://b/blessing"
        assert pages.count(CALL) == 4
        assert artifacts.of_runs([], ["Trainer"]) == artifacts.of_runs(["nix"], ["Trainer"]) == {}

    def test_page_by_page(self, pages, monkeypatch):
        monkeypatch.setattr("pipeline.kubeflow.run_artifacts._PAGE_SIZE", 2)
        assert set(artifacts_of(KubeflowConfig(host=pages.host)).of_run("run-1")) == {
            "TfdsExampleGenDriver",
            "Trainer",
            "Evaluator",
        }
        assert pages.count(f"{CALL}GetExecutionsByContext") == 3


class TestPages:
    def test_of_a_gateway_they_are_at_its_root(self, pages, monkeypatch):
        monkeypatch.setenv("KFP_TOKEN", "s3cret")
        pages.token = "s3cret"
        assert origin("https://kubeflow.example:8443/pipeline") == "https://kubeflow.example:8443"
        config = KubeflowConfig(host=f"{pages.host}/pipeline")
        assert RunArtifacts(open_metadata(config, lambda: "s3cret", 0)).of_run("run-2")

    def test_the_client_has_them_with_its_token(self, pages, monkeypatch):
        monkeypatch.setenv("KFP_TOKEN", "s3cret")
        pages.token = "s3cret"
        assert connect(KubeflowConfig(host=pages.host), backoff_seconds=0).artifacts.of_run("run-2")

    def test_a_certificate_of_ones_own(self, certificate, store):
        with FakeKubeflowApi(certificate=certificate) as api:
            api.metadata = store
            assert artifacts_of(KubeflowConfig(host=api.host, ca_certificate=str(certificate[0]))).of_run("run-2")
            with pytest.raises(MetadataError, match="no trusted TLS connection"):
                artifacts_of(KubeflowConfig(host=api.host)).of_run("run-2")

    @pytest.mark.usefixtures("without_proxy")
    def test_a_proxy(self, pages, monkeypatch):
        with FakeProxy(pages.host) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
            assert artifacts_of(KubeflowConfig(host="http://server.test")).of_run("run-2")
            assert f"POST http://server.test/{SERVICE.full_name}/GetContextByTypeAndName" in proxy.asked

    def test_a_call_that_had_no_answer_is_sent_again(self, pages):
        pages.fail(503, on=CALL, times=http_requests.ATTEMPTS - 1)
        assert artifacts_of(KubeflowConfig(host=pages.host)).of_run("run-2")

    def test_but_not_for_ever(self, pages):
        pages.fail(504, on=CALL, times=100, body="Error occurred while trying to proxy")
        with pytest.raises(MetadataError, match="answered 504: Error occurred while trying to proxy") as raised:
            artifacts_of(KubeflowConfig(host=pages.host)).of_run("run-2")
        assert raised.value.is_temporary
        assert pages.count(CALL) == http_requests.ATTEMPTS

    def test_the_bare_api_server_has_no_way_to_it(self, api):
        with pytest.raises(
            MetadataError, match=r"no way to it: 404 page not found; .*kubeflow\.metadata_host"
        ) as raised:
            artifacts_of(KubeflowConfig(host=api.host)).of_run("run-2")
        assert not raised.value.is_temporary

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_token_that_is_not_taken(self, pages, status):
        pages.fail(status, on=CALL)
        with pytest.raises(MetadataError, match=rf"answered {status}, not allowed.*kubeflow\.token_variable"):
            artifacts_of(KubeflowConfig(host=pages.host)).of_run("run-2")

    def test_a_login_page(self, pages):
        pages.fail(200, on=CALL, body="<html>Sign in</html>", headers={"Content-Type": "text/html"})
        with pytest.raises(MetadataError, match="answered with text/html instead of gRPC-Web, as a login page does"):
            artifacts_of(KubeflowConfig(host=pages.host)).of_run("run-2")

    def test_what_the_store_refuses_is_told_in_its_words(self, pages):
        service = open_metadata(KubeflowConfig(host=pages.host), None, 0)
        from ml_metadata.proto import metadata_store_service_pb2 as messages

        request = messages.GetExecutionsRequest(options={"filter_query": "nonsense = "})
        with pytest.raises(MetadataError, match="answered: Invalid `filter_query`") as raised:
            service.call("GetExecutions", request)
        assert not raised.value.is_temporary

    @pytest.mark.parametrize(("code", "is_temporary"), [(14, True), (10, True), (12, False)])
    def test_a_code_of_grpc_tells_whether_to_come_back(self, pages, code, is_temporary):
        headers = {"Content-Type": "application/grpc-web+proto", "Grpc-Status": str(code), "Grpc-Message": "so"}
        pages.fail(200, on=CALL, body=" ", headers=headers | {"Content-Length": "0"})
        with pytest.raises(MetadataError, match="answered: so") as raised:
            artifacts_of(KubeflowConfig(host=pages.host)).of_run("run-2")
        assert raised.value.is_temporary == is_temporary


class TestAddress:
    def test_plain_grpc(self, store):
        with store.served() as address:
            found = artifacts_of(KubeflowConfig(host="http://never.test", metadata_host=address)).of_run("run-2")
        assert set(found) == {"Trainer"}

    def test_no_proxy_is_between(self, store, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://nowhere.test:1")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with store.served() as address:
            assert artifacts_of(KubeflowConfig(metadata_host=address)).of_run("run-2")

    def test_in_the_cluster_it_is_a_service(self, store, monkeypatch):
        with store.served() as address:
            monkeypatch.setattr(metadata_service, "IN_CLUSTER_ADDRESS", address)
            assert artifacts_of(KubeflowConfig()).of_run("run-2")

    def test_nobody_listens(self, monkeypatch):
        monkeypatch.setattr(metadata_service, "_OPTIONS", [])  # without pauses
        with socket.create_server(("127.0.0.1", 0)) as closed:
            address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(MetadataError, match=rf"{address} answered: .*svc/metadata-grpc-service") as raised:
            artifacts_of(KubeflowConfig(metadata_host=address)).of_run("run-2")
        assert raised.value.is_temporary

    @pytest.mark.parametrize("address", ["localhost", "http://localhost:8081", "localhost:", "a b:1"])
    def test_what_is_no_address(self, address):
        with pytest.raises(ValidationError, match="metadata_host"):
            KubeflowConfig(metadata_host=address)
