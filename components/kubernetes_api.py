"""The API of a Kubernetes cluster: credentials as kubectl finds them, bounded requests, errors that say what to do.

The client of `kubernetes` is imported when a cluster is asked: settings that name one travel through TFX as JSON, where
none is at hand. Its dynamic client would not do: it cannot ask for strict validation of fields (`fieldValidation`), and
reads the whole API into a file of the temporary directory before the first request.
"""

import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, NamedTuple

from urllib3.exceptions import ProtocolError, ReadTimeoutError

from components.http_requests import (
    BUSY,
    CONNECT_SECONDS,
    READ_SECONDS,
    ApiError,
    ApiServer,
    NoAnswer,
    NotJsonError,
    patient_retry,
    use_proxy,
)
from trainer_module.errors import ConfigError

IN_CLUSTER: Final = "in-cluster"
"""Stands for the service account of the pod in `kubeconfig`."""

PODS: Final = "/api/v1/namespaces/{namespace}/pods"
EVENTS: Final = "/api/v1/namespaces/{namespace}/events"
_POD_PROXY: Final = f"{PODS}/{{pod}}:{{port}}/proxy"

BACKOFF_SECONDS: Final = 1.0

_WEBHOOK: Final = "admission webhook"
_NO_WEBHOOK: Final = "failed calling webhook"

_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML, too
_IN_POD_VARIABLE: Final = "KUBERNETES_SERVICE_HOST"

Object = dict[str, Any]
"""An object of Kubernetes, as the API sends it."""


class Answer(NamedTuple):
    """What a pod answers by way of the API server."""

    status: int
    """Of HTTP."""

    text: str


class KubernetesError(ApiError):
    """A request to the API of Kubernetes failed."""


class KubernetesServer(ApiServer):
    """The API of a cluster, as a user of one namespace sees it; subclasses add what their requests may meet."""

    error: ClassVar[type[ApiError]] = KubernetesError

    def __init__(self, host: str, namespace: str, settings: str) -> None:
        """Constructs the server.

        Args:
          host: URL of the API.
          namespace: The namespace.
          settings: Section of the configuration that says where the cluster is, such as `kubeflow`.
        """
        self.host = host
        self.namespace = namespace
        self.settings = settings

    @property
    def refusal(self) -> type[Exception]:
        from kubernetes.client import ApiException

        return ApiException

    @property
    def not_json_advice(self) -> str:
        return "check the cluster's address in the kubeconfig"

    def no_answer_advice(self, why: NoAnswer, *, is_open: bool) -> str:
        settings = self.settings
        return f"; check {settings}.kubeconfig and {settings}.context: `kubectl cluster-info` with them tells"

    def own_reason(self, error: Any, said: str) -> str | None:
        """Returns what `reason` does, where these requests mean something of their own."""
        return None

    def reason(self, error: Any, said: str) -> str | None:
        if said.startswith(_WEBHOOK):
            return f"the cluster's {said}"
        if _NO_WEBHOOK in said:
            return f"{said}; the controller that answers for this kind does not run, or cannot be reached"
        return self.own_reason(error, said) or self._reason(error, said)

    def _reason(self, error: Any, said: str) -> str | None:
        status, told = error.status, f": {said}" if said else ""
        where = f"{self.host} answered {status}"
        if status >= 500:
            return f"{where}{told}; try again later"
        if status == 404 and details(error).get("kind") == "namespaces":
            return f"there is no namespace {self.namespace!r} ({self.settings}.namespace)"
        return {
            401: f"{where}, not authenticated{told}; renew the login of the kubeconfig's user",
            403: f"{where}, not allowed{told}",
        }.get(status)


