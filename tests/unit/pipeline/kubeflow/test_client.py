"""The contract with the Kubeflow Pipelines API, and what every failure of it says."""

import socket
import threading
import time

import pytest
from fake_kubeflow_api import V2, FakeKubeflowApi
from fake_proxy import FakeProxy

from components import http_requests
from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow import transport
from pipeline.kubeflow.client import UploadedVersion, connect
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.transport import KubeflowApiError
from trainer_module.errors import ConfigError, PetsegError

PORT_FORWARD = "kubectl port-forward -n kubeflow svc/ml-pipeline 8888:8888"
TOKEN = "s3cret-token"


def experiment_names(api) -> list[str]:
    return [experiment.display_name for experiment in api.store.experiments.values()]


def with_image(package: Package, image: str) -> Package:
    executors = {
        label: {"container": {"image": image}} for label in package.pipeline_spec["deploymentSpec"]["executors"]
    }
    return Package(package.pipeline_spec | {"deploymentSpec": {"executors": executors}}, package.platform_spec)


class TestUpload:
    def test_a_package_becomes_a_pipeline_with_one_version(self, api, client, package):
        uploaded = client.upload(package)
        assert uploaded.name == f"petseg-pets-{package.digest}"
        assert uploaded.is_new
        assert [pipeline.name for pipeline in api.store.pipelines.values()] == ["petseg-pets"]
        version = api.store.versions[uploaded.version_id]
        assert version.pipeline_spec == {
            "pipeline_spec": package.pipeline_spec,
            "platform_spec": package.platform_spec,
        }
        assert client.package(uploaded.pipeline_id, uploaded.version_id) == package

    def test_the_same_package_is_not_uploaded_again(self, api, client, package):
        first = client.upload(package)
        again = client.upload(package)
        assert (again.version_id, again.is_new) == (first.version_id, False)
        assert len(api.store.versions) == 1
        assert api.count(f"POST {V2}/pipelines/upload_version") == 1

    def test_another_content_becomes_another_version(self, api, client, package):
        first = client.upload(package)
        second = client.upload(with_image(package, "petseg:2"))
        assert second.pipeline_id == first.pipeline_id
        assert second.version_id != first.version_id

    def test_a_package_of_one_document_is_read_back(self, client, package):
        alone = Package(package.pipeline_spec, {})
        uploaded = client.upload(alone)
        assert client.package(uploaded.pipeline_id, uploaded.version_id) == alone

    @pytest.mark.parametrize("route", ["pipelines", "pipelines/upload_version"])
    def test_a_race_that_somebody_else_won_is_no_error(self, api, client, package, route, monkeypatch):
        method = {"pipelines": "create_pipeline", "pipelines/upload_version": "upload_version"}[route]
        create = getattr(api.store, method)

        def lose(*args):
            create(*args)
            return create(*args)

        monkeypatch.setattr(api.store, method, lose)
        assert client.upload(package).version_id in api.store.versions
        assert (len(api.store.pipelines), len(api.store.versions)) == (1, 1)

    def test_nothing_is_left_of_a_package_that_the_server_refuses(self, api, client, package):
        broken = Package(package.pipeline_spec | {"surprise": 1}, {})
        with pytest.raises(KubeflowApiError, match=r"answered 400: invalid v2 pipeline spec.*surprise"):
            client.upload(broken)
        assert not api.store.pipelines

    def test_a_pipeline_that_was_there_before_stays(self, api, client, package):
        client.upload(package)
        with pytest.raises(KubeflowApiError):
            client.upload(Package(package.pipeline_spec | {"surprise": 1}, {}))
        assert len(api.store.pipelines) == 1

    def test_no_file_is_left_in_home(self, client, package, tmp_path):
        client.upload(package)
        assert list(tmp_path.iterdir()) == []


