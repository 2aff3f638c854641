"""The pods of an InferenceService: which version each serves, and what keeps it from serving."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.kserve_deployer.service import VERSION_LABEL
from components.kubernetes_api import Object


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
