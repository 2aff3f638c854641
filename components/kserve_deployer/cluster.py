"""The cluster's API as far as a deployment needs it: one InferenceService, its pods, and what happened to them.

What is to be deployed, and where; travels through TFX as JSON.
"""

import os
from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict

from components.http_requests import (
    CONNECT_SECONDS,
    READ_SECONDS,
    ClusterError,
    NotJsonError,
    details_of,
    patient_retry,
    translated_errors,
    use_proxy,
)
from trainer_module.errors import ConfigError

IN_CLUSTER: Final = "in-cluster"
"""Stands for the service account of the pod in `kubeconfig`."""


class ClusterAccess(BaseModel):
    """How to reach the cluster, and the InferenceService in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kubeconfig: str | None = None
    """File of kubectl's settings, or `in-cluster`. None: in a pod its service account, else kubectl's own default."""

    context: str | None = None
    """Which of the file's contexts. None: its current one."""

    namespace: str
    name: str
    """Of the InferenceService."""

    force_conflicts: bool = False
    """Whether to take over fields that somebody else has set to another value."""

    timeout_seconds: int
    """Longest wait until the cluster has done what it was asked for."""


class DeployRequest(BaseModel):
    """One InferenceService without its model, and how a model gets its traffic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    access: ClusterAccess
    template: dict[str, Any]
    """The InferenceService without a storage URI and without a canary."""

    push_destination: str
    storage_uri: str | None
    """Where the cluster sees the push destination. None: under its own `gs://` URI."""

    canary_percent: int | None
    """Share of the traffic that a model gets until it is promoted. None: all of it at once."""

    code_digest: str = ""
    """Identifies the code that deploys, so that a change to it runs the component again."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls.model_validate_json(text)


FIELD_MANAGER: Final = "petseg"
SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
"""Label of KServe's on each pod: the name of its InferenceService."""

_SERVICES: Final = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
_PODS: Final = "/api/v1/namespaces/{namespace}/pods"
_EVENTS: Final = "/api/v1/namespaces/{namespace}/events"
_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML, too
_BACKOFF_SECONDS: Final = 1.0
_IN_POD_VARIABLE: Final = "KUBERNETES_SERVICE_HOST"

Object = dict[str, Any]
"""An object of Kubernetes, as the API sends it."""


class Cluster:
    """Reads and applies the InferenceService that an access names; every request has a timeout and bounded retries."""

    def __init__(self, access: ClusterAccess, *, backoff_seconds: float = _BACKOFF_SECONDS) -> None:
        """Reads the credentials; nothing is sent yet.

        Args:
          access: Which cluster, namespace and InferenceService.
          backoff_seconds: Pause before the second retry of a request; it doubles with each further one.

        Raises:
          ConfigError: There are no credentials, the context does not exist, or the proxy cannot be used.
        """
        from kubernetes import client

        configuration = _configuration(access)
        configuration.retries = patient_retry(backoff_seconds, "PATCH")
        use_proxy(configuration)
        self.access = access
        self._host = configuration.host
        self._client = client.ApiClient(configuration)

    def read(self) -> Object | None:
        """Returns the InferenceService; None when there is none.

        Raises:
          ClusterError: The cluster cannot be asked, or knows no InferenceServices.
        """
        from kubernetes.client import ApiException

        with translated_errors(f"read the InferenceService {self.access.name!r}", self._host, self.access.namespace):
            try:
                return self._call("GET", _SERVICES)
            except ApiException as error:
                if error.status == 404 and details_of(error).get("name") == self.access.name:
                    return None
                raise

    def apply(self, manifest: Object) -> Object:
        """Makes the InferenceService what the manifest says (server-side apply) and returns it.

        Fields that petseg applied before and that the manifest does not name any more are removed; fields of others
        stay. Fields that KServe does not know are an error, not ignored.

        Raises:
          ClusterError: The cluster refuses it, or somebody else has set a field to another value.
        """
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        if self.access.force_conflicts:
            query["force"] = "true"
        with translated_errors(f"apply the InferenceService {self.access.name!r}", self._host, self.access.namespace):
            return self._call("PATCH", _SERVICES, query, manifest)

    def pods(self) -> list[Object]:
        """Returns the pods of the InferenceService.

        Raises:
          ClusterError: They cannot be read.
        """
        with translated_errors(f"read the pods of {self.access.name!r}", self._host, self.access.namespace):
            return list(self._call("GET", _PODS, {"labelSelector": f"{SERVICE_LABEL}={self.access.name}"})["items"])

    def warnings(self, objects: set[str]) -> list[Object]:
        """Returns the warning events of the objects with these names, the oldest first; none where they are forbidden.

        Raises:
          ClusterError: The cluster cannot be asked.
        """
        try:
            with translated_errors(f"read the events of {self.access.name!r}", self._host, self.access.namespace):
                events = self._call("GET", _EVENTS, {"fieldSelector": "type=Warning"})["items"]
        except ClusterError as error:
            if error.status == 403:
                return []
            raise
        mine = [event for event in events if event["involvedObject"].get("name") in objects]
        return sorted(mine, key=lambda event: event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])

    def _call(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Object | None = None) -> Any:
        answer = self._client.call_api(
            path,
            method,
            path_params={"namespace": self.access.namespace, "name": self.access.name},
            query_params=list((query or {}).items()),
            header_params={"Accept": _JSON, "Content-Type": _APPLY if body else _JSON},
            body=body,
            auth_settings=["BearerToken"],
            response_type="object",
            _return_http_data_only=True,
            _request_timeout=(CONNECT_SECONDS, READ_SECONDS),
        )
        if not isinstance(answer, dict):  # the client passes on what it cannot read
            raise NotJsonError
        return answer


def is_in_cluster() -> bool:
    """Returns whether this process runs in a pod."""
    return _IN_POD_VARIABLE in os.environ


def _configuration(access: ClusterAccess) -> Any:
    """Returns the address and the credentials of the cluster, as the client of Kubernetes wants them."""
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        by_default = access.kubeconfig is None and access.context is None and is_in_cluster()
        if by_default or access.kubeconfig == IN_CLUSTER:
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(access.kubeconfig, access.context, configuration, persist_config=False)
    except config.ConfigException as error:
        raise ConfigError(
            f"no way to a cluster: {error}; push.kserve.kubeconfig is {access.kubeconfig!r}, push.kserve.context is "
            f"{access.context!r}"
        ) from None
    return configuration