class TestExperiments:
    def test_it_is_made_once(self, api, client):
        first = client.experiment_id("pets", create=True)
        assert client.experiment_id("pets", create=True) == first
        assert client.experiment_id("pets", create=False) == first
        assert experiment_names(api) == ["Default", "pets"]

    def test_an_unknown_one_is_an_error_that_names_the_nearest(self, client):
        for number in range(120):
            client.experiment_id(f"other-{number}", create=True)
        client.experiment_id("petseg-pets", create=True)
        with pytest.raises(PetsegError, match=r"no experiment 'petsegpets' .*did you mean 'petseg-pets'\?"):
            client.experiment_id("petsegpets", create=False)

    def test_a_new_namespace_has_none(self):
        with FakeKubeflowApi(multi_user=True) as api:
            client = connect(KubeflowConfig(host=api.host, namespace="profile-a"), backoff_seconds=0)
            with pytest.raises(PetsegError, match=r"there is no experiment 'pets' on .*; the server has none yet"):
                client.experiment_id("pets", create=False)


class TestRuns:
    @pytest.fixture
    def version(self, client, package) -> UploadedVersion:
        return client.upload(package)

    def create(self, client, version, **parameters):
        experiment_id = client.experiment_id("pets", create=True)
        return client.create_run(version, name="run 1", experiment_id=experiment_id, parameters=parameters)

    def test_a_run_has_root_parameters_and_account(self, api, package):
        settings = KubeflowConfig(host=api.host, pipeline_root="s3://bucket/root", service_account="trainer")
        client = connect(settings, backoff_seconds=0)
        version = client.upload(package)
        run = self.create(client, version, epochs=5)
        stored = api.store.runs[run.run_id]
        assert stored.display_name == "run 1"
        assert stored.pipeline_version_reference.pipeline_version_id == version.version_id
        assert stored.runtime_config.to_dict() == {"parameters": {"epochs": 5}, "pipeline_root": "s3://bucket/root"}
        assert stored.service_account == "trainer"
        assert client.run(run.run_id).state == "PENDING"

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"epochs": "5"}, "input parameter epochs requires type double or integer"),
            ({"epoch": 5}, r"parameter\(s\) provided are not required by pipeline: epoch"),
        ],
    )
    def test_the_server_checks_parameters(self, api, client, version, parameters, message):
        with pytest.raises(KubeflowApiError, match=rf"cannot create the run 'run 1': \S+ answered 400: {message}"):
            self.create(client, version, **parameters)
        assert not api.store.runs

    def test_a_version_that_is_gone_is_named_though_the_server_takes_it_for_its_own_error(self, api, client, version):
        del api.store.versions[version.version_id]
        gone = rf"cannot create the run 'run 1': .*PipelineVersion {version.version_id} not found; was it deleted\?"
        with pytest.raises(KubeflowApiError, match=gone) as raised:
            self.create(client, version)
        assert not raised.value.is_temporary

    def test_runs_are_listed_newest_first(self, client, version):
        ids = [self.create(client, version).run_id for _ in range(3)]
        experiment_id = client.experiment_id("pets", create=False)
        assert [run.run_id for run in client.runs(experiment_id, limit=2)] == [ids[2], ids[1]]

    def test_a_run_is_terminated(self, api, client, version):
        run = self.create(client, version)
        client.terminate(run.run_id)
        assert api.store.runs[run.run_id].state == "CANCELING"

    def test_an_archived_log_is_text(self, api, client, version):
        run = self.create(client, version)
        api.store.archived_logs["node-1"] = "one\nzwölf\n"
        assert client.archived_log(run.run_id, "node-1") == "one\nzwölf\n"
        assert client.archived_log(run.run_id, "node-2") is None
        api.fail(500, on="GET", times=4)
        with pytest.raises(KubeflowApiError, match=r"cannot read the archived log: .* answered 500"):
            client.archived_log(run.run_id, "node-1")

    def test_a_run_that_does_not_exist(self, client):
        with pytest.raises(KubeflowApiError, match=r"cannot read the run nix: Run nix not found") as raised:
            client.run("nix")
        assert raised.value.status == 404


