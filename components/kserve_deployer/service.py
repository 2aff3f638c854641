"""An InferenceService: which models it names, and what KServe says of it.

The models are read from it, and written into it. KServe has two forms of a canary. On Knative the new model replaces
the old one in `spec.predictor`, with `canaryTrafficPercent`, and KServe itself remembers the revision that had all
traffic; to promote it the percentage is removed. In the mode `Standard`, from KServe 0.20 on, the new model is an entry
of `spec.canary`; to promote it the stable predictor takes its name and its model, and with them its pods. Here both are
one state (`RolloutState`), so that a rollout takes the same steps in both.

Which model was served before is not in it: KServe copies the annotations and labels of an InferenceService into the
template of its pods, and would replace all pods when they change. It is in a ConfigMap beside it (`History`).
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from components.kubernetes_api import Object
from trainer_module.errors import PetsegError

FIELD_MANAGER: Final = "petseg"
LABELS: Final = {"app.kubernetes.io/managed-by": "petseg"}

MODE_ANNOTATION: Final = "serving.kserve.io/deploymentMode"
STANDARD: Final = "Standard"
VERSION_LABEL: Final = "petseg/version"
"""Label of each pod: the version of the model that it serves."""

UP_TO_DATE: Final = "UpToDate"
FAILED_TRANSITIONS: Final = ("BlockedByFailedLoad", "InvalidSpec")

History = Mapping[str, str]
"""The storage URI of a model in `spec.predictor`, to that of the model which had all traffic before it."""

_STANDARD_MODES: Final = (STANDARD, "RawDeployment")
CANARY_NAMES: Final = ("blue", "green")
"""Of the canary's predictor in the mode `Standard`: the one that the stable predictor has not."""

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

    canary_name: str | None = None
    """In the mode `Standard`: the name of the canary's predictor."""

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


def version_of(storage_uri: str) -> str:
    """Returns the version of the model that a folder of the deployer's holds; the URI itself for any other folder.

    >>> version_of("pvc://petseg-serving/pets/.kserve/1764370000-only")
    '1764370000'
    """
    found = _VERSION.search(storage_uri)
    return found[1] if found else storage_uri


def with_canary(state: RolloutState, storage_uri: str, percent: int) -> RolloutState:
    """Returns the state in which a model is the canary; its predictor has a name that the stable one has not."""
    name = next(name for name in CANARY_NAMES if name != state.stable_name)
    return replace(state, canary=storage_uri, percent=percent, canary_name=name)


def is_standard(service: Mapping[str, Any]) -> bool:
    """Returns whether an InferenceService or a template is in the mode that has `spec.canary`."""
    chosen = service["metadata"].get("annotations", {}).get(MODE_ANNOTATION)
    return (chosen or _status(service).get("deploymentMode")) in _STANDARD_MODES


def read_state(service: Object, history: History) -> RolloutState:
    """Returns what an InferenceService names.

    Raises:
      PetsegError: It was not deployed by petseg, or names no model; or nothing says whose canary it has.
    """
    metadata, predictor = service["metadata"], service["spec"]["predictor"]
    uri = predictor.get("model", {}).get("storageUri")
    if uri is None or not _owned(service):
        raise PetsegError(
            f"the InferenceService {metadata['name']!r} was not deployed by petseg; delete it, or choose another "
            "push.kserve.name"
        )
    previous = history.get(uri)
    if is_standard(service):
        state = RolloutState(uri, previous=previous, stable_name=predictor.get("name"))
        for canary in service["spec"].get("canary") or []:
            model, name = canary["predictor"]["model"]["storageUri"], canary["predictor"]["name"]
            return replace(state, canary=model, percent=canary["trafficPercent"], canary_name=name)
        return state
    percent = predictor.get("canaryTrafficPercent")
    if percent is None:
        return RolloutState(uri, previous=previous)
    if previous is None:
        raise PetsegError(
            f"the InferenceService {metadata['name']!r} gives version {version_of(uri)} {percent} % of the traffic, "
            f"but the ConfigMap {history_name(metadata['name'])!r} does not say which model has the rest; end the "
            "canary by kubectl edit: remove spec.predictor.canaryTrafficPercent"
        )
    return RolloutState(previous, canary=uri, percent=percent)


