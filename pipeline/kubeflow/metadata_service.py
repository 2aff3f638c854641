"""The way to ML Metadata, where Kubeflow Pipelines keeps the artifacts of runs, which its API does not give out.

Kubeflow's pages read them by gRPC-Web, at the root of the host that also has the API; that way is taken, too, with
the token, the certificate, the proxy and the retries of the API. A bare API server has no such route. Then, and in the
cluster, ML Metadata is asked by plain gRPC at an address of its own.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import kfp_server_api

from components.http_requests import ATTEMPTS, ApiError, ApiServer, NoAnswer, NotJsonError
from pipeline.config.kubeflow import KubeflowConfig
from pipeline.kubeflow.grpc_web import CONTENT_TYPE, GrpcStatusError, NotGrpcWebError, answered, framed
from pipeline.kubeflow.transport import ApiClient, open_api_client

SERVICE: Final = "ml_metadata.MetadataStoreService"
IN_CLUSTER_ADDRESS: Final = "metadata-grpc-service.kubeflow.svc.cluster.local:8080"
"""Where ML Metadata is for pods of its cluster."""

PORT_FORWARD: Final = "kubectl port-forward -n kubeflow svc/metadata-grpc-service 8081:8080"

_PAGES_FORWARD: Final = "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8888:80"
_SECONDS: Final = 15
"""How long one call by plain gRPC may take."""

_TEMPORARY: Final = frozenset({4, 8, 10, 14})
"""Codes of gRPC after which the same call may succeed later: too late, too much, a lost race, not there."""

_WHAT: Final = "read the artifacts in ML Metadata"


class MetadataError(ApiError):
    """ML Metadata cannot be asked."""


class MetadataService(ABC):
    """Sends calls to ML Metadata."""

    host: str
    """Where it is, for people."""

    @abstractmethod
    def _send(self, method: str, request: bytes) -> bytes:
        """Returns the message of the answer.

        Raises:
          GrpcStatusError: The server refuses the call, or cannot be reached.
          MetadataError: There was no answer, or none of ML Metadata.
        """

    def call(self, method: str, request: Any) -> Any:
        """Returns what the service answers to a call.

        Args:
          method: Name of the method, such as `GetArtifactsByID`.
          request: Its message.

        Raises:
          MetadataError: There is no answer.
        """
        from ml_metadata.proto import metadata_store_service_pb2 as messages

        try:
            answer = self._send(method, request.SerializeToString())
        except GrpcStatusError as error:
            said = " ".join(error.details.split()) or f"gRPC status {error.code}"
            raise MetadataError(
                f"cannot {_WHAT}: {self.host} answered: {said}",
                is_temporary=error.code in _TEMPORARY,
            ) from None
        return getattr(messages, f"{method}Response").FromString(answer)


class ProxiedService(MetadataService):
    """ML Metadata behind the host of the pages."""

    def __init__(self, api: ApiClient) -> None:
        """Constructs the service; nothing is sent yet.

        Args:
          api: A client of the pages' host, which sends a call again that had no answer.
        """
        self.host = api.configuration.host
        self._api = api
        self._server = _PagesServer(self.host)

    def _send(self, method: str, request: bytes) -> bytes:
        with self._server.translated_errors(_WHAT):
            answer = self._api.call_api(
                f"/{SERVICE}/{method}",
                "POST",
                header_params={"Accept": CONTENT_TYPE, "Content-Type": CONTENT_TYPE, "X-Grpc-Web": "1"},
                body=framed(request),
                auth_settings=["Bearer"],
                _preload_content=False,
            )
            try:
                return answered(answer.headers, answer.data)
            except NotGrpcWebError as error:
                raise NotJsonError(f"{error} instead of gRPC-Web") from None


class DirectService(MetadataService):
    """ML Metadata at its own address."""

    def __init__(self, address: str) -> None:
        """Constructs the service; nothing is sent yet.

        Args:
          address: `HOST:PORT`.
        """
        self.host = address
        self._channel: Any = None

    def _send(self, method: str, request: bytes) -> bytes:
        import grpc

        if self._channel is None:
            self._channel = grpc.insecure_channel(self.host, _OPTIONS)
        try:
            return bytes(self._channel.unary_unary(f"/{SERVICE}/{method}")(request, timeout=_SECONDS))
        except grpc.RpcError as error:
            code = error.code()
            advice = "" if code is not grpc.StatusCode.UNAVAILABLE else f"; is it there? For a port: {PORT_FORWARD}"
            raise GrpcStatusError(code.value[0], f"{error.details()}{advice}") from None


def open_metadata(
    config: KubeflowConfig, token: Callable[[], str] | None, backoff_seconds: float | None
) -> MetadataService:
    """Returns the way to ML Metadata that the settings name; nothing is sent yet.

    Args:
      config: Where the server is.
      token: Returns the bearer token of the API. None: no token.
      backoff_seconds: As of `open_api_client`.

    Raises:
      ConfigError: The environment names a proxy that cannot be used.
    """
    if config.metadata_host is not None:
        return DirectService(config.metadata_host)
    if config.host is None:
        return DirectService(IN_CLUSTER_ADDRESS)
    # All calls only read: each may be sent again.
    return ProxiedService(open_api_client(origin(config.host), token, config.ca_certificate, backoff_seconds, "POST"))


def origin(host: str) -> str:
    """Returns the root of a host: of Kubeflow's gateway it has ML Metadata, and the API is below `/pipeline`.

    Example:
      >>> origin("https://kubeflow.example.org/pipeline")
      'https://kubeflow.example.org'
    """
    parts = urlsplit(host)
    return f"{parts.scheme}://{parts.netloc}"


class _PagesServer(ApiServer):
    """The host of the pages, as whoever asks ML Metadata by it sees it."""

    error: ClassVar[type[ApiError]] = MetadataError
    refusal: ClassVar[type[Exception]] = kfp_server_api.ApiException

    def __init__(self, host: str) -> None:
        self.host = host

    def reason(self, error: Any, said: str) -> str | None:
        told = f": {said}" if said else ""
        if error.status in (404, 405, 501):
            return (
                f"{self.host} has no way to it{told}; is it the API server by itself? Set kubeflow.metadata_host "
                f"({PORT_FORWARD}), or let kubeflow.host be that of the pages ({_PAGES_FORWARD})"
            )
        if error.status in (401, 403):
            return f"{self.host} answered {error.status}, not allowed{told}; see kubeflow.token_variable"
        return None

    @property
    def not_json_advice(self) -> str:
        return f"set kubeflow.metadata_host to reach ML Metadata without a proxy: {PORT_FORWARD}"

    def no_answer_advice(self, why: NoAnswer, *, is_open: bool) -> str:
        return ""


_OPTIONS: Final = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # it is a forwarded port, or in the cluster
    (
        "grpc.service_config",
        json.dumps(
            {
                "methodConfig": [
                    {
                        "name": [{"service": SERVICE}],
                        "retryPolicy": {
                            "maxAttempts": ATTEMPTS,
                            "initialBackoff": "0.5s",
                            "maxBackoff": "5s",
                            "backoffMultiplier": 2,
                            "retryableStatusCodes": ["UNAVAILABLE", "ABORTED"],
                        },
                    }
                ]
            }
        ),
    ),
]
