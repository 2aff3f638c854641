"""Deploys, promotes and rolls back: each reads what is served, applies what is to be served, and waits for it.

What does not come to be served is taken back: the InferenceService is then what it was before.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from components.kserve_deployer.cluster import ChangedMeanwhileError, Cluster, ClusterError
from components.kserve_deployer.readiness import Expectation, NotServedError, wait_until_served
from components.kserve_deployer.service import (
    FIELD_MANAGER,
    History,
    RolloutState,
    history_of,
    is_standard,
    newest_revision,
    read_state,
    render,
    template_of,
    url,
    version_of,
    with_canary,
)
from components.kserve_deployer.traffic import Share, asked, describe, percentages, traffic
from components.kubernetes_api import Object
from trainer_module.errors import PetsegError

_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 0.2
"""Before a change is made again, for what is there meanwhile; each further pause is longer by as much."""


class CanaryGoneError(PetsegError):
    """The canary that was to be promoted or rolled back is none any more; nothing was changed."""


@dataclass(frozen=True)
class Deployment:
    """An InferenceService of petseg's, as it is."""

    service: Object
    history: History
    state: RolloutState
    traffic: tuple[Share, ...]

    @property
    def described(self) -> str:
        """Which version has what traffic, for people."""
        return describe(percentages(self.traffic))

    def has_canary(self, storage_uri: str) -> bool:
        """Returns whether a model is the canary, and has not been rolled back."""
        return self.state.canary == storage_uri and self.state.percent > 0


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    summary: str
    """One line: which version has what traffic, where."""

    state: RolloutState
    traffic: Mapping[str, int]
    """Percentage of each version that has any."""

    url: str
    changed: bool
    """Whether the InferenceService is another than before."""


def deploy(cluster: Cluster, template: Object, storage_uri: str, canary_percent: int | None) -> Outcome:
    """Has the cluster serve a model; one that it serves already, or that was rolled back, keeps the traffic it has.

    Args:
      cluster: Where to.
      template: The InferenceService without models.
      storage_uri: Of the model.
      canary_percent: Share of the traffic that the model gets if there is another one. None: all of it.

    Raises:
      PetsegError: The cluster refuses it, does not split its traffic, or does not serve the model in time.
    """
    return _unless_changed(lambda: _deploy(cluster, template, storage_uri, canary_percent))


def _deploy(cluster: Cluster, template: Object, storage_uri: str, canary_percent: int | None) -> Outcome:
    before = _find(cluster)
    cluster.pods()  # a right that is missing is noticed before anything is changed
    if before is None:
        cluster.history(None)
        if is_standard(template):
            cluster.route()
        return _apply(cluster, None, template, Expectation(RolloutState(storage_uri)))
    state = before.state
    if storage_uri == state.rolled_back:
        return _unchanged(before, f"version {version_of(storage_uri)} was rolled back and is not deployed again")
    if storage_uri not in (state.stable, state.canary):
        if canary_percent is None:
            state = RolloutState(storage_uri, previous=state.stable, stable_name=state.stable_name)
        else:
            _check_route(cluster, before.service)
            state = with_canary(state, storage_uri, canary_percent)
    is_out = state.canary is None or state.percent > 0
    return _apply(cluster, before, template, Expectation(state, needs_model=is_out))


def promote(cluster: Cluster, *, canary: str | None = None) -> Outcome:
    """Gives all traffic to the canary, or to the version that was rolled back; without either nothing changes.

    Args:
      cluster: Where.
      canary: Storage URI of the canary that is meant, and no other. None: whatever there is.

    Raises:
      CanaryGoneError: That is no canary any more.
      PetsegError: There is no InferenceService of petseg's, or the cluster refuses.
    """
    return _unless_changed(lambda: _promote(cluster, _meant(cluster, canary)))


def _promote(cluster: Cluster, before: Deployment) -> Outcome:
    state = before.state
    promoted = state.canary or state.rolled_back
    if promoted is None:
        return _unchanged(before, "nothing to promote")
    name = state.canary_name if state.canary else state.stable_name
    new = RolloutState(promoted, previous=state.stable, stable_name=name)
    return _apply(cluster, before, template_of(before.service), Expectation(new))


def rollback(cluster: Cluster, *, canary: str | None = None) -> Outcome:
    """Takes all traffic from the canary; without one, serves the model again that was served before.

    Args:
      cluster: Where.
      canary: Storage URI of the canary that is meant, and no other. None: whatever there is.

    Raises:
      CanaryGoneError: That is no canary any more.
      PetsegError: There is nothing to go back to, or the cluster refuses.
    """
    return _unless_changed(lambda: _rollback(cluster, _meant(cluster, canary)))


def _rollback(cluster: Cluster, before: Deployment) -> Outcome:
    state, template = before.state, template_of(before.service)
    if state.canary is None:
        if state.rolled_back is not None:
            return _unchanged(before, f"version {version_of(state.rolled_back)} was rolled back already")
        if state.previous is None:
            raise PetsegError(f"there is no version before {version_of(state.stable)} to go back to")
        back = replace(state, stable=state.previous, previous=state.stable)
        return _apply(cluster, before, template, Expectation(back))
    if is_standard(before.service):
        back = RolloutState(state.stable, previous=state.canary, stable_name=state.stable_name)
    else:
        back = replace(state, percent=0)
    return _apply(cluster, before, template, Expectation(back, needs_model=False))


