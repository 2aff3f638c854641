"""A Kubernetes API server with KServe for contract tests.

InferenceServices and ConfigMaps by server-side apply, routes, pods, the way to what they serve, logs, events.

with FakeKubernetesApi() as api:
    api.on_service_read = FakeController(api, reads=2)
    cluster = Cluster(ClusterAccess(kubeconfig=str(api.write_kubeconfig(directory)), …))

Objects are checked against KServe's schema; what it and its webhook refuse is refused in the words and with the
statuses of KServe 0.20.0 on Kubernetes 1.36 (`recorded_kserve`).
"""

import copy
import http.client
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import unquote

import jsonschema
import yaml
from fake_http_api import Answer, FakeApi, Request

SCHEMA = json.loads((FilePath(__file__).parent / "kserve_inference_service.schema.json").read_text(encoding="utf-8"))
GROUP = "serving.kserve.io"
CONTEXT = "test-cluster"
APPLIED_AT = "2026-01-01T00:00:00Z"

_SERVICE = rf"/apis/{GROUP}/v1beta1/namespaces/([^/]+)/inferenceservices/([^/]+)"
_CONFIG_MAP = r"/api/v1/namespaces/([^/]+)/(configmaps)/([^/]+)"
_ROUTE = r"/apis/gateway.networking.k8s.io/v1/namespaces/([^/]+)/(httproutes)/([^/]+)"
_LIST = r"/api/v1/namespaces/([^/]+)/(pods|events)"
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_PROXY = r"/api/v1/namespaces/([^/]+)/pods/([^/:]+):\d+/proxy(/.*)"
_LOG = r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/log"
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_MODE = "serving.kserve.io/deploymentMode"
_FIXED = {"maxReplicas", "scaleTarget", "scaleMetric", "autoScaling"}
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    422: "Invalid",
    500: "InternalError",
    503: "ServiceUnavailable",
}

Object = dict[str, Any]
FieldPath = tuple[str, ...]


