"""What the cluster's API refuses, and how it is said."""

import socket

import pytest
from fake_kubernetes_api import FakeKubernetesApi
from fake_proxy import FakeProxy
from kserve_deployments import template_for, uri

from components import http_requests, kubernetes_api
from components.kserve_deployer.cluster import Cluster, ClusterAccess, ClusterError
from components.kserve_deployer.rollout import deploy
from components.kserve_deployer.service import RolloutState, render
from trainer_module.errors import ConfigError


@pytest.fixture
def manifest():
    return render(template_for(), RolloutState(uri(1)))


def test_what_is_not_there_is_none(cluster):
    assert cluster.read() is None
    assert cluster.pods() == []


def test_an_applied_service_is_read(api, cluster, manifest):
    applied = cluster.apply(manifest)
    assert applied["metadata"]["generation"] == 1
    assert cluster.read() == applied
    request = next(request for request in api.requests if request.method == "PATCH")
    assert request.query == {"fieldManager": "petseg", "fieldValidation": "Strict"}
    assert request.headers["authorization"] == "Bearer x"


def test_a_field_that_kserve_does_not_know_is_refused(cluster, manifest):
    manifest["spec"]["predictor"]["model"]["storageURI"] = "gs://x"
    with pytest.raises(ClusterError, match=r"\.spec\.predictor\.model\.storageURI: field not .* KServe 0.20") as raised:
        cluster.apply(manifest)
    assert not raised.value.is_temporary


def test_a_cluster_without_kserve_is_told(api, cluster):
    api.is_kserve_installed = False
    with pytest.raises(ClusterError, match=r"knows no InferenceServices .*: is KServe installed?"):
        cluster.read()


def test_a_namespace_that_does_not_exist_is_told(make_cluster, manifest):
    manifest["metadata"]["namespace"] = "modles"
    with pytest.raises(ClusterError, match=r"there is no namespace 'modles' \(push.kserve.namespace\)"):
        make_cluster(namespace="modles").apply(manifest)


@pytest.mark.parametrize("right", ["get inferenceservices", "list pods", "patch inferenceservices", "get configmaps"])
def test_a_right_that_is_missing_is_named_before_anything_is_changed(right, api, controller, cluster):
    api.forbidden = {right}
    verb, resource = right.split()
    with pytest.raises(ClusterError, match=rf"answered 403, not allowed: .* cannot {verb} .*{resource}") as raised:
        deploy(cluster, template_for(), uri(1), None)
    assert "the rights of kubeflow/manifests/kserve/deployer.yaml in the namespace 'models'" in str(raised.value)
    assert not api.services


def test_a_wrong_token_is_told(tmp_path):
    with FakeKubernetesApi(token="right") as api:
        kubeconfig = api.write_kubeconfig(tmp_path)
        kubeconfig.write_text(kubeconfig.read_text().replace("token: right", "token: wrong"))
        access = ClusterAccess(kubeconfig=str(kubeconfig), namespace="models", name="pets", timeout_seconds=1)
        with pytest.raises(ClusterError, match="answered 401, not authenticated: Unauthorized; renew the login"):
            Cluster(access).read()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_is_temporary_is_tried_again(status, api, cluster, manifest):
    api.fail(status, times=http_requests.ATTEMPTS - 1)
    assert cluster.apply(manifest)["metadata"]["generation"] == 1
    api.fail(status, times=http_requests.ATTEMPTS)
    with pytest.raises(ClusterError, match=f"answered {status}.*try again later") as raised:
        cluster.apply(manifest)
    assert raised.value.is_temporary


def test_an_answer_that_is_no_json_is_told(api, cluster):
    api.fail(200, body="<html>log in</html>")
    with pytest.raises(ClusterError, match="something else than JSON"):
        cluster.read()


def test_a_connection_that_breaks_off_is_tried_again(api, cluster, manifest):
    api.break_off(times=2)
    assert cluster.apply(manifest)


def test_a_cluster_that_does_not_answer_is_told(api, cluster, monkeypatch):
    monkeypatch.setattr(kubernetes_api, "READ_SECONDS", 0.05)
    api.stall(times=http_requests.ATTEMPTS)
    with pytest.raises(ClusterError, match=r"did not answer in time; check push.kserve.kubeconfig"):
        cluster.read()


def test_a_cluster_that_is_not_there_is_told(kubeconfig, make_cluster):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    lines = [
        f"    server: http://{address}" if "server:" in line else line for line in kubeconfig.read_text().splitlines()
    ]
    kubeconfig.write_text("\n".join(lines))
    with pytest.raises(ClusterError, match=f"http://{address} cannot be reached; check push.kserve.kubeconfig"):
        make_cluster().read()


@pytest.mark.parametrize(("field", "value"), [("context", "nope"), ("kubeconfig", "/nowhere/config")])
def test_no_way_to_a_cluster_is_a_mistake_of_the_settings(field, value, make_cluster):
    with pytest.raises(ConfigError, match=f"no way to a cluster: .*push.kserve.{field} is '{value}'"):
        make_cluster(**{field: value})


@pytest.mark.parametrize("kubeconfig", [None, "in-cluster"])
def test_in_a_pod_the_service_account_is_used(kubeconfig, api, monkeypatch, tmp_path):
    from kubernetes.config import incluster_config

    host, port = api.host.removeprefix("http://").split(":")
    for name in ("token", "ca.crt"):
        (tmp_path / name).write_text("secret-of-the-pod")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    pod = Cluster(ClusterAccess(kubeconfig=kubeconfig, namespace="models", name="pets", timeout_seconds=1))
    assert pod._api._server.host == f"https://{host}:{port}"
    assert pod._api._client.configuration.api_key["authorization"] == "bearer secret-of-the-pod"


def test_only_a_trusted_cluster_is_talked_to(certificate, tmp_path):
    with FakeKubernetesApi(certificate=certificate) as api:
        for authority in (None, certificate[0]):
            kubeconfig = api.write_kubeconfig(tmp_path, authority)
            access = ClusterAccess(kubeconfig=str(kubeconfig), namespace="models", name="pets", timeout_seconds=1)
            if authority:
                assert Cluster(access, backoff_seconds=0).read() is None
                continue
            with pytest.raises(ClusterError, match=f"no trusted TLS connection to {api.host}: ") as raised:
                Cluster(access, backoff_seconds=0).read()
            assert not raised.value.is_temporary
            assert not api.requests


@pytest.mark.usefixtures("without_proxy")
def test_a_cluster_is_reached_by_the_proxy_of_the_environment(api, kubeconfig, make_cluster, monkeypatch):
    kubeconfig.write_text(kubeconfig.read_text().replace(api.host, "http://server.test"))
    with FakeProxy(api.host) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        assert make_cluster().read() is None
        assert len(proxy.asked) == 1
        assert proxy.asked[0].startswith("GET http://server.test/apis/serving.kserve.io/")
    with FakeProxy(None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        kubeconfig.write_text(kubeconfig.read_text().replace("http://server.test", "https://server.test"))
        with pytest.raises(ClusterError, match=r"gave no way to https://server.test: .*502.* NO_PROXY"):
            make_cluster().read()
