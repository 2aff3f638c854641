"""Deploys, promotes and rolls back: each reads what is served, applies what is to be served, and waits for it."""

from dataclasses import dataclass, replace

from components.kserve_deployer.cluster import FIELD_MANAGER, Cluster
from components.kserve_deployer.readiness import Expectation, wait_until_served
from components.kserve_deployer.service import (
    RolloutState,
    canary_name,
    is_standard,
    newest_revision,
    read_state,
    render,
    template_of,
    url,
    version_of,
)
from components.kubernetes_api import Object
from trainer_module.errors import PetsegError


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    summary: str
    """One line: which version has what traffic, where."""

    state: RolloutState
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
      PetsegError: The cluster refuses it, or does not serve the model in time.
    """
    service = cluster.read()
    cluster.pods()  # a right that is missing is noticed before anything is changed
    if service is None:
        return _apply(cluster, None, template, Expectation(RolloutState(storage_uri)))
    state = read_state(service)
    if storage_uri == state.rolled_back:
        said = f"version {version_of(storage_uri)} was rolled back and is not deployed again; {describe(state)}"
        return Outcome(said, state, url(service), changed=False)
    if storage_uri not in (state.stable, state.canary):
        if canary_percent is None:
            state = RolloutState(storage_uri, previous=state.stable, stable_name=state.stable_name)
        else:
            state = replace(state, canary=storage_uri, percent=canary_percent)
    is_out = state.canary is None or state.percent > 0
    return _apply(cluster, service, template, Expectation(state, needs_model=is_out))


def promote(cluster: Cluster) -> Outcome:
    """Gives all traffic to the canary, or to the version that was rolled back; without either nothing changes.

    Raises:
      PetsegError: There is no InferenceService of petseg's, or the cluster refuses.
    """
    service, state = deployed(cluster)
    promoted = state.canary or state.rolled_back
    if promoted is None:
        return Outcome(f"nothing to promote: {describe(state)}", state, url(service), changed=False)
    name = canary_name(promoted) if state.canary and is_standard(service) else state.stable_name
    new = RolloutState(promoted, previous=state.stable, stable_name=name)
    return _apply(cluster, service, template_of(service), Expectation(new))


def rollback(cluster: Cluster) -> Outcome:
    """Takes all traffic from the canary; without one, serves the model again that was served before.

    Raises:
      PetsegError: There is nothing to go back to, or the cluster refuses.
    """
    service, state = deployed(cluster)
    if state.canary is None:
        if state.rolled_back is not None:
            said = f"version {version_of(state.rolled_back)} was rolled back already; {describe(state)}"
            return Outcome(said, state, url(service), changed=False)
        if state.previous is None:
            raise PetsegError(f"there is no version before {version_of(state.stable)} to go back to")
        back = replace(state, stable=state.previous, previous=state.stable)
        return _apply(cluster, service, template_of(service), Expectation(back))
    if is_standard(service):
        back = replace(state, canary=None, percent=0, previous=state.canary)
    else:
        back = replace(state, percent=0)
    return _apply(cluster, service, template_of(service), Expectation(back, needs_model=False))


def describe(state: RolloutState) -> str:
    """Returns which version gets what traffic, for people."""
    if state.canary is None:
        return f"version {version_of(state.stable)} has all traffic"
    stable, canary = version_of(state.stable), version_of(state.canary)
    return f"version {canary} has {state.percent} % of the traffic, version {stable} the rest"


def deployed(cluster: Cluster) -> tuple[Object, RolloutState]:
    """Returns the InferenceService and what it names.

    Raises:
      PetsegError: There is none, or it is not petseg's.
    """
    service = cluster.read()
    if service is None:
        raise PetsegError(
            f"there is no InferenceService {cluster.access.name!r} in the namespace {cluster.access.namespace!r}; a "
            "run with push.kserve.enabled = true deploys one"
        )
    return service, read_state(service)


def _check_applied(applied: Object, wanted: RolloutState) -> None:
    """Checks that nothing of an earlier state is left, as fields are that somebody else has set in petseg's place."""
    found = read_state(applied)
    if (found.stable, found.canary, found.percent) != (wanted.stable, wanted.canary, wanted.percent):
        others = {entry["manager"] for entry in applied["metadata"]["managedFields"]} - {FIELD_MANAGER}
        raise PetsegError(
            f"petseg applied that {describe(wanted)}, but the InferenceService says that {describe(found)}: "
            f"{', '.join(sorted(others)) or 'somebody else'} has set fields of the canary; remove them by kubectl edit"
        )


def _apply(cluster: Cluster, before: Object | None, template: Object, expected: Expectation) -> Outcome:
    applied = cluster.apply(render(template, expected.state))
    _check_applied(applied, expected.state)
    changed = before is None or before["metadata"]["generation"] != applied["metadata"]["generation"]
    if before is not None and read_state(before).newest != expected.state.newest:
        expected = replace(expected, old_revision=newest_revision(before))
    served = wait_until_served(cluster, applied, expected)
    where = f" at {url(served)}" if url(served) else ""
    unchanged = "" if changed else ", as before"
    return Outcome(f"{describe(expected.state)}{where}{unchanged}", expected.state, url(served), changed)
