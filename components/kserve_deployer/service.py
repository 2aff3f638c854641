"""An InferenceService: which models it serves, with what share of the traffic, and what KServe says of it and its pods.

The models are read from it, and written into it. KServe has two forms of a canary. On Knative the new model replaces
the old one in `spec.predictor`, with `canaryTrafficPercent`, and KServe itself remembers the revision that had all
traffic; to promote it the percentage is removed. In the mode `Standard`, from KServe 0.20 on, the new model is an entry
of `spec.canary`; to promote it the stable predictor takes its name and its model. Here both are one state
(`RolloutState`), so that a rollout takes the same steps in both.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from components.kserve_deployer.cluster import FIELD_MANAGER
from components.kubernetes_api import Object
from trainer_module.errors import PetsegError

MODE_ANNOTATION: Final = "serving.kserve.io/deploymentMode"
STANDARD: Final = "Standard"
VERSION_LABEL: Final = "petseg/version"
"""Label of each pod: the version of the model that it serves."""

UP_TO_DATE: Final = "UpToDate"
FAILED_TRANSITIONS: Final = ("BlockedByFailedLoad", "InvalidSpec")

_PREVIOUS_ANNOTATION: Final = "petseg/previous-storage-uri"
_CONTAINER: Final = "kserve-container"
_VERSION: Final = re.compile(r"/(\d+)-only$")


@dataclass(frozen=True)
class RolloutState:
    """The models that an InferenceService names, by storage URI."""

    stable: str
    """Has all traffic that the canary does not get."""

    canary: str | None = None
    percent: int = 0
    """Of the traffic, to the canary."""

    previous: str | None = None
    """Had all traffic before `stable`, or was rolled back in its favour."""

    stable_name: str | None = None
    """In the mode `Standard`: the name of the stable predictor, once a canary was promoted."""

    @property
    def newest(self) -> str:
        return self.canary or self.stable

    @property
    def rolled_back(self) -> str | None:
        """The model that an older one was put in the place of; None when there is none."""
        old, new = version_of(self.stable), version_of(self.previous or "")
        return self.previous if old.isdecimal() and new.isdecimal() and int(new) > int(old) else None


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


def version_of(storage_uri: str) -> str:
    """Returns the version of the model that a folder of the deployer's holds; the URI itself for any other folder.

    >>> version_of("pvc://petseg-serving/pets/.kserve/1764370000-only")
    '1764370000'
    """
    found = _VERSION.search(storage_uri)
    return found[1] if found else storage_uri


def canary_name(storage_uri: str) -> str:
    """Returns the name of a canary's predictor in the mode `Standard`."""
    return f"v{version_of(storage_uri)}"


def is_standard(service: Mapping[str, Any]) -> bool:
    """Returns whether an InferenceService or a template is in the mode that has `spec.canary`."""
    return service["metadata"].get("annotations", {}).get(MODE_ANNOTATION) == STANDARD


def read_state(service: Object) -> RolloutState:
    """Returns what an InferenceService names.

    Raises:
      PetsegError: It was not deployed by petseg, or names no model.
    """
    metadata, predictor = service["metadata"], service["spec"]["predictor"]
    uri = predictor.get("model", {}).get("storageUri")
    if uri is None or not _owned(service):
        raise PetsegError(
            f"the InferenceService {metadata['name']!r} was not deployed by petseg; delete it, or choose another "
            "push.kserve.name"
        )
    previous = metadata.get("annotations", {}).get(_PREVIOUS_ANNOTATION)
    if is_standard(service):
        canaries = service["spec"].get("canary") or []
        canary = canaries[0]["predictor"]["model"]["storageUri"] if canaries else None
        percent = canaries[0]["trafficPercent"] if canaries else 0
        return RolloutState(uri, canary, percent, previous, predictor.get("name"))
    percent = predictor.get("canaryTrafficPercent")
    if percent is None or previous is None:
        return RolloutState(uri, previous=previous)
    return RolloutState(previous, canary=uri, percent=percent)


def render(template: Object, state: RolloutState) -> Object:
    """Returns the InferenceService that serves the models of a state.

    Args:
      template: The InferenceService without models.
      state: The models.
    """
    manifest = copy.deepcopy(template)
    if not is_standard(manifest):
        _put_model(manifest["spec"]["predictor"], state.newest)
        if state.canary is not None:
            manifest["spec"]["predictor"]["canaryTrafficPercent"] = state.percent
        return _with_previous(manifest, state.stable if state.canary else state.previous)
    predictor = manifest["spec"]["predictor"]
    if state.canary is not None:
        entry = {"name": canary_name(state.canary), "model": {"name": _CONTAINER, **predictor["model"]}}
        _put_model(entry, state.canary)
        manifest["spec"]["canary"] = [{"trafficPercent": state.percent, "predictor": entry}]
    if state.stable_name is not None:
        predictor["name"] = state.stable_name
    _put_model(predictor, state.stable)
    return _with_previous(manifest, state.previous)


def template_of(service: Object) -> Object:
    """Returns what petseg applied of an InferenceService, without its models."""
    template: Object = _extract(service, _owned(service))
    metadata = service["metadata"]
    template |= {"apiVersion": service["apiVersion"], "kind": service["kind"]}
    template["metadata"] |= {"name": metadata["name"], "namespace": metadata["namespace"]}
    template["metadata"].get("annotations", {}).pop(_PREVIOUS_ANNOTATION, None)
    template["spec"].pop("canary", None)
    predictor = template["spec"]["predictor"]
    for field in ("canaryTrafficPercent", "name"):
        predictor.pop(field, None)
    return template


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


def _put_model(predictor: Object, storage_uri: str) -> None:
    predictor["model"] = {**predictor["model"], "storageUri": storage_uri}
    predictor["labels"] = {**predictor.get("labels", {}), VERSION_LABEL: version_of(storage_uri)}


def _with_previous(manifest: Object, previous: str | None) -> Object:
    if previous is not None:
        manifest["metadata"].setdefault("annotations", {})[_PREVIOUS_ANNOTATION] = previous
    return manifest


def _owned(service: Object) -> Object:
    """Returns the fields that petseg has applied, as Kubernetes writes them (`FieldsV1`); empty when there are none."""
    for entry in service["metadata"].get("managedFields") or []:
        if entry["manager"] == FIELD_MANAGER and entry["operation"] == "Apply" and not entry.get("subresource"):
            return dict(entry["fieldsV1"])
    return {}


def _extract(value: Any, fields: Mapping[str, Any]) -> Any:
    """Returns those parts of a value that the fields name; a list, and what has no further fields, as a whole."""
    names = {key[2:]: inner for key, inner in fields.items() if key.startswith("f:")}
    if not isinstance(value, dict) or not names:
        return copy.deepcopy(value)
    return {name: _extract(value[name], inner) for name, inner in names.items() if name in value}


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
