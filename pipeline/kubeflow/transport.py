"""What can go wrong between petseg and the Kubeflow Pipelines API, each in one sentence with what to do about it.

The generated client of the Kubeflow Pipelines API, with timeouts, bounded retries, and answers that are JSON.

Imported by the client when it connects, so that help and mistakes are answered without it. `kfp.Client` is not used: it
keeps settings of its own in the home directory, prints links, and waits half a minute for a server that is not there.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import kfp_server_api
import urllib3

from components.http_requests import (
    CONNECT_SECONDS,
    READ_SECONDS,
    TEMPORARY,
    NoAnswer,
    cause_of,
    innermost,
    no_way,
    patient_retry,
    server_message,
    use_proxy,
)
from trainer_module.errors import PetsegError

ApiException = kfp_server_api.ApiException
TransportError = urllib3.exceptions.HTTPError
models = kfp_server_api.models
services = kfp_server_api.api


class NotJsonError(Exception):
    """The server answered with something else than JSON, as the login page of a proxy does."""


class ApiClient(kfp_server_api.ApiClient):
    """The generated client: every request has a timeout, every answer is JSON or an error."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["_request_timeout"] = kwargs.get("_request_timeout") or (CONNECT_SECONDS, READ_SECONDS)
        return super().request(*args, **kwargs)

    def deserialize(self, response: Any, response_type: Any) -> Any:
        try:
            json.loads(response.data)
        except ValueError as error:
            raise NotJsonError(response.getheader("content-type") or "no content type") from error
        return super().deserialize(response, response_type)


def open_api_client(
    host: str, token: Callable[[], str] | None, ca_certificate: str | None, backoff_seconds: float
) -> ApiClient:
    """Returns a client of the server; nothing is sent yet.

    Args:
      host: URL of the server.
      token: Returns the bearer token, asked before each request since it may be renewed. None: no token.
      ca_certificate: File with the certificate authority of the server. None: the well-known ones.
      backoff_seconds: Pause before the second retry; it doubles with each further one.

    Raises:
      ConfigError: The environment names a proxy that cannot be used.
    """
    configuration = kfp_server_api.Configuration(host=host.rstrip("/"))
    configuration.ssl_ca_cert = ca_certificate
    configuration.retries = patient_retry(backoff_seconds)
    use_proxy(configuration)
    if token is not None:
        current = token

        def renew(renewed: Any) -> None:
            renewed.api_key["authorization"] = current()

        configuration.api_key = {"authorization": ""}
        configuration.api_key_prefix = {"authorization": "Bearer"}
        configuration.refresh_api_key_hook = renew
    return ApiClient(configuration)


PORT_FORWARD: Final = "kubectl port-forward -n kubeflow svc/ml-pipeline 8888:8888"


class KubeflowApiError(PetsegError):
    """A request to the API failed."""

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


@dataclass(frozen=True)
class Access:
    """Whom the client talks to, and as whom; never the token itself."""

    host: str
    namespace: str
    token_variable: str
    has_token: bool
    ca_certificate: str | None


@contextmanager
def translated_errors(what: str, access: Access) -> Iterator[None]:
    """Turns what the block's requests raise into errors that say what to do.

    Args:
      what: What the block does, as it reads after "cannot": `"create the run"`.
      access: Whom the requests go to.

    Raises:
      KubeflowApiError: A request failed.
    """
    try:
        yield
    except ApiException as error:
        raise _refusal(what, access, error) from None
    except (NotJsonError, UnicodeDecodeError) as error:
        answer = str(error) if isinstance(error, NotJsonError) else "no text"
        raise KubeflowApiError(
            f"cannot {what}: {access.host} answered with {answer} instead of JSON, as a login page does; check "
            f"kubeflow.host, {_token_advice(access)}, or reach the API directly: {PORT_FORWARD}"
        ) from None
    except TransportError as error:
        raise _no_answer(what, access, error) from None


def _refusal(what: str, access: Access, error: Any) -> KubeflowApiError:
    """Returns the error for an answer that is no success."""
    status, said = error.status, server_message(error.body)
    told = f": {said}" if said else ""
    where = f"{access.host} answered {status}"
    reason = {
        401: f"{where}, not authenticated{told}; {_token_advice(access)}",
        403: f"{where}, not allowed{told}; the account of the token needs the rights for the namespace "
        f"{access.namespace!r} (kubeflow.namespace); {_token_advice(access)}",
        404: said or f"{where}, not found; is kubeflow.host the API of Kubeflow Pipelines v2?",
        409: f"{where}, it exists already{told}",
        413: f"{where}, the package is too large{told}",
        429: f"{where}, too many requests{told}; try again later",
    }.get(status, f"{where}{told}")
    advice = "; try again later, and see the log of the server: kubectl logs -n kubeflow deploy/ml-pipeline"
    if status is not None and status >= 500:
        reason += advice
    return KubeflowApiError(f"cannot {what}: {reason}", status, is_temporary=status in TEMPORARY)


def _no_answer(what: str, access: Access, error: BaseException) -> KubeflowApiError:
    """Returns the error for a request that no server answered."""
    why, cause = cause_of(error)
    outcome = "; what was asked for may have happened all the same" if cause is error else ""
    given = f"is {access.ca_certificate!r}" if access.ca_certificate else "is not set"
    reason = {
        NoAnswer.PROXY: no_way(access.host, cause),
        NoAnswer.UNKNOWN_NAME: f"the name in {access.host} cannot be resolved; check kubeflow.host, or forward a port: "
        f"{PORT_FORWARD}",
        NoAnswer.UNTRUSTED: f"no trusted TLS connection to {access.host}: {cause}; kubeflow.ca_certificate, the file "
        f"with the authority that signed the server's certificate, {given}",
        NoAnswer.UNREACHABLE: f"{access.host} cannot be reached; set kubeflow.host, or forward a port to it: "
        f"{PORT_FORWARD}",
        NoAnswer.TOO_LATE: f"{access.host} did not answer in time{outcome}",
        NoAnswer.BROKEN_OFF: f"the connection to {access.host} broke off ({innermost(cause)}){outcome}",
    }[why]
    return KubeflowApiError(f"cannot {what}: {reason}", is_temporary=why is not NoAnswer.UNTRUSTED)


def _token_advice(access: Access) -> str:
    if access.has_token:
        return f"renew the token in the environment variable {access.token_variable} (kubeflow.token_variable)"
    return f"set the environment variable {access.token_variable} to a bearer token (kubeflow.token_variable)"