class TestNamespaces:
    def test_a_server_of_one_user_is_not_asked_by_namespace(self, api, client, package):
        client.upload(package)
        client.experiment_id("pets", create=True)
        assert client.namespace is None
        assert all("namespace" not in request.query for request in api.requests)

    def test_a_server_of_many_users_is(self, package):
        with FakeKubeflowApi(multi_user=True) as api:
            client = connect(KubeflowConfig(host=api.host, namespace="profile-a"), backoff_seconds=0)
            client.upload(package)
            client.experiment_id("pets", create=True)
            assert client.experiment_id("pets", create=False)
            assert {entry.namespace for entry in api.store.pipelines.values()} == {"profile-a"}
            assert {entry.namespace for entry in api.store.experiments.values()} == {"profile-a"}


class TestAuthentication:
    def test_the_token_comes_from_the_environment(self, monkeypatch, package):
        monkeypatch.setenv("MY_TOKEN", f"{TOKEN}\n")
        with FakeKubeflowApi(token=TOKEN) as api:
            client = connect(KubeflowConfig(host=api.host, token_variable="MY_TOKEN"), backoff_seconds=0)
            assert client.upload(package).is_new
            assert TOKEN not in repr(vars(client)["access"])

    def test_without_token_the_error_names_the_variable(self):
        with FakeKubeflowApi(token=TOKEN) as api, pytest.raises(KubeflowApiError) as raised:
            connect(KubeflowConfig(host=api.host), backoff_seconds=0)
        assert "answered 401, not authenticated" in str(raised.value)
        assert "set the environment variable KFP_TOKEN to a bearer token" in str(raised.value)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_token_is_named_but_not_shown(self, monkeypatch, api, status):
        monkeypatch.setenv("KFP_TOKEN", TOKEN)
        api.fail(status, body=f'{{"code": 16, "message": "Authorization: Bearer {TOKEN} is not accepted"}}')
        with pytest.raises(KubeflowApiError) as raised:
            connect(KubeflowConfig(host=api.host, namespace="profile-a"), backoff_seconds=0)
        assert "renew the token in the environment variable KFP_TOKEN" in str(raised.value)
        assert ("namespace 'profile-a'" in str(raised.value)) == (status == 403)
        assert TOKEN not in str(raised.value)

    @pytest.mark.parametrize("token", ["two words", "tok\x07en", "töken"])
    def test_a_token_that_cannot_be_sent_is_not_shown(self, monkeypatch, api, token):
        monkeypatch.setenv("KFP_TOKEN", token)
        with pytest.raises(ConfigError, match="KFP_TOKEN holds no bearer token") as raised:
            connect(KubeflowConfig(host=api.host))
        assert token not in str(raised.value)
        assert not api.requests

    def test_in_a_pod_the_projected_token_is_read_anew(self, monkeypatch, tmp_path):
        file = tmp_path / "token"
        file.write_text("first")
        monkeypatch.setattr("pipeline.kubeflow.client.IN_CLUSTER_TOKEN", file)
        with FakeKubeflowApi(token="first") as api:
            monkeypatch.setattr("pipeline.kubeflow.client.IN_CLUSTER_HOST", api.host)
            client = connect(KubeflowConfig(), backoff_seconds=0)
            api.token = "second"
            file.write_text("second\n")
            assert client.experiment_id("pets", create=True)

    def test_a_login_page_is_not_taken_for_an_answer(self, api):
        api.fail(200, body="<html>Sign in</html>", headers={"Content-Type": "text/html"})
        with pytest.raises(KubeflowApiError, match=r"answered with text/html instead of JSON.*KFP_TOKEN"):
            connect(KubeflowConfig(host=api.host), backoff_seconds=0)


