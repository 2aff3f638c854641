"""The cluster: how it is reached, what is to be deployed there, and its API as far as a deployment needs it.

That is one InferenceService, its pods, and what happened to them.
"""

import re
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict

from components.http_requests import ApiError
from components.kubernetes_api import (
    BACKOFF_SECONDS,
    EVENTS,
    PODS,
    KubernetesApi,
    KubernetesError,
    KubernetesServer,
    Object,
    details,
)

FIELD_MANAGER: Final = "petseg"
SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
"""Label of KServe's on each pod: the name of its InferenceService."""

_SERVICES: Final = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
_SETTINGS: Final = "push.kserve"
_CONFLICT: Final = re.compile(r'conflicts? with "?([^":]+)"?')


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


class ClusterError(KubernetesError):
    """A request to the cluster failed."""


class Cluster:
    """Reads and applies the InferenceService that an access names; every request has a timeout and bounded retries."""

    def __init__(self, access: ClusterAccess, *, backoff_seconds: float = BACKOFF_SECONDS) -> None:
        """Reads the credentials; nothing is sent yet.

        Args:
          access: Which cluster, namespace and InferenceService.
          backoff_seconds: Pause before the second retry of a request; it doubles with each further one.

        Raises:
          ConfigError: There are no credentials, the context does not exist, or the proxy cannot be used.
        """
        self.access = access
        self._api = KubernetesApi(
            access.kubeconfig, access.context, access.namespace, _Server, _SETTINGS, backoff_seconds
        )

    def read(self) -> Object | None:
        """Returns the InferenceService; None when there is none.

        Raises:
          ClusterError: The cluster cannot be asked, or knows no InferenceServices.
        """
        from kubernetes.client import ApiException

        with self._translated_errors("read the InferenceService {}"):
            try:
                return self._api.call("GET", _SERVICES, name=self.access.name)
            except ApiException as error:
                if error.status == 404 and details(error).get("name") == self.access.name:
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
            return self._api.call("PATCH", _SERVICES, query, manifest, name=self.access.name)

    def pods(self) -> list[Object]:
        """Returns the pods of the InferenceService.

        Raises:
          ClusterError: They cannot be read.
        """
        with self._translated_errors("read the pods of {}"):
            return list(self._api.call("GET", PODS, {"labelSelector": f"{SERVICE_LABEL}={self.access.name}"})["items"])

    def warnings(self, objects: set[str]) -> list[Object]:
        """Returns the warning events of the objects with these names, the oldest first; none where they are forbidden.

        Raises:
          ClusterError: The cluster cannot be asked.
        """
        try:
            with self._translated_errors("read the events of {}"):
                events = self._api.call("GET", EVENTS, {"fieldSelector": "type=Warning"})["items"]
        except ClusterError as error:
            if error.status == 403:
                return []
            raise
        mine = [event for event in events if event["involvedObject"].get("name") in objects]
        return sorted(mine, key=lambda event: event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])

    def _translated_errors(self, what: str) -> AbstractContextManager[None]:
        return self._api.translated_errors(what.format(repr(self.access.name)))


class _Server(KubernetesServer):
    """The API of a cluster, as a deployment in one namespace sees it."""

    error: ClassVar[type[ApiError]] = ClusterError

    def reason(self, error: Any, said: str) -> str | None:
        told = f": {said}" if said else ""
        others = ", ".join(dict.fromkeys(_CONFLICT.findall(said)))
        own = {
            403: f"{self.host} answered 403, not allowed{told}; the account needs the rights of "
            f"kubeflow/manifests/kserve/deployer.yaml in the namespace {self.namespace!r}",
            404: "the cluster knows no InferenceServices (serving.kserve.io/v1beta1): is KServe installed? "
            "`kubectl get crd inferenceservices.serving.kserve.io` tells",
            409: f"{others or 'somebody else'} has set fields that petseg sets, to other values: {said}; undo that "
            "change, or take the fields over with --set push.kserve.force_conflicts=true",
        }
        is_own = error.status in own and details(error).get("kind") != "namespaces"
        return own[error.status] if is_own else super().reason(error, said)