def history_of(state: RolloutState, *, standard: bool) -> History:
    """Returns what is to be remembered of a state beside the InferenceService."""
    if standard or state.canary is None:
        return {state.stable: state.previous} if state.previous else {}
    return {state.canary: state.stable}


def history_name(service_name: str) -> str:
    """Returns the name of the ConfigMap that remembers the models before."""
    return f"{service_name}-rollout"


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
        return manifest
    predictor = manifest["spec"]["predictor"]
    if state.canary is not None:
        entry = {"name": state.canary_name, "model": {"name": _CONTAINER, **predictor["model"]}}
        _put_model(entry, state.canary)
        manifest["spec"]["canary"] = [{"trafficPercent": state.percent, "predictor": entry}]
    if state.stable_name is not None:
        predictor["name"] = state.stable_name
    _put_model(predictor, state.stable)
    return manifest


def template_of(service: Object) -> Object:
    """Returns what petseg applied of an InferenceService, without its models."""
    template: Object = _extract(service, _owned(service))
    metadata = service["metadata"]
    template |= {"apiVersion": service["apiVersion"], "kind": service["kind"]}
    template["metadata"] |= {"name": metadata["name"], "namespace": metadata["namespace"]}
    template["spec"].pop("canary", None)
    predictor = template["spec"]["predictor"]
    for field in ("canaryTrafficPercent", "name"):
        predictor.pop(field, None)
    return template


def applied_at(service: Object) -> str:
    """Returns when petseg last applied another InferenceService than before, by the cluster's clock."""
    return max(
        (entry["time"] for entry in service["metadata"].get("managedFields") or [] if _is_ours(entry)), default=""
    )


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


def canary_shares(service: Object) -> dict[str, tuple[int, bool]]:
    """Returns percentage and readiness of each canary of the mode `Standard`, by its name."""
    canaries = _status(service).get("canaryStatuses") or []
    return {canary["name"]: (canary["trafficPercent"], canary["ready"]) for canary in canaries}


def newest_revision(service: Object) -> str | None:
    """Returns the newest of Knative's revisions; None in the other mode, and until there is one."""
    return predictor_status(service).get("latestCreatedRevision")


def newest_revision_is_ready(service: Object) -> bool:
    """Returns whether Knative's newest revision is the newest that became ready; False where there is none."""
    newest = newest_revision(service)
    return newest is not None and newest == predictor_status(service).get("latestReadyRevision")


def predictor_status(service: Object) -> Mapping[str, Any]:
    """Returns what KServe says of the predictor; empty until it says anything."""
    return (_status(service).get("components") or {}).get("predictor") or {}


def url(service: Object) -> str:
    """Returns where the model answers; empty until KServe says so."""
    return str(_status(service).get("url", ""))


def _put_model(predictor: Object, storage_uri: str) -> None:
    predictor["model"] = {**predictor["model"], "storageUri": storage_uri}
    predictor["labels"] = {**predictor.get("labels", {}), VERSION_LABEL: version_of(storage_uri)}


def _owned(service: Object) -> Object:
    """Returns the fields that petseg has applied, as Kubernetes writes them (`FieldsV1`); empty when there are none."""
    for entry in service["metadata"].get("managedFields") or []:
        if _is_ours(entry):
            return dict(entry["fieldsV1"])
    return {}


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry["manager"] == FIELD_MANAGER and entry["operation"] == "Apply" and not entry.get("subresource")


def _extract(value: Any, fields: Mapping[str, Any]) -> Any:
    """Returns those parts of a value that the fields name; a list, and what has no further fields, as a whole."""
    names = {key[2:]: inner for key, inner in fields.items() if key.startswith("f:")}
    if not isinstance(value, dict) or not names:
        return copy.deepcopy(value)
    return {name: _extract(value[name], inner) for name, inner in names.items() if name in value}


def _status(service: Mapping[str, Any]) -> Mapping[str, Any]:
    return service.get("status") or {}
