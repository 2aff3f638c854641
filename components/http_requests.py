"""What can go wrong between petseg and a cluster's API, each in one sentence with what to do about it.

What every client of an HTTP API needs: bounded retries, the proxy, what the server said, why there is no answer.
"""

import ipaddress
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any, Final

from urllib3 import exceptions
from urllib3.util import Retry, Url, make_headers, parse_url

from trainer_module.errors import ConfigError, PetsegError

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 60
ATTEMPTS: Final = 4
"""Most times that one request is sent."""

LONGEST_PAUSE_SECONDS: Final = 60
"""Longest that a server's Retry-After is obeyed."""

BUSY: Final = 429
TEMPORARY: Final = frozenset({BUSY, 500, 502, 503, 504})
"""Statuses of an answer after which the same request may succeed later."""

_LONGEST_MESSAGE: Final = 600
_TOKEN: Final = re.compile(r"Bearer \S+", re.IGNORECASE)
_MESSAGE_KEYS: Final = ("message", "error_message", "error")


class PatientRetry(Retry):
    """Retries what was not started, and what may be done twice; a request that was refused as too many, always."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        if status_code == BUSY:
            return bool(self.total)
        return super().is_retry(method, status_code, has_retry_after)


def patient_retry(backoff_seconds: float, *more_methods: str) -> PatientRetry:
    """Returns the retries of one request.

    Args:
      backoff_seconds: Pause before the second retry; it doubles with each further one.
      *more_methods: What may be done twice on this server beside GET, PUT, DELETE and the like.
    """
    return PatientRetry(
        total=ATTEMPTS - 1,
        other=0,
        status_forcelist=TEMPORARY,
        allowed_methods=Retry.DEFAULT_ALLOWED_METHODS | set(more_methods),
        backoff_factor=backoff_seconds / 2,
        retry_after_max=LONGEST_PAUSE_SECONDS,
        raise_on_status=False,
    )


def use_proxy(configuration: Any) -> None:
    """Lets a generated client reach its host by the proxy that the environment names for it.

    `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are read as requests reads them: small letters first, and
    networks such as 10.0.0.0/8 in `NO_PROXY`. As for kubectl, no proxy is between this machine and itself: a forwarded
    port (https://pkg.go.dev/net/http#ProxyFromEnvironment).

    Args:
      configuration: Has `host`, and gets `proxy` and `proxy_headers`.

    Raises:
      ConfigError: The proxy's address cannot be used.
    """
    from requests import utils

    if _is_this_machine(parse_url(configuration.host).host or ""):
        return
    named = utils.select_proxy(configuration.host, utils.get_environ_proxies(configuration.host))
    if named is None:
        return
    proxy = _proxy_url(named)
    configuration.proxy = proxy.url
    if proxy.auth is not None:
        user, password = utils.get_auth_from_url(proxy.url)
        configuration.proxy_headers = make_headers(proxy_basic_auth=f"{user}:{password}")


def _is_this_machine(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host == "localhost"


def _proxy_url(text: str) -> Url:
    """Returns a proxy's address; an error never shows what else is in it, as a password."""
    from requests import utils

    with suppress(exceptions.LocationParseError):
        url = parse_url(utils.prepend_scheme_if_needed(text, "http"))
        if url.scheme in ("http", "https") and url.host:
            return url
    raise ConfigError(
        f"the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) names the proxy {text.rpartition('@')[2]!r}, which is "
        "none that can be used; expected http://HOST:PORT or https://HOST:PORT"
    )


class NoAnswer(Enum):
    """Why no server answered."""

    PROXY = "the proxy"

    UNKNOWN_NAME = "unknown name"
    UNTRUSTED = "no trusted TLS connection"
    UNREACHABLE = "cannot be reached"
    TOO_LATE = "no answer in time"
    BROKEN_OFF = "the connection broke off"


def cause_of(error: BaseException) -> tuple[NoAnswer, BaseException]:
    """Returns why a request of urllib3 had no answer, and the error that says it, out of those it is wrapped in."""
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, exceptions.ProxyError):
        return NoAnswer.PROXY, cause
    if isinstance(cause, exceptions.NameResolutionError | socket.gaierror):
        return NoAnswer.UNKNOWN_NAME, cause
    if isinstance(cause, exceptions.SSLError):
        return NoAnswer.UNTRUSTED, cause
    if isinstance(cause, exceptions.NewConnectionError | exceptions.ConnectTimeoutError):
        return NoAnswer.UNREACHABLE, cause
    if isinstance(cause, exceptions.ReadTimeoutError):
        return NoAnswer.TOO_LATE, cause
    return NoAnswer.BROKEN_OFF, cause


def innermost(error: Any) -> str:
    """Returns what an error that wraps another one is about."""
    last = error.args[-1] if error.args else error
    return str(last) or type(error).__name__


def no_way(host: str, error: Any) -> str:
    """Returns what became of a request at the proxy."""
    return (
        f"the proxy of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) gave no way to {host}: {innermost(error)}; "
        "a host that is reached without it belongs into NO_PROXY"
    )


def server_message(body: str | None) -> str:
    """Returns what the server says went wrong, in one line without tokens; nothing where it answers with a page."""
    text = body or ""
    try:
        values = json.loads(text)
    except ValueError:
        values = text if not text.lstrip().startswith("<") else ""
    if isinstance(values, dict):
        values = next((values[key] for key in _MESSAGE_KEYS if values.get(key)), "")
    return _TOKEN.sub("Bearer ***", " ".join(str(values).split()))[:_LONGEST_MESSAGE]


_CONFLICT: Final = re.compile(r'conflicts? with "?([^":]+)"?')


class ClusterError(PetsegError):
    """A request to the cluster failed."""

    def __init__(self, message: str, status: int | None = None, *, is_temporary: bool = False) -> None:
        """Constructs the error.

        Args:
          message: What the user sees.
          status: HTTP status of the answer; None when there was none.
          is_temporary: Whether the same request may succeed later.
        """
        super().__init__(message)
        self.status = status
        self.is_temporary = is_temporary


class NotJsonError(Exception):
    """The cluster answered with something else than JSON."""


@contextmanager
def translated_errors(what: str, host: str, namespace: str) -> Iterator[None]:
    """Turns what the block's requests raise into errors that say what to do.

    Args:
      what: What the block does, as it reads after "cannot": `"read the pods"`.
      host: URL of the cluster's API.
      namespace: Where the objects are.

    Raises:
      ClusterError: A request failed.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise _refusal(what, host, namespace, error) from None
    except NotJsonError:
        raise ClusterError(
            f"cannot {what}: {host} answered with something else than JSON, as a login page does; check the cluster's "
            "address in the kubeconfig"
        ) from None
    except HTTPError as error:
        raise _no_answer(what, host, error) from None


def details_of(error: Any) -> dict[str, Any]:
    """Returns the details of Kubernetes' `Status` in an answer that is no success; empty where it sent none."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return {}
    return dict(status.get("details") or {}) if isinstance(status, dict) else {}


def _refusal(what: str, host: str, namespace: str, error: Any) -> ClusterError:
    status, said = error.status, server_message(error.body)
    told = f": {said}" if said else ""
    reason = {
        401: f"{host} answered 401, not authenticated{told}; renew the login of the kubeconfig's user",
        403: f"{host} answered 403, not allowed{told}; the account needs the rights of "
        f"kubeflow/manifests/kserve/deployer.yaml in the namespace {namespace!r}",
        404: _not_found(namespace, error),
        409: _conflict(said),
        429: f"{host} answered 429, too many requests{told}; try again later",
    }.get(status, f"{host} answered {status}{told}")
    if status >= 500:
        reason += "; try again later"
    return ClusterError(f"cannot {what}: {reason}", status, is_temporary=status in TEMPORARY)


def _not_found(namespace: str, error: Any) -> str:
    if details_of(error).get("kind") == "namespaces":
        return f"there is no namespace {namespace!r} (push.kserve.namespace)"
    return (
        "the cluster knows no InferenceServices (serving.kserve.io/v1beta1): is KServe installed? "
        "`kubectl get crd inferenceservices.serving.kserve.io` tells"
    )


def _conflict(said: str) -> str:
    others = ", ".join(dict.fromkeys(_CONFLICT.findall(said)))
    who = f"{others} has" if others else "somebody else has"
    return (
        f"{who} set fields that petseg sets, to other values: {said}; undo that change, or take the fields over with "
        "--set push.kserve.force_conflicts=true"
    )


def _no_answer(what: str, host: str, error: BaseException) -> ClusterError:
    why, cause = cause_of(error)
    reason = {
        NoAnswer.PROXY: no_way(host, cause),
        NoAnswer.UNKNOWN_NAME: f"the name in {host} cannot be resolved",
        NoAnswer.UNTRUSTED: f"no trusted TLS connection to {host}: {cause}",
        NoAnswer.UNREACHABLE: f"{host} cannot be reached",
        NoAnswer.TOO_LATE: f"{host} did not answer in time",
        NoAnswer.BROKEN_OFF: f"the connection to {host} broke off ({innermost(cause)})",
    }[why]
    advice = "check push.kserve.kubeconfig and push.kserve.context: `kubectl cluster-info` with them tells"
    return ClusterError(f"cannot {what}: {reason}; {advice}", is_temporary=why is not NoAnswer.UNTRUSTED)
