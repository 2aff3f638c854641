"""What KServe says of an InferenceService, and what became of its pods."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from components.kserve_deployer.cluster import Object
from components.kserve_deployer.rollout_state import VERSION_LABEL

UP_TO_DATE: Final = "UpToDate"
FAILED_TRANSITIONS: Final = ("BlockedByFailedLoad", "InvalidSpec")


@dataclass(frozen=True)
class Condition:
    """One of KServe's findings."""

    type: str
    status: str
    reason: str
    message: str

    def __str__(self) -> str:
        why = ": ".join(filter(None, (self.reason, self.message)))
        return f"{self.type}={self.status}" + (f" ({why})" if why else "")


@dataclass(frozen=True)
class Share:
    """Where a part of the traffic goes."""

    target: str
    """A revision of Knative's, or the name of a canary."""

    percent: int
    is_newest: bool


@dataclass(frozen=True)
class Pod:
    """One pod."""

    name: str
    version: str
    """Of the model that it serves; empty for pods of another origin."""

    phase: str
    is_ready: bool
    restarts: int
    troubles: tuple[str, ...]
    """What its containers wait for or ended with, and why it cannot be scheduled."""


def conditions(service: Object) -> list[Condition]:
    """Returns the conditions, `Ready` first."""
    found = [
        Condition(each["type"], each["status"], each.get("reason", ""), each.get("message", ""))
        for each in _status(service).get("conditions") or []
    ]
    return sorted(found, key=lambda condition: (condition.type != "Ready", condition.type))


def is_ready(service: Object) -> bool:
    """Returns whether the condition `Ready` holds."""
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions(service))


def model_statuses(service: Object) -> list[Mapping[str, Any]]:
    """Returns KServe's `modelStatus` of the predictor, if it has one, and of each canary."""
    canaries = _status(service).get("canaryStatuses") or []
    found = [_status(service).get("modelStatus"), *(canary.get("modelStatus") for canary in canaries)]
    return [status for status in found if status]


def transition(service: Object) -> str:
    """Returns how far the endpoints reflect the specification: `UpToDate`, `InProgress`, …; empty when not yet said."""
    return str(_status(service).get("modelStatus", {}).get("transitionStatus", ""))


def failure(service: Object) -> str | None:
    """Returns why a model will not be served, if KServe has given up on it."""
    for status in model_statuses(service):
        if status.get("transitionStatus") in FAILED_TRANSITIONS:
            info = status.get("lastFailureInfo") or {}
            where = f" in {info['location']}" if info.get("location") else ""
            code = f" (exit code {info['exitCode']})" if info.get("exitCode") else ""
            told = ": ".join(filter(None, (info.get("reason"), " ".join(info.get("message", "").split()))))
            return f"{status['transitionStatus']}{where}{code}" + (f": {told}" if told else "")
    return None


def knative_traffic(service: Object) -> list[Share]:
    """Returns the shares of Knative's revisions; empty in the other mode, and until there are any."""
    targets = _predictor(service).get("traffic") or []
    return [
        Share(target.get("revisionName", ""), target["percent"], bool(target.get("latestRevision")))
        for target in targets
        if target.get("percent") is not None
    ]


def canary_shares(service: Object) -> dict[str, tuple[int, bool]]:
    """Returns percentage and readiness of each canary of the mode `Standard`, by its name."""
    canaries = _status(service).get("canaryStatuses") or []
    return {canary["name"]: (canary["trafficPercent"], canary["ready"]) for canary in canaries}


def newest_revision(service: Object) -> str | None:
    """Returns the newest of Knative's revisions; None in the other mode, and until there is one."""
    return _predictor(service).get("latestCreatedRevision")


def newest_revision_is_ready(service: Object) -> bool:
    """Returns whether Knative's newest revision is the newest that became ready; False where there is none."""
    newest = newest_revision(service)
    return newest is not None and newest == _predictor(service).get("latestReadyRevision")


def url(service: Object) -> str:
    """Returns where the model answers; empty until KServe says so."""
    return str(_status(service).get("url", ""))


def pod(manifest: Object) -> Pod:
    """Returns what is worth knowing of a pod."""
    status, labels = manifest.get("status", {}), manifest["metadata"].get("labels", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))
    return Pod(
        name=manifest["metadata"]["name"],
        version=labels.get(VERSION_LABEL, ""),
        phase=status.get("phase", "Unknown"),
        is_ready=ready,
        restarts=sum(container.get("restartCount", 0) for container in containers),
        troubles=tuple(_troubles(status, containers)),
    )


def _troubles(status: Mapping[str, Any], containers: list[Mapping[str, Any]]) -> Iterator[str]:
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"{condition.get('reason', 'not scheduled')}: {condition.get('message', '')}"
    for container in containers:
        state = container.get("state", {})
        for kind, ended in (("waiting", ""), ("terminated", " ended")):
            if kind in state and state[kind].get("exitCode") != 0:
                told = ": ".join(filter(None, (state[kind].get("reason"), state[kind].get("message"))))
                yield f"{container['name']}{ended}: {told}"
        last = container.get("lastState", {}).get("terminated", {})
        if last.get("exitCode"):
            told = ": ".join(filter(None, (last.get("reason"), " ".join(last.get("message", "").split()))))
            yield f"{container['name']} ended before with exit code {last['exitCode']}: {told}"


def _status(service: Object) -> Mapping[str, Any]:
    return service.get("status") or {}


def _predictor(service: Object) -> Mapping[str, Any]:
    return (_status(service).get("components") or {}).get("predictor") or {}
