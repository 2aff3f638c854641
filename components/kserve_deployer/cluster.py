"""The cluster: how it is reached, what is to be deployed there, and its API as far as a deployment needs it.

That is one InferenceService with its route, its pods, and what happened to them, and a ConfigMap of petseg's beside it.
"""

import json
import re
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from components.http_requests import READ_SECONDS, ApiError
from components.kserve_deployer.service import FIELD_MANAGER, LABELS, History, history_name
from components.kubernetes_api import (
    BACKOFF_SECONDS,
    EVENTS,
    PODS,
    Answer,
    KubernetesApi,
    KubernetesError,
    KubernetesServer,
    Object,
    details,
)
from trainer_module.errors import PetsegError

SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
"""Label of KServe's on each pod: the name of its InferenceService."""

_SERVICES: Final = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
_ROUTES: Final = "/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{name}"
_CONFIG_MAPS: Final = "/api/v1/namespaces/{namespace}/configmaps/{name}"
_ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_RIGHTS: Final = (
    ("get", "serving.kserve.io", "inferenceservices"),
    ("create", "serving.kserve.io", "inferenceservices"),
    ("patch", "serving.kserve.io", "inferenceservices"),
    ("get", "", "configmaps"),
    ("create", "", "configmaps"),
    ("patch", "", "configmaps"),
    ("list", "", "pods"),
)
"""What `kubeflow/manifests/kserve/deployer.yaml` gives: verb, group and kind of object."""

_HISTORY_KEY: Final = "model-before.json"
_SETTINGS: Final = "push.kserve"
_UNKNOWN_FIELD: Final = "field not declared in schema"
_MODIFIED: Final = "the object has been modified"
_POD_PROXY: Final = "pods/proxy"
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


class ChangedMeanwhileError(ClusterError):
    """The InferenceService is another than the one that a change was made for; nothing was changed."""


