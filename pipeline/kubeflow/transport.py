"""The generated client of the Kubeflow Pipelines API, with timeouts, bounded retries, and errors that say what to do.

`kfp.Client` is not used: it keeps settings of its own in the home directory, prints links, and waits half a minute for
a server that is not there.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import kfp_server_api

from components.http_requests import (
    CONNECT_SECONDS,
    READ_SECONDS,
    ApiError,
    ApiServer,
    NoAnswer,
    NotJsonError,
    patient_retry,
    use_proxy,
)

PORT_FORWARD: Final = "kubectl port-forward -n kubeflow svc/ml-pipeline 8888:8888"

_NO_SUCH_ROUTE: Final = "Not Found"
_PAGE_SIZE: Final = 100
_SEE_ITS_LOG: Final = "; try again later, and see the log of the server: kubectl logs -n kubeflow deploy/ml-pipeline"

models = kfp_server_api.models
services = kfp_server_api.api


class KubeflowApiError(ApiError):
    """A request to the API of Kubeflow Pipelines failed."""


@dataclass(frozen=True)
class Access(ApiServer):
    """Whom the client talks to, and as whom; never the token itself."""

    error: ClassVar[type[ApiError]] = KubeflowApiError
    refusal: ClassVar[type[Exception]] = kfp_server_api.ApiException

    host: str
    namespace: str
    token_variable: str
    has_token: bool
    ca_certificate: str | None

    def reason(self, error: Any, said: str) -> str | None:
        status, told = error.status, f": {said}" if said else ""
        where = f"{self.host} answered {status}"
        if _names_what_is_gone(error, said):
            return f"{said}; was it deleted?"
        if status is not None and status >= 500:
            return f"{where}{told}{_SEE_ITS_LOG}"
        return {
            401: f"{where}, not authenticated{told}; {self._token_advice}",
            403: f"{where}, not allowed{told}; the account of the token needs the rights for the namespace "
            f"{self.namespace!r} (kubeflow.namespace); {self._token_advice}",
            404: f"{where}, not found; is kubeflow.host the API of Kubeflow Pipelines v2?"
            if said in ("", _NO_SUCH_ROUTE)
            else said,
            409: f"{where}, it exists already{told}",
            413: f"{where}, the package is too large{told}",
        }.get(status)

    def is_temporary(self, error: Any, said: str) -> bool:
        return super().is_temporary(error, said) and not _names_what_is_gone(error, said)

    @property
    def not_json_advice(self) -> str:
        return f"check kubeflow.host, {self._token_advice}, or reach the API directly: {PORT_FORWARD}"

    def no_answer_advice(self, why: NoAnswer, *, is_open: bool) -> str:
        certificate = f"is {self.ca_certificate!r}" if self.ca_certificate else "is not set"
        outcome = "; what was asked for may have happened all the same" if is_open else ""
        return {
            NoAnswer.UNKNOWN_NAME: f"; check kubeflow.host, or forward a port: {PORT_FORWARD}",
            NoAnswer.UNTRUSTED: "; kubeflow.ca_certificate, the file with the authority that signed the server's "
            f"certificate, {certificate}",
            NoAnswer.UNREACHABLE: f"; set kubeflow.host, or forward a port to it: {PORT_FORWARD}",
            NoAnswer.TOO_LATE: outcome,
            NoAnswer.BROKEN_OFF: outcome,
        }.get(why, "")

    @property
    def _token_advice(self) -> str:
        if self.has_token:
            return f"renew the token in the environment variable {self.token_variable} (kubeflow.token_variable)"
        return f"set the environment variable {self.token_variable} to a bearer token (kubeflow.token_variable)"


def _names_what_is_gone(error: Any, said: str) -> bool:
    """Whether the server takes it for an error of its own that what a request names is not there."""
    return error.status == 500 and said.endswith("not found")


class ApiClient(kfp_server_api.ApiClient):
    """The generated client: every request has a timeout, every answer is JSON or an error."""

    def __init__(self, configuration: Any, read_seconds: float = READ_SECONDS) -> None:
        super().__init__(configuration)
        self._read_seconds = read_seconds

    def request(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["_request_timeout"] = kwargs.get("_request_timeout") or (CONNECT_SECONDS, self._read_seconds)
        return super().request(*args, **kwargs)

    def deserialize(self, response: Any, response_type: Any) -> Any:
        try:
            json.loads(response.data)
        except ValueError as error:
            what = response.getheader("content-type") or "no content type"
            raise NotJsonError(f"{what} instead of JSON") from error
        return super().deserialize(response, response_type)


def open_api_client(
    host: str,
    token: Callable[[], str] | None,
    ca_certificate: str | None,
    backoff_seconds: float | None,
    *repeatable: str,
    read_seconds: float = READ_SECONDS,
) -> ApiClient:
    """Returns a client of the server; nothing is sent yet.

    Args:
      host: URL of the server.
      token: Returns the bearer token, asked before each request since it may be renewed. None: no token.
      ca_certificate: File with the certificate authority of the server. None: the well-known ones.
      backoff_seconds: Pause before the second retry; it doubles with each further one. None: requests are sent once.
      *repeatable: Methods that may be sent again beside those that only read.
      read_seconds: Longest pause of an answer.

    Raises:
      ConfigError: The environment names a proxy that cannot be used.
    """
    configuration = kfp_server_api.Configuration(host=host.rstrip("/"))
    configuration.ssl_ca_cert = ca_certificate
    configuration.retries = False if backoff_seconds is None else patient_retry(backoff_seconds, *repeatable)
    use_proxy(configuration)
    if token is not None:
        current = token

        def renew(renewed: Any) -> None:
            renewed.api_key["authorization"] = current()

        configuration.api_key = {"authorization": ""}
        configuration.api_key_prefix = {"authorization": "Bearer"}
        configuration.refresh_api_key_hook = renew
    return ApiClient(configuration, read_seconds)


def pages(list_page: Callable[..., Any]) -> Iterator[Any]:
    """Yields all pages of a list, one after the other.

    Args:
      list_page: A method of the generated client, called with `page_size` and `page_token`.
    """
    token = ""
    while True:
        page = list_page(page_size=_PAGE_SIZE, page_token=token)
        yield page
        token = page.next_page_token
        if not token:
            return
