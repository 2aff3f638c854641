"""Which version gets what share of the requests: what the cluster's own objects say, not what was asked of them.

On Knative the status of the predictor says it. In the mode `Standard` the HTTPRoute decides that KServe names after the
InferenceService. KServe 0.20 gives it one backend, whatever `spec.canary` asks for; later releases give it one with a
weight for each ready canary (https://github.com/kserve/kserve/pull/5912). Where there is none, an Ingress or the name
of a Service leads to the stable predictor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from components.kserve_deployer.service import RolloutState, is_standard, predictor_status, version_of
from components.kubernetes_api import Object

_ALL: Final = 100
_NOBODYS: Final = "?"


@dataclass(frozen=True)
class Share:
    """Where a part of the traffic goes."""

    version: str
    """Of the model; empty where the target is none of petseg's."""

    target: str
    """A revision of Knative's, or the Service of a predictor."""

    percent: int


def traffic(service: Object, state: RolloutState, route: Object | None) -> tuple[Share, ...]:
    """Returns the shares that are not zero, the newest version's first; empty until KServe says any.

    Args:
      service: The InferenceService.
      state: The models that it names.
      route: The HTTPRoute of its name; None where there is none.
    """
    shares = _routed(service, state, route) if is_standard(service) else _knative(service, state)
    newest = version_of(state.newest)
    return tuple(sorted((share for share in shares if share.percent), key=lambda share: share.version != newest))


def asked(state: RolloutState) -> dict[str, int]:
    """Returns the percentage that a state gives to each version, without zeros."""
    if state.canary is None:
        return {version_of(state.stable): _ALL}
    shares = {version_of(state.canary): state.percent, version_of(state.stable): _ALL - state.percent}
    return {version: percent for version, percent in shares.items() if percent}


def percentages(shares: Sequence[Share]) -> dict[str, int]:
    """Returns the percentage of each version; what goes to somebody else's target counts for version `?`."""
    found: dict[str, int] = {}
    for share in shares:
        name = share.version or _NOBODYS
        found[name] = found.get(name, 0) + share.percent
    return found


def describe(shares: Mapping[str, int]) -> str:
    """Returns which version gets what traffic, for people.

    >>> describe({"2": 20, "1": 80})
    'version 2 has 20 % of the traffic, version 1 80 %'
    """
    if not shares:
        return "nothing has traffic yet"
    [(first, percent), *others] = shares.items()
    if percent == _ALL:
        return f"version {first} has all traffic"
    return ", ".join([f"version {first} has {percent} % of the traffic", *(f"version {v} {p} %" for v, p in others)])


def _knative(service: Object, state: RolloutState) -> list[Share]:
    """Returns the shares of Knative's revisions: of the newest model, and of the one that it is to replace."""
    newest, before = version_of(state.newest), version_of((state.stable if state.canary else state.previous) or "")
    return [
        Share(newest if target.get("latestRevision") else before, target.get("revisionName", ""), target["percent"])
        for target in predictor_status(service).get("traffic") or []
        if target.get("percent") is not None
    ]


def _routed(service: Object, state: RolloutState, route: Object | None) -> list[Share]:
    name = service["metadata"]["name"]
    versions = {_service_of(name, state.stable_name): version_of(state.stable)}
    if state.canary is not None:
        versions[_service_of(name, state.canary_name)] = version_of(state.canary)
    if route is None:
        return [Share(version_of(state.stable), _service_of(name, state.stable_name), _ALL)]
    weights = _weights(route)
    total = sum(weights.values())
    return [
        Share(versions.get(target, ""), target, round(_ALL * weight / total))
        for target, weight in weights.items()
        if total
    ]


def _weights(route: Mapping[str, Any]) -> dict[str, int]:
    """Returns the weight of each Service in the last rule, which takes what no other takes; KServe makes all alike."""
    weights: dict[str, int] = {}
    for backend in route["spec"]["rules"][-1].get("backendRefs") or []:
        weights[backend["name"]] = weights.get(backend["name"], 0) + backend.get("weight", 1)
    return weights


def _service_of(name: str, predictor: str | None) -> str:
    """Returns the name of a predictor's Service.

    `PredictorServiceName` of https://github.com/kserve/kserve/blob/v0.20.0/pkg/constants/constants.go.
    """
    return "-".join(filter(None, (name, predictor, "predictor")))