class KubernetesApi:
    """Sends requests about one namespace; every one has a timeout and bounded retries."""

    def __init__(
        self,
        kubeconfig: str | None,
        context: str | None,
        namespace: str,
        server: type[KubernetesServer],
        settings: str,
        backoff_seconds: float | None = BACKOFF_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Reads the credentials; nothing is sent yet.

        Args:
          kubeconfig: File of kubectl's settings, or `in-cluster`. None: in a pod its service account, else kubectl's
            own default.
          context: Which of the file's contexts. None: its current one.
          namespace: The namespace.
          server: What explains refusals.
          settings: Section of the configuration that `kubeconfig` and `context` are from.
          backoff_seconds: Pause before the second retry of a request; it doubles with each further one. None: a
            request is sent once.
          read_seconds: Longest pause of an answer.

        Raises:
          ConfigError: There are no credentials, the context does not exist, or the proxy cannot be used.
        """
        from kubernetes import client

        configuration = _configuration(kubeconfig, context, settings)
        configuration.retries = False if backoff_seconds is None else patient_retry(backoff_seconds, "PATCH")
        use_proxy(configuration)
        self._read_seconds = read_seconds
        self._server = server(configuration.host, namespace, settings)
        self._client = client.ApiClient(configuration)

    def translated_errors(self, what: str) -> AbstractContextManager[None]:
        """Turns what requests of the block raise into errors that say what to do; `what` as it reads after "cannot"."""
        return self._server.translated_errors(what)

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        **path_params: str,
    ) -> Object:
        """Sends a request and returns the object of the answer; call it inside of `translated_errors`."""
        answer = self._request(method, path, query, body, path_params, response_type="object")
        if not isinstance(answer, dict):  # the client passes on what it cannot read
            raise NotJsonError("something else than JSON")
        return answer

    def text(self, path: str, query: Mapping[str, str] | None = None, **path_params: str) -> str:
        """Returns an answer that is plain text, as a log; call it inside of `translated_errors`."""
        answer = self._request("GET", path, query, None, path_params, _preload_content=False)
        return _text(answer.data)

    def forward(self, pod: str, port: int, path: str, body: Object | None, read_seconds: float) -> "Answer":
        """Has the API server ask a pod, and returns the answer whatever its status; inside of `translated_errors`.

        That a pod cannot be reached is an answer, too: the API server speaks for it with 503. So is none in time, and
        one that breaks off. What the API server says of the caller (401, 429, and 403 with its own `Status`) is none.

        Args:
          pod: Name of the pod.
          port: Where it listens to HTTP.
          path: Begins with a slash.
          body: JSON to POST. None: GET.
          read_seconds: Longest pause of the answer.
        """
        from kubernetes.client import ApiException

        method, named = "GET" if body is None else "POST", {"pod": pod, "port": str(port)}
        try:
            answer = self._request(
                method, f"{_POD_PROXY}{path}", None, body, named, read_seconds, _preload_content=False
            )
            return Answer(answer.status, _text(answer.data))
        except ReadTimeoutError:
            return Answer(504, f"no answer within {read_seconds:g} s")
        except ProtocolError as error:
            return Answer(502, f"the connection broke off ({error.args[-1]})")
        except ApiException as error:
            is_forbidden = error.status == 403 and details(error).get("kind") == "pods"
            if is_forbidden or error.status in (401, BUSY):
                raise
            return Answer(error.status, _text(error.body))

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Object | None,
        path_params: dict[str, str],
        read_seconds: float | None = None,
        **how: Any,
    ) -> Any:
        return self._client.call_api(
            path,
            method,
            path_params={"namespace": self._server.namespace, **path_params},
            query_params=list((query or {}).items()),
            header_params={"Accept": _JSON, "Content-Type": _APPLY if method == "PATCH" else _JSON},
            body=body,
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _request_timeout=(CONNECT_SECONDS, read_seconds or self._read_seconds),
            **how,
        )


def is_in_cluster() -> bool:
    """Returns whether this process runs in a pod."""
    return _IN_POD_VARIABLE in os.environ


def details(error: Any) -> dict[str, Any]:
    """Returns the details of Kubernetes' `Status` in an answer that is no success; empty where it sent none."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return {}
    return dict(status.get("details") or {}) if isinstance(status, dict) else {}


def _text(content: bytes | str | None) -> str:
    return content.decode("utf-8", errors="replace") if isinstance(content, bytes) else content or ""


def _configuration(kubeconfig: str | None, context: str | None, settings: str) -> Any:
    """Returns the address and the credentials of the cluster, as the client of Kubernetes wants them."""
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        by_default = kubeconfig is None and context is None and is_in_cluster()
        if by_default or kubeconfig == IN_CLUSTER:
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(kubeconfig, context, configuration, persist_config=False)
    except config.ConfigException as error:
        raise ConfigError(
            f"no way to a cluster: {error}; {settings}.kubeconfig is {kubeconfig!r}, {settings}.context is {context!r}"
        ) from None
    return configuration