class Cluster:
    """Reads and applies the InferenceService that an access names; every request has a timeout and bounded retries."""

    def __init__(
        self,
        access: ClusterAccess,
        *,
        backoff_seconds: float | None = BACKOFF_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Reads the credentials; nothing is sent yet.

        Args:
          access: Which cluster, namespace and InferenceService.
          backoff_seconds: Pause before the second retry of a request; it doubles with each further one. None: each
            is sent once.
          read_seconds: Longest pause of an answer.

        Raises:
          ConfigError: There are no credentials, the context does not exist, or the proxy cannot be used.
        """
        self.access = access
        self._api = KubernetesApi(
            access.kubeconfig, access.context, access.namespace, _Server, _SETTINGS, backoff_seconds, read_seconds
        )

    def read(self) -> Object | None:
        """Returns the InferenceService; None when there is none.

        Raises:
          ClusterError: The cluster cannot be asked, or knows no InferenceServices.
        """
        return self._find(_SERVICES, self.access.name, "read the InferenceService {}")

    def apply(self, manifest: Object) -> Object:
        """Makes the InferenceService what the manifest says (server-side apply) and returns it.

        Fields that petseg applied before and that the manifest does not name any more are removed; fields of others
        stay. Fields that KServe does not know are an error, not ignored. Where the manifest has a `resourceVersion`,
        nothing is applied to a later one.

        Raises:
          ChangedMeanwhileError: There is a later one.
          ClusterError: The cluster refuses it, or somebody else has set a field to another value.
        """
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        if self.access.force_conflicts:
            query["force"] = "true"
        try:
            with self._translated_errors("apply the InferenceService {}"):
                return self._api.call("PATCH", _SERVICES, query, manifest, name=self.access.name)
        except ClusterError as error:
            if error.status == 409 and _MODIFIED in str(error):
                raise ChangedMeanwhileError(str(error), error.status) from None
            raise

    def route(self) -> Object | None:
        """Returns the HTTPRoute that KServe made for the InferenceService; None when there is none.

        Raises:
          ClusterError: The cluster cannot be asked, or the account may not know.
        """
        return self._find(_ROUTES, self.access.name, "read the HTTPRoute {}", may_be_unknown=True)

    def history(self, owner: str | None) -> History:
        """Returns what is remembered of the models that an InferenceService had before.

        Args:
          owner: The `uid` of the InferenceService; None when there is none, which had no models.

        Raises:
          ClusterError: The cluster cannot be asked, or the account may not know.
          PetsegError: The ConfigMap has something else in it.
        """
        name = history_name(self.access.name)
        config_map = self._find(_CONFIG_MAPS, name, "read what was served by {} before")
        if config_map is None or owner not in _owners(config_map):
            return {}
        try:
            return TypeAdapter(dict[str, str]).validate_json(config_map.get("data", {})[_HISTORY_KEY])
        except (KeyError, ValidationError):
            raise PetsegError(
                f"the ConfigMap {name!r} in the namespace {self.access.namespace!r} does not say by {_HISTORY_KEY} "
                "which model was served before which; delete it, and petseg kserve rollback has nothing to go back to "
                "until the next deployment"
            ) from None

    def remember(self, history: History, service: Object) -> None:
        """Keeps what is to be remembered in a ConfigMap, which goes when the InferenceService does.

        Raises:
          ClusterError: The cluster refuses it.
        """
        name, owner = history_name(self.access.name), service["metadata"]
        of = {"apiVersion": service["apiVersion"], "kind": service["kind"], "name": owner["name"], "uid": owner["uid"]}
        manifest: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": dict(LABELS), "ownerReferences": [of]},
            "data": {_HISTORY_KEY: json.dumps(history, indent=2)},
        }
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        with self._translated_errors("remember what was served by {} before"):
            self._api.call("PATCH", _CONFIG_MAPS, query, manifest, name=name)

    def pods(self) -> list[Object]:
        """Returns the pods of the InferenceService.

        Raises:
          ClusterError: They cannot be read.
        """
        with self._translated_errors("read the pods of {}"):
            return list(self._api.call("GET", PODS, {"labelSelector": f"{SERVICE_LABEL}={self.access.name}"})["items"])

    def refused_rights(self) -> list[str]:
        """Returns what a deployment does and the account may not do, as `patch inferenceservices`.

        Raises:
          ClusterError: The cluster cannot be asked.
        """
        names = {"inferenceservices": self.access.name, "configmaps": history_name(self.access.name)}
        refused = []
        for verb, group, resource in _RIGHTS:
            attributes = {"verb": verb, "group": group, "resource": resource, "namespace": self.access.namespace}
            review: Object = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes | {"name": names.get(resource, "")}},
            }
            with self._translated_errors("ask for the rights to deploy {}"):
                answer = self._api.call("POST", _ACCESS_REVIEWS, body=review)
            if not answer["status"]["allowed"]:
                refused.append(f"{verb} {resource}")
        return refused

    def ask_pod(self, pod: str, port: int, path: str, body: Object | None, timeout_seconds: float) -> Answer:
        """Returns what a pod answers to an HTTP request that the API server passes on, whatever its status.

        Args:
          pod: Its name.
          port: Where it listens.
          path: Begins with a slash.
          body: JSON to POST. None: GET.
          timeout_seconds: Longest wait for it, after which the answer is 504.

        Raises:
          ClusterError: The cluster cannot be asked, or the account may not ask its pods.
        """
        with self._translated_errors("ask the pods of {}"):
            return self._api.forward(pod, port, path, body, timeout_seconds)

    def warnings(self, objects: set[str], *, since: str) -> list[Object]:
        """Returns the warning events of the objects with these names, the oldest first; none where they are forbidden.

        Args:
          objects: The names.
          since: The cluster's time, as in `2026-11-29T04:33:47Z`; earlier events are left out.

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
        mine = [event for event in events if event["involvedObject"].get("name") in objects and _time(event) >= since]
        return sorted(mine, key=_time)

    def _find(self, path: str, name: str, what: str, *, may_be_unknown: bool = False) -> Object | None:
        """Returns an object; None when there is none, or, where that may be, the cluster does not know its kind."""
        from kubernetes.client import ApiException

        with self._translated_errors(what):
            try:
                return self._api.call("GET", path, name=name)
            except ApiException as error:
                if error.status == 404 and (may_be_unknown or details(error).get("name") == name):
                    return None
                raise

    def _translated_errors(self, what: str) -> AbstractContextManager[None]:
        return self._api.translated_errors(what.format(repr(self.access.name)))


class _Server(KubernetesServer):
    """The API of a cluster, as a deployment in one namespace sees it."""

    error: ClassVar[type[ApiError]] = ClusterError

    def is_temporary(self, error: Any, said: str) -> bool:
        return super().is_temporary(error, said) and _UNKNOWN_FIELD not in said

    def own_reason(self, error: Any, said: str) -> str | None:
        if _UNKNOWN_FIELD in said:
            return f"{said}; this KServe does not know what petseg sets: canaries in the mode Standard need KServe 0.20"
        if _MODIFIED in said:
            return f"somebody else has changed it at the same moment: {said}"
        told = f": {said}" if said else ""
        others = ", ".join(dict.fromkeys(_CONFLICT.findall(said)))
        own = {
            403: f"{self.host} answered 403, not allowed{told}; the account needs the rights of "
            f"kubeflow/manifests/{_manifest(said)} in the namespace {self.namespace!r}",
            404: "the cluster knows no InferenceServices (serving.kserve.io/v1beta1): is KServe installed? "
            "`kubectl get crd inferenceservices.serving.kserve.io` tells",
            409: f"{others or 'somebody else'} has set fields that petseg sets, to other values: {said}; undo that "
            "change, or take the fields over with --set push.kserve.force_conflicts=true",
        }
        return own.get(error.status) if details(error).get("kind") != "namespaces" else None


def _manifest(said: str) -> str:
    """Returns where the Role is that has the right which an answer says is missing."""
    return "kserve_watch/watcher.yaml" if _POD_PROXY in said else "kserve/deployer.yaml"


def _time(event: Object) -> str:
    return str(event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])


def _owners(item: Object) -> set[str]:
    return {owner["uid"] for owner in item["metadata"].get("ownerReferences") or ()}