class RefusalError(Exception):
    """The server refuses a request with Kubernetes' `Status`."""

    def __init__(self, code: int, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class FakeKubernetesApi(FakeApi):
    """The server."""

    def __init__(self, *, namespace: str = "models", **options: Any) -> None:
        """Starts the server with one namespace."""
        self.namespace = namespace
        self.is_kserve_installed = True
        self.forbidden: set[str] = set()
        """`verb resource` pairs that the account may not do, such as `list pods`."""

        self.services: dict[str, Object] = {}
        self.config_maps: dict[str, Object] = {}
        self.routes: dict[str, Object] = {}
        self.pods: list[Object] = []
        self.events: list[Object] = []
        self.ports: dict[str, int] = {}
        """By pod: where on this machine its program listens; nobody listens for one that is listed and has none."""

        self.logs: dict[str, str] = {}
        """By pod; one that is listed but has none has not started."""

        self.on_service_read: Callable[[Object], None] = lambda service: None
        """Called with an InferenceService each time before it is read, to move it on."""

        self._owners: dict[str, dict[str, set[FieldPath]]] = {}
        self._made = 0
        super().__init__(**options)

    def write_kubeconfig(self, directory: FilePath, authority: FilePath | None = None) -> FilePath:
        """Writes kubectl's settings for this server, which may trust a certificate authority."""
        trusted = {"certificate-authority": str(authority)} if authority else {}
        settings = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": self.host, **trusted}}],
            "users": [{"name": "me", "user": {"token": self.token or "x"}}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": "it", "user": "me"}}],
            "current-context": CONTEXT,
        }
        file = directory / "kubeconfig"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return file

    def delete(self, name: str) -> None:
        """Deletes an InferenceService; what it owns is left to the garbage collector, which is late."""
        del self.services[name], self._owners[name]

    def edit(self, name: str, path: str, value: Any, manager: str = "kubectl-edit") -> None:
        """Sets a field as somebody else."""
        keys = tuple(path.split("."))
        service = self.services[name]
        before = copy.deepcopy(service["spec"])
        _put(service, keys, value)
        for fields in self._owners[name].values():
            fields.discard(keys)
        self._owners[name].setdefault(manager, set()).add(keys)
        self._touch(name, before)

    def answer(self, request: Request) -> Answer:
        try:
            if found := re.fullmatch(_PROXY, request.path):
                return self._forward(found[1], found[2], found[3], request)
            with self._lock:
                return self._answer(request)
        except RefusalError as refusal:
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": str(refusal),
                "reason": _REASONS[refusal.code],
                "details": refusal.details,
                "code": refusal.code,
            }
            return Answer(json.dumps(status), refusal.code)

    def _answer(self, request: Request) -> Answer:
        if not self.is_authenticated(request):
            raise RefusalError(401, "Unauthorized")
        if request.path == _ACCESS_REVIEWS:
            return self._review(request)
        if found := re.fullmatch(_LIST, request.path):
            return self._list(unquote(found[1]), found[2], request.query)
        if found := re.fullmatch(_LOG, request.path):
            return self._log(unquote(found[1]), unquote(found[2]), request.query)
        if found := re.fullmatch(_CONFIG_MAP, request.path) or re.fullmatch(_ROUTE, request.path):
            return self._object(found[2], unquote(found[3]), unquote(found[1]), request)
        found = re.fullmatch(_SERVICE, request.path)
        if not found or not self.is_kserve_installed:
            return Answer("404 page not found\n", 404, "text/plain; charset=utf-8")
        namespace, name = unquote(found[1]), unquote(found[2])
        if request.method == "GET":
            self._check_right("get", "inferenceservices", namespace)
            if name not in self.services or namespace != self.namespace:
                raise _missing("inferenceservices", name)
            before = copy.deepcopy(self.services[name])
            self.on_service_read(self.services[name])
            if self.services[name] != before:
                self._count_version(name)
            return Answer(json.dumps(self.services[name]))
        self._check_right(request.method.lower(), "inferenceservices", namespace)
        return self._apply(namespace, name, request)

    def _review(self, request: Request) -> Answer:
        """Says whether the account may do something, as `kubectl auth can-i` asks it."""
        review = request.json
        attributes = review["spec"]["resourceAttributes"]
        is_allowed = f"{attributes['verb']} {attributes['resource']}" not in self.forbidden
        return Answer(json.dumps(review | {"status": {"allowed": is_allowed}}), 201)

    def _check_right(self, verb: str, resource: str, namespace: str) -> None:
        if f"{verb} {resource}" in self.forbidden:
            raise RefusalError(
                403, f'{resource} is forbidden: User "me" cannot {verb} resource "{resource}" in "{namespace}"'
            )

    def _object(self, resource: str, name: str, namespace: str, request: Request) -> Answer:
        """Reads or applies an object whose fields nobody shares."""
        self._check_right(request.method.lower(), resource, namespace)
        objects = {"configmaps": self.config_maps, "httproutes": self.routes}[resource]
        if request.method == "PATCH":
            objects[name] = yaml.safe_load(request.body)
        if name not in objects:
            raise RefusalError(404, f'{resource} "{name}" not found', name=name, kind=resource)
        return Answer(json.dumps(objects[name]))

    def _list(self, namespace: str, kind: str, query: dict[str, str]) -> Answer:
        self._check_right("list", kind, namespace)
        items = {"pods": self.pods, "events": self.events}[kind]
        for selector in filter(None, query.get("labelSelector", "").split(",")):
            key, _, value = selector.partition("=")
            items = [item for item in items if item["metadata"].get("labels", {}).get(key) == value]
        for selector in filter(None, query.get("fieldSelector", "").split(",")):
            path, _, value = selector.partition("=")
            items = [item for item in items if _get(item, tuple(path.split("."))) == value]
        return Answer(json.dumps({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}))

    def _forward(self, namespace: str, name: str, path: str, request: Request) -> Answer:
        """Passes a request on to the program of a pod, and refuses in the words of Kubernetes 1.36.3."""
        verb = {"GET": "get", "POST": "create"}[request.method]
        if f"{verb} pods/proxy" in self.forbidden:
            who = f'pods "{name}:8080" is forbidden: User "me" cannot {verb} resource "pods/proxy"'
            why = f'{who} in API group "" in the namespace "{namespace}"'
            raise RefusalError(403, why, name=f"{name}:8080", kind="pods")
        if name not in {pod["metadata"]["name"] for pod in self.pods}:
            raise RefusalError(404, f'pods "{name}" not found', name=name, kind="pods")
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.get(name, 1), timeout=60)
        try:
            connection.request(request.method, path, request.body, {"Content-Type": request.headers["content-type"]})
            answer = connection.getresponse()
            return Answer(answer.read().decode(), answer.status, answer.headers["Content-Type"])
        except OSError as error:
            raise RefusalError(503, f"error trying to reach service: {error}") from None
        finally:
            connection.close()

    def _log(self, namespace: str, name: str, query: dict[str, str]) -> Answer:
        self._check_right("get", "pods/log", namespace)
        if query.get("container") != "main":
            raise RefusalError(400, f"a container name must be specified for pod {name}, choose one of: [wait main]")
        if name not in {pod["metadata"]["name"] for pod in self.pods}:
            raise RefusalError(404, f'pods "{name}" not found', name=name, kind="pods")
        if name not in self.logs:
            raise RefusalError(400, f'container "main" in pod "{name}" is waiting to start: PodInitializing')
        return Answer(self.logs[name], content_type="text/plain")

    def _apply(self, namespace: str, name: str, request: Request) -> Answer:
        if request.headers["content-type"] != "application/apply-patch+yaml":
            raise RefusalError(400, f"unexpected content type {request.headers['content-type']}")
        manager, manifest = request.query["fieldManager"], yaml.safe_load(request.body)
        if namespace != self.namespace:
            raise _missing("namespaces", namespace)
        if request.query.get("fieldValidation") == "Strict":
            _check_schema(manifest)
        if manifest["metadata"].get("managedFields"):
            raise RefusalError(400, "metadata.managedFields must be nil")
        is_new = name not in self.services
        self._made += is_new
        live = self.services.get(name) or {
            "metadata": {"uid": f"u{self._made}", "generation": 0, "resourceVersion": "0"},
            "spec": {},
        }
        known = manifest["metadata"].pop("resourceVersion", None)
        if known is not None and not is_new and known != live["metadata"]["resourceVersion"]:
            what = (
                f'Operation cannot be fulfilled on inferenceservices.{GROUP} "{name}": the object has been modified; '
            )
            again = "please apply your changes to the latest version and try again"
            raise RefusalError(409, what + again, name=name, group=GROUP, kind="inferenceservices")
        merged, owners = copy.deepcopy(live), copy.deepcopy(self._owners.get(name, {}))
        _merge(merged, manifest, owners, manager, is_forced=request.query.get("force") == "true")
        _check_webhook(merged, None if is_new else live)
        before = live["spec"]
        self.services[name], self._owners[name] = merged, owners
        self._touch(name, before)
        return Answer(json.dumps(merged), 201 if is_new else 200)

    def _count_version(self, name: str) -> None:
        metadata = self.services[name]["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)

    def _touch(self, name: str, spec_before: Object) -> None:
        """Counts versions as the server does, and writes down who owns what."""
        service = self.services[name]
        metadata = service["metadata"]
        metadata["generation"] += service["spec"] != spec_before
        self._count_version(name)
        metadata["managedFields"] = [
            {
                "manager": manager,
                "operation": "Apply" if manager == "petseg" else "Update",
                "time": APPLIED_AT,
                "apiVersion": f"{GROUP}/v1beta1",
                "fieldsType": "FieldsV1",
                "fieldsV1": _fields_v1(paths),
            }
            for manager, paths in self._owners[name].items()
            if paths
        ]


def _missing(resource: str, name: str) -> RefusalError:
    full = f"{resource}.{GROUP}" if resource != "namespaces" else resource
    return RefusalError(404, f'{full} "{name}" not found', name=name, group=GROUP, kind=resource)


def _check_schema(manifest: Object) -> None:
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(manifest))
    if error is None:
        return
    what = "failed to create typed patch object (models/pets; serving.kserve.io/v1beta1, Kind=InferenceService)"
    if error.validator != "additionalProperties":
        raise RefusalError(500, f"{what}: {error.json_path}: {error.message}")
    unknown = min(set(error.instance) - set(error.schema["properties"]))
    raise RefusalError(500, f"{what}: {error.json_path.removeprefix('$')}.{unknown}: field not declared in schema")