class TestRetries:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_what_may_be_asked_twice_is(self, api, client, status):
        api.fail(status, times=http_requests.ATTEMPTS - 1, on=f"GET {V2}/experiments")
        with pytest.raises(PetsegError, match="no experiment"):
            client.experiment_id("pets", create=False)

    @pytest.mark.parametrize(("status", "advice"), [(429, "too many requests"), (500, "see the log of the server")])
    def test_but_not_for_ever(self, api, client, status, advice):
        api.fail(status, times=100, on=f"GET {V2}/experiments")
        with pytest.raises(KubeflowApiError, match=rf"answered {status}.*{advice}") as raised:
            client.experiment_id("pets", create=False)
        assert raised.value.is_temporary
        assert api.count(f"GET {V2}/experiments") == http_requests.ATTEMPTS

    def test_a_request_that_may_have_been_done_is_not_sent_twice(self, api, client):
        api.fail(500, on=f"POST {V2}/experiments")
        with pytest.raises(KubeflowApiError, match=r"cannot create the experiment 'pets': .* answered 500"):
            client.experiment_id("pets", create=True)
        assert api.count(f"POST {V2}/experiments") == 1

    def test_one_that_was_refused_as_too_many_is(self, api, client):
        api.fail(429, times=2, on=f"POST {V2}/experiments")
        assert client.experiment_id("pets", create=True)
        assert experiment_names(api) == ["Default", "pets"]

    def test_the_server_says_when_to_come_back(self, api, client, monkeypatch):
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        api.fail(429, on=f"GET {V2}/experiments", headers={"Retry-After": "7"})
        api.fail(503, on=f"GET {V2}/experiments", headers={"Retry-After": "100000"})
        with pytest.raises(PetsegError, match="no experiment"):
            client.experiment_id("pets", create=False)
        assert pauses == [7, http_requests.LONGEST_PAUSE_SECONDS]

    def test_pauses_grow(self, api, monkeypatch):
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        api.fail(503, times=3)
        connect(KubeflowConfig(host=api.host), backoff_seconds=1.0)
        assert pauses == [1.0, 2.0]


class TestNoAnswer:
    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        with pytest.raises(KubeflowApiError) as raised:
            connect(KubeflowConfig(host=f"http://127.0.0.1:{port}"), backoff_seconds=0)
        assert f"http://127.0.0.1:{port} cannot be reached; set kubeflow.host" in str(raised.value)
        assert PORT_FORWARD in str(raised.value)
        assert raised.value.is_temporary

    def test_the_name_is_unknown(self, monkeypatch):
        def unknown(*_, **__):
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(KubeflowApiError, match=r"the name in http://kfp\.example cannot be resolved"):
            connect(KubeflowConfig(host="http://kfp.example"), backoff_seconds=0)

    def test_no_answer_in_time(self, api, client, monkeypatch):
        monkeypatch.setattr(transport, "READ_SECONDS", 0.05)
        api.stall(on=f"GET {V2}/experiments", times=100)
        with pytest.raises(KubeflowApiError, match=r"did not answer in time$") as raised:
            client.experiment_id("pets", create=False)
        assert raised.value.is_temporary

    def test_what_came_of_a_request_without_answer_is_open(self, api, client, monkeypatch):
        monkeypatch.setattr(transport, "READ_SECONDS", 0.05)
        api.stall(on=f"POST {V2}/experiments")
        with pytest.raises(KubeflowApiError, match="did not answer in time; what was asked for may have happened"):
            client.experiment_id("pets", create=True)
        assert api.count(f"POST {V2}/experiments") == 1

    def test_the_connection_breaks_off(self, api, client):
        api.break_off(on=f"GET {V2}/experiments", times=100)
        with pytest.raises(
            KubeflowApiError, match=r"the connection to .* broke off \(Remote end closed connection without response\)$"
        ):
            client.experiment_id("pets", create=False)
        api.break_off(on=f"POST {V2}/pipelines")
        with pytest.raises(KubeflowApiError, match="may have happened all the same"):
            client.upload(Package({"pipelineInfo": {"name": "x"}}, {}))

    def test_an_answer_that_is_no_text(self, api, client):
        api.fail(502, on=f"GET {V2}/experiments", times=100, body="\ud800", headers={"Content-Type": "text/html"})
        with pytest.raises(KubeflowApiError, match="answered with no text instead of JSON"):
            client.experiment_id("pets", create=False)

    def test_another_kind_of_server(self, api):
        api.fail(404, body="404 page not found", headers={"Content-Type": "text/plain"})
        with pytest.raises(KubeflowApiError, match="cannot reach Kubeflow Pipelines: 404 page not found"):
            connect(KubeflowConfig(host=api.host), backoff_seconds=0)

    def test_a_server_that_is_too_old(self, api, monkeypatch):
        monkeypatch.setattr("fake_kubeflow_api._ROUTES", [])
        with pytest.raises(KubeflowApiError, match=r"404, not found; is kubeflow\.host the API of Kubeflow"):
            connect(KubeflowConfig(host=api.host), backoff_seconds=0)


