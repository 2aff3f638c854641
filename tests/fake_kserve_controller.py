"""KServe's controller for contract tests: what becomes of an InferenceService after a number of looks at it.

Its status is that of the model before until then, and `observedGeneration` counts something else, as KServe's do.
"""

from typing import Any

from fake_kubernetes_api import FakeKubernetesApi

Object = dict[str, Any]

URL = "http://pets.models.example.com"


class FakeController:
    """Set as `on_service_read` of the server."""

    def __init__(self, api: FakeKubernetesApi, *, reads: int = 1) -> None:
        """Begins to look after InferenceServices.

        Args:
          api: The server.
          reads: How often a changed InferenceService is read before it is reconciled.
        """
        self.api = api
        self.reads = reads
        self.failure: Object | None = None
        """`transitionStatus` and `lastFailureInfo` of a model that cannot be served."""

        self.makes_pods = True
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
        if is_standard:
            status["canaryStatuses"] = [
                {"name": canary["predictor"]["name"], "ready": True, "trafficPercent": canary["trafficPercent"]}
                for canary in service["spec"].get("canary", [])
            ]

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
        name = service["metadata"]["name"]
        return [make_pod(name, predictor["labels"]["petseg/version"]) for predictor in predictors]

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


def _condition(kind: str, status: str) -> Object:
    return {"type": kind, "status": status} | (
        {"reason": f"{kind}Missing", "message": "why"} if status != "True" else {}
    )