def _check_webhook(service: Object, before: Object | None) -> None:
    """Refuses what KServe's admission webhook refuses.

    https://github.com/kserve/kserve/blob/v0.20.0/pkg/apis/serving/v1beta1/inference_service_validation.go.
    """

    def refuse(why: str) -> None:
        webhook = 'admission webhook "inferenceservice.kserve-webhook-server.validator"'
        raise RefusalError(403, f"{webhook} denied the request: {why}")

    metadata, spec = service["metadata"], service["spec"]
    mode = metadata.get("annotations", {}).get(_MODE)
    old_mode = before["metadata"].get("annotations", {}).get(_MODE) if before else mode
    if not _NAME.fullmatch(metadata["name"]):
        refuse(f'the InferenceService "{metadata["name"]}" is invalid')
    if old_mode != mode:
        refuse(f"update rejected: deploymentMode cannot be changed from '{old_mode}' to '{mode}'")
    canaries = [canary["predictor"] for canary in spec.get("canary") or []]
    if canaries and mode != "Standard":
        refuse("canary is only supported in Standard deployment mode")
    for number, canary in enumerate(canaries):
        if not canary.get("name"):
            refuse(f"canary[{number}] predictor.name is required")
        if canary["name"] == spec["predictor"].get("name"):
            refuse(f'canary predictor.name "{canary["name"]}" conflicts with stable predictor name')
        for field in _FIXED & set(canary):
            refuse(f'canary "{canary["name"]}" must not set {field} (canary uses fixed replicas)')
        if "name" not in canary["model"]:
            raise RefusalError(422, f"spec.canary[{number}].predictor.model.name: Required value")


