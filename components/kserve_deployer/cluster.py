"""The cluster: how it is reached, what is to be deployed there, and its API as far as a deployment needs it.

That is one InferenceService, its pods, and what happened to them. The client of `kubernetes` is imported when a cluster
is asked: settings of deployments are read, and travel through TFX as JSON, where none is at hand. Its dynamic client
would not do: it cannot ask for strict validation of fields (`fieldValidation`), and reads the whole API into a file of
the temporary directory before the first request.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict

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
from trainer_module.errors import ConfigError

IN_CLUSTER: Final = "in-cluster"
"""Stands for the service account of the pod in `kubeconfig`."""

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
_CONFLICT: Final = re.compile(r'conflicts? with "?([^":]+)"?')

Object = dict[str, Any]
"""An object of Kubernetes, as the API sends it."""


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


class ClusterError(ApiError):
    """A request to the cluster failed."""


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
        self._server = _Server(configuration.host, access.namespace)
        self._client = client.ApiClient(configuration)

    def read(self) -> Object | None:
        """Returns the InferenceService; None when there is none.

        Raises:
          ClusterError: The cluster cannot be asked, or knows no InferenceServices.
        """
        from kubernetes.client import ApiException

        with self._translated_errors("read the InferenceService {}"):
            try:
                return self._call("GET", _SERVICES)
            except ApiException as error:
                if error.status == 404 and _details(error).get("name") == self.access.name:
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
        with self._translated_errors("apply the InferenceService {}"):
            return self._call("PATCH", _SERVICES, query, manifest)

    def pods(self) -> list[Object]:
        """Returns the pods of the InferenceService.

        Raises:
          ClusterError: They cannot be read.
        """
        with self._translated_errors("read the pods of {}"):
            return list(self._call("GET", _PODS, {"labelSelector": f"{SERVICE_LABEL}={self.access.name}"})["items"])

    def warnings(self, objects: set[str]) -> list[Object]:
        """Returns the warning events of the objects with these names, the oldest first; none where they are forbidden.

        Raises:
          ClusterError: The cluster cannot be asked.
        """
        try:
            with self._translated_errors("read the events of {}"):
                events = self._call("GET", _EVENTS, {"fieldSelector": "type=Warning"})["items"]
        except ClusterError as error:
            if error.status == 403:
                return []
            raise
        mine = [event for event in events if event["involvedObject"].get("name") in objects]
        return sorted(mine, key=lambda event: event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])

    def _translated_errors(self, what: str) -> AbstractContextManager[None]:
        return self._server.translated_errors(what.format(repr(self.access.name)))

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
            raise NotJsonError("something else than JSON")
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


class _Server(ApiServer):
    """The API of a cluster, as a deployment in one namespace sees it."""

    error: ClassVar[type[ApiError]] = ClusterError

    def __init__(self, host: str, namespace: str) -> None:
        self.host = host
        self._namespace = namespace

    @property
    def refusal(self) -> type[Exception]:
        from kubernetes.client import ApiException

        return ApiException

    @property
    def not_json_advice(self) -> str:
        return "check the cluster's address in the kubeconfig"

    def no_answer_advice(self, why: NoAnswer, *, is_open: bool) -> str:
        return "; check push.kserve.kubeconfig and push.kserve.context: `kubectl cluster-info` with them tells"

    def reason(self, error: Any, said: str) -> str | None:
        status, told = error.status, f": {said}" if said else ""
        where = f"{self.host} answered {status}"
        if status >= 500:
            return f"{where}{told}; try again later"
        if status == 404 and _details(error).get("kind") == "namespaces":
            return f"there is no namespace {self._namespace!r} (push.kserve.namespace)"
        others = ", ".join(dict.fromkeys(_CONFLICT.findall(said)))
        return {
            401: f"{where}, not authenticated{told}; renew the login of the kubeconfig's user",
            403: f"{where}, not allowed{told}; the account needs the rights of "
            f"kubeflow/manifests/kserve/deployer.yaml in the namespace {self._namespace!r}",
            404: "the cluster knows no InferenceServices (serving.kserve.io/v1beta1): is KServe installed? "
            "`kubectl get crd inferenceservices.serving.kserve.io` tells",
            409: f"{others or 'somebody else'} has set fields that petseg sets, to other values: {said}; undo that "
            "change, or take the fields over with --set push.kserve.force_conflicts=true",
        }.get(status)


def _details(error: Any) -> dict[str, Any]:
    """Returns the details of Kubernetes' `Status` in an answer that is no success; empty where it sent none."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return {}
    return dict(status.get("details") or {}) if isinstance(status, dict) else {}