class TestTls:
    def test_an_unknown_authority_is_refused_once(self, certificate):
        with FakeKubeflowApi(certificate=certificate) as api:
            with pytest.raises(KubeflowApiError, match=r"no trusted TLS connection.*ca_certificate.*not set") as raised:
                connect(KubeflowConfig(host=api.host), backoff_seconds=0)
            assert not raised.value.is_temporary
            assert (api.connections, api.requests) == (1, [])

    def test_the_authority_of_the_settings_is_trusted(self, certificate):
        with FakeKubeflowApi(certificate=certificate) as api:
            client = connect(KubeflowConfig(host=api.host, ca_certificate=str(certificate[0])), backoff_seconds=0)
            assert client.experiment_id("pets", create=True)

    def test_a_missing_certificate_file_is_named(self, api):
        with pytest.raises(ConfigError, match=r"kubeflow\.ca_certificate is '/nowhere\.pem', which is no file"):
            connect(KubeflowConfig(host=api.host, ca_certificate="/nowhere.pem"))

    def test_a_certificate_file_of_something_else(self, api, tmp_path):
        file = tmp_path / "ca.pem"
        file.write_text("no certificate")
        with pytest.raises(PetsegError, match="ca_certificate"):
            connect(KubeflowConfig(host=api.host.replace("http", "https"), ca_certificate=str(file)), backoff_seconds=0)


def test_a_client_is_safe_to_share_between_threads(api, client):
    threads = [threading.Thread(target=client.experiment_id, args=("pets", True)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert experiment_names(api) == ["Default", "pets"]


@pytest.mark.usefixtures("without_proxy")
class TestProxy:
    def test_a_server_that_only_the_proxy_reaches(self, api, monkeypatch):
        with FakeProxy(api.host) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://me:s3cret@{proxy.address}")
            client = connect(KubeflowConfig(host="http://server.test"), backoff_seconds=0)
            assert proxy.asked == [f"GET http://server.test{V2}/healthz"]
            assert client.experiment_id("pets", create=True)
            assert proxy.users == {"me:s3cret"}

    def test_tls_goes_through_it(self, certificate, monkeypatch):
        with FakeKubeflowApi(certificate=certificate) as api, FakeProxy(api.host) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.address)
            config = KubeflowConfig(host="https://server.test", ca_certificate=str(certificate[0]))
            assert connect(config, backoff_seconds=0).experiment_id("pets", create=True)
            assert set(proxy.asked) == {"CONNECT server.test:443"}

    def test_one_that_gives_no_way_is_told(self, monkeypatch):
        with FakeProxy(None) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret@{proxy.address}")
            with pytest.raises(
                KubeflowApiError, match=r"gave no way to https://server.test: .*502.* NO_PROXY"
            ) as raised:
                connect(KubeflowConfig(host="https://server.test"), backoff_seconds=0)
        assert "s3cret" not in str(raised.value)

    def test_a_forwarded_port_is_not_asked_of_it(self, api, monkeypatch):
        with FakeProxy(None) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
            connect(KubeflowConfig(host=api.host), backoff_seconds=0)
            assert proxy.asked == []
