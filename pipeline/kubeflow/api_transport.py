"""The generated client of the Kubeflow Pipelines API, with timeouts, bounded retries, and answers that are JSON.

Imported by the client when it connects, so that help and mistakes are answered without it. `kfp.Client` is not used: it
keeps settings of its own in the home directory, prints links, and waits half a minute for a server that is not there.
"""

import json
from collections.abc import Callable
from typing import Any

import kfp_server_api
import urllib3

from components.http_requests import CONNECT_SECONDS, READ_SECONDS, patient_retry, use_proxy

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
