"""KServe's controller for contract tests: what becomes of an InferenceService after a number of looks at it.

Its status is that of the model before until then, and `observedGeneration` counts something else, as KServe's do. In
the mode `Standard` it answers as KServe 0.20.0 and the development after it were recorded (`recorded_kserve`);
Knative's part has met no cluster.
"""

import hashlib
import json
from typing import Any

from fake_kubernetes_api import FakeKubernetesApi

Object = dict[str, Any]

URL = "http://pets-models.example.com"


class FakeController:
    """Set as `on_service_read` of the server."""

    def __init__(self, api: FakeKubernetesApi, *, reads: int = 1, splits: bool = True) -> None:
        """Begins to look after InferenceServices.

        Args:
          api: The server.
          reads: How often a changed InferenceService is read before it is reconciled.
          splits: Whether canaries of the mode `Standard` get traffic, as from releases after 0.20.
        """
        self.api = api
        self.reads = reads
        self.splits = splits
        self.failure: Object | None = None
        """`transitionStatus` and `lastFailureInfo` of a model that cannot be served."""

        self.makes_pods = True
        self.makes_routes = True
        self._left = 0
        self._seen = 0
        self._model: Any = None
        self._revision = 0
        self._rolled_out = 0

    def __call__(self, service: Object) -> None:
        if service["metadata"]["generation"] != self._seen:
            self._seen, self._left = service["metadata"]["generation"], self.reads
        if self._left:
            self._left -= 1
            return
        self._reconcile(service)

    def _reconcile(self, service: Object) -> None:
        status = service.setdefault("status", {})
        is_standard = service["metadata"].get("annotations", {}).get("serving.kserve.io/deploymentMode") == "Standard"
        if service["spec"]["predictor"]["model"] != self._model:
            self._model = service["spec"]["predictor"]["model"]
            self._revision += 1
        if self.failure is not None:
            status["modelStatus"] = {"states": {"activeModelState": ""}, **self.failure}
            status["conditions"] = [_condition("Ready", "False"), _condition("PredictorReady", "False")]
            return
        if self.makes_pods:
            self.api.pods = self._pods(service)
        status |= {
            "url": URL,
            "observedGeneration": 1,
            "conditions": [_condition("PredictorReady", "True"), _condition("Ready", "True")],
            "modelStatus": {"transitionStatus": "UpToDate", "copies": {"failedCopies": 0, "totalCopies": 1}},
            "components": {"predictor": {} if is_standard else self._traffic(service)},
        }
        if not is_standard:
            return
        status["deploymentMode"] = "Standard"
        status["canaryStatuses"] = [
            {
                "modelStatus": {"transitionStatus": ""},
                "name": canary["predictor"]["name"],
                "ready": True,
                "trafficPercent": canary["trafficPercent"],
            }
            for canary in service["spec"].get("canary", [])
        ]
        if self.makes_routes:
            self.api.routes[service["metadata"]["name"]] = self._route(service)

    def _route(self, service: Object) -> Object:
        """Returns the HTTPRoute: the stable predictor's Service, and where it splits those of the canaries."""
        name, spec = service["metadata"]["name"], service["spec"]
        canaries = spec.get("canary", []) if self.splits else []
        rest = 100 - sum(canary["trafficPercent"] for canary in canaries) if canaries else 1
        weights = {_service_of(name, spec["predictor"]): rest}
        weights |= {_service_of(name, canary["predictor"]): canary["trafficPercent"] for canary in canaries}
        backends = [
            {"group": "", "kind": "Service", "name": of, "namespace": "models", "port": 80, "weight": weight}
            for of, weight in weights.items()
        ]
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": service["metadata"]["namespace"]},
            "spec": {"rules": [{"backendRefs": backends}]},
        }

    def _traffic(self, service: Object) -> Object:
        """Splits the traffic as KServe does: the rest of it stays with the last revision that had all."""
        percent = service["spec"]["predictor"].get("canaryTrafficPercent", 100)
        if not self._rolled_out or self._rolled_out == self._revision:
            percent = 100
        targets = [{"revisionName": self._name(self._revision), "latestRevision": True, "percent": percent}]
        if percent == 100:
            self._rolled_out = self._revision
        else:
            targets.append(
                {
                    "revisionName": self._name(self._rolled_out),
                    "latestRevision": False,
                    "percent": 100 - percent,
                    "tag": "prev",
                }
            )
        newest = self._name(self._revision)
        return {"latestCreatedRevision": newest, "latestReadyRevision": newest, "traffic": targets}

    def _pods(self, service: Object) -> list[Object]:
        predictors = [
            service["spec"]["predictor"],
            *(canary["predictor"] for canary in service["spec"].get("canary", [])),
        ]
        metadata = service["metadata"]
        made = []
        for predictor in predictors:
            described = [metadata.get("annotations"), metadata.get("labels"), predictor.get("annotations")]
            template = [*described, predictor["labels"], {**predictor["model"], "name": ""}]
            digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
            pod = make_pod(metadata["name"], predictor["labels"]["petseg/version"])
            pod["metadata"]["name"] = f"{_service_of(metadata['name'], predictor)}-{digest}"
            made.append(pod)
        return made

    def _name(self, revision: int) -> str:
        return f"pets-predictor-{revision:05d}"


def make_pod(service: str, version: str, *, ready: bool = True, **status: Any) -> Object:
    """Returns a pod of an InferenceService."""
    return {
        "metadata": {
            "name": f"{service}-predictor-{version}-x",
            "labels": {"serving.kserve.io/inferenceservice": service, "petseg/version": version},
        },
        "status": {
            "phase": "Running" if ready else "Pending",
            "conditions": [_condition("Ready", str(ready))],
            "containerStatuses": [],
            **status,
        },
    }


def _service_of(name: str, predictor: Object) -> str:
    return "-".join(filter(None, (name, predictor.get("name"), "predictor")))


def _condition(kind: str, status: str) -> Object:
    return {"type": kind, "status": status} | (
        {"reason": f"{kind}Missing", "message": "why"} if status != "True" else {}
    )