def deployed(cluster: Cluster) -> Deployment:
    """Returns the InferenceService and what it names.

    Raises:
      PetsegError: There is none, or it is not petseg's.
    """
    found = _find(cluster)
    if found is None:
        raise PetsegError(
            f"there is no InferenceService {cluster.access.name!r} in the namespace {cluster.access.namespace!r}; a "
            "run with push.kserve.enabled = true deploys one"
        )
    return found


def _meant(cluster: Cluster, canary: str | None) -> Deployment:
    """Returns what is deployed, with the canary that is meant."""
    found = deployed(cluster)
    if canary is not None and not found.has_canary(canary):
        raise CanaryGoneError(f"version {version_of(canary)} is no canary any more; {found.described}")
    return found


def _unless_changed(change: Callable[[], Outcome]) -> Outcome:
    """Makes a change that begins with a look; again, with another look, where something else came between the two."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return change()
        except ChangedMeanwhileError:
            time.sleep(attempt * _PAUSE_SECONDS)
    return change()


def _find(cluster: Cluster) -> Deployment | None:
    service = cluster.read()
    if service is None:
        return None
    history = cluster.history(service["metadata"]["uid"])
    state = read_state(service, history)
    route = cluster.route() if is_standard(service) else None
    return Deployment(service, history, state, traffic(service, state, route))


def _unchanged(found: Deployment, why: str) -> Outcome:
    shares = percentages(found.traffic)
    return Outcome(f"{why}; {found.described}", found.state, shares, url(found.service), changed=False)


def _check_route(cluster: Cluster, service: Object) -> None:
    """Checks, before a canary is offered, that there is what could split the traffic."""
    if is_standard(service) and cluster.route() is None:
        name = cluster.access.name
        raise PetsegError(
            f"nothing can split the traffic of the InferenceService {name!r}: there is no HTTPRoute {name!r}. KServe "
            "makes one for a service that is ready and not for the cluster alone, where `enableGatewayApi` is true in "
            "its ConfigMap inferenceservice-config; see to that, or remove push.kserve.canary_percent: then a new "
            "model has all traffic at once"
        )


def _apply(cluster: Cluster, before: Deployment | None, template: Object, expected: Expectation) -> Outcome:
    state = expected.state
    history: History = {}
    if before is not None:
        if before.state.newest != state.newest:
            expected = replace(expected, old_revision=newest_revision(before.service))
        history = _remember(cluster, before, state)
    manifest = render(template, state)
    if before is not None:
        manifest["metadata"]["resourceVersion"] = before.service["metadata"]["resourceVersion"]
    applied = cluster.apply(manifest)
    _check_applied(applied, state, history)
    changed = before is None or before.service["metadata"]["generation"] != applied["metadata"]["generation"]
    try:
        served, shares = wait_until_served(cluster, applied, expected)
    except NotServedError as error:
        left = _take_back(cluster, before) if changed and expected.needs_model else ""
        raise PetsegError(f"{error.why}{left}{error.report}") from None
    where = f" at {url(served)}" if url(served) else ""
    unchanged = "" if changed else ", as before"
    found = percentages(shares)
    return Outcome(f"{describe(found)}{where}{unchanged}", state, found, url(served), changed)


def _remember(cluster: Cluster, before: Deployment, state: RolloutState) -> History:
    """Writes down what the new state has to remember, before it comes; what holds until then is kept beside it."""
    standard = is_standard(before.service)
    history = {**history_of(before.state, standard=standard), **history_of(state, standard=standard)}
    if history != before.history:
        cluster.remember(history, before.service)
    return history


def _check_applied(applied: Object, wanted: RolloutState, history: History) -> None:
    """Checks that nothing of an earlier state is left, as fields are that somebody else has set in petseg's place."""
    found = read_state(applied, history)
    if (found.stable, found.canary, found.percent) != (wanted.stable, wanted.canary, wanted.percent):
        others = {entry["manager"] for entry in applied["metadata"]["managedFields"]} - {FIELD_MANAGER}
        raise PetsegError(
            f"petseg applied that {describe(asked(wanted))}, but the InferenceService says that "
            f"{describe(asked(found))}: {', '.join(sorted(others)) or 'somebody else'} has set fields of the canary; "
            "remove them by kubectl edit"
        )


def _take_back(cluster: Cluster, before: Deployment | None) -> str:
    """Makes the InferenceService what it was; returns what came of that, to be added to a message."""
    if before is None:
        name = f"{cluster.access.name} --namespace {cluster.access.namespace}"
        return f"; the next run tries again, or `kubectl delete inferenceservice {name}` removes it"
    try:
        cluster.apply(render(template_of(before.service), before.state))
    except ClusterError as error:
        return f"; nor can it be made what it was: {error}"
    return f"; petseg has made it again what it was: {describe(asked(before.state))}"
