"""Which proxy a client is given."""

from types import SimpleNamespace

import pytest

from components.http_requests import use_proxy
from trainer_module.errors import ConfigError

PROXY = "http://proxy.test:3128"


@pytest.fixture(autouse=True)
def _no_proxy(without_proxy):
    pass


def proxy_for(host: str) -> str | None:
    configuration = SimpleNamespace(host=host, proxy=None, proxy_headers=None)
    use_proxy(configuration)
    assert configuration.proxy_headers is None
    return configuration.proxy


@pytest.mark.parametrize(
    ("variable", "value", "host", "proxy"),
    [
        ("HTTP_PROXY", PROXY, "http://kfp.test/pipeline", PROXY),
        ("http_proxy", PROXY, "http://kfp.test", PROXY),
        ("HTTPS_PROXY", PROXY, "https://kfp.test", PROXY),
        ("https_proxy", PROXY, "https://kfp.test:8443", PROXY),
        ("all_proxy", PROXY, "https://kfp.test", PROXY),
        ("HTTPS_PROXY", PROXY, "http://kfp.test", None),
        ("HTTP_PROXY", PROXY, "https://kfp.test", None),
        ("HTTP_PROXY", "proxy.test:3128", "http://kfp.test", PROXY),
        ("HTTP_PROXY", "", "http://kfp.test", None),
        ("HTTP_PROXY", PROXY, "http://localhost:8888", None),
        ("HTTP_PROXY", PROXY, "http://127.0.0.1:8888", None),
        ("HTTP_PROXY", PROXY, "http://[::1]:8888", None),
    ],
)
def test_the_environment_names_the_proxy(variable, value, host, proxy, monkeypatch):
    monkeypatch.setenv(variable, value)
    assert proxy_for(host) == proxy


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("listed", "host", "is_direct"),
    [
        ("kfp.test", "https://kfp.test", True),
        (".test", "https://kfp.test", True),
        ("test", "https://kfp.test:8443/pipeline", True),
        ("a.example, .svc.cluster.local", "https://ml-pipeline.kubeflow.svc.cluster.local:8888", True),
        ("*", "https://kfp.test", True),
        ("10.96.0.0/12", "https://10.96.0.1:443", True),
        ("10.96.0.0/12", "https://10.112.0.1:443", False),
        ("fp.test", "https://kfp.test", False),
        ("", "https://kfp.test", False),
    ],
)
def test_what_needs_none_is_reached_without(variable, listed, host, is_direct, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv(variable, listed)
    assert proxy_for(host) == (None if is_direct else PROXY)


@pytest.mark.parametrize("proxy", ["socks5://me:s3cret@proxy.test:1080", "http://me:s3cret@proxy.test:port", "http://"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigError, match="expected http://HOST:PORT") as raised:
        proxy_for("https://kfp.test")
    assert "s3cret" not in str(raised.value)