def _merge(live: Object, manifest: Object, owners: dict[str, set[FieldPath]], manager: str, *, is_forced: bool) -> None:
    """Server-side apply: sets the fields of the manifest, and removes those that its manager left out."""
    applied = dict(_leaves(manifest))
    taken = {
        (other, path)
        for other, paths in owners.items()
        for path in paths
        if other != manager and path in applied and _get(live, path) != applied[path]
    }
    if taken and not is_forced:
        who = "; ".join(f'conflict with "{other}" using {GROUP}/v1beta1: .{".".join(path)}' for other, path in taken)
        raise RefusalError(409, f"Apply failed with {len(taken)} conflict{'s' * (len(taken) > 1)}: {who}")
    for other, path in taken:
        owners[other].discard(path)
    others = {path for other, paths in owners.items() if other != manager for path in paths}
    for path in owners.get(manager, set()) - set(applied) - others:
        _remove(live, path)
    for path, value in applied.items():
        _put(live, path, value)
    owners[manager] = {path for path in applied if path[:2] not in (("metadata", "name"), ("metadata", "namespace"))}
    owners[manager] -= {("apiVersion",), ("kind",)}


def _leaves(value: Object, path: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, (*path, key))
        else:
            yield (*path, key), inner


def _get(value: Any, path: FieldPath) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _put(value: Object, path: FieldPath, new: Any) -> None:
    for key in path[:-1]:
        value = value.setdefault(key, {})
    value[path[-1]] = copy.deepcopy(new)


def _remove(value: Object, path: FieldPath) -> None:
    if len(path) > 1:
        _remove(value[path[0]], path[1:])
        if value[path[0]]:
            return
    value.pop(path[0], None)


def _fields_v1(paths: set[FieldPath]) -> Object:
    tree: Object = {}
    for path in paths:
        _put(tree, tuple(f"f:{key}" for key in path), {})
    return tree
