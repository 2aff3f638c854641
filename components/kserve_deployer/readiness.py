"""Waits until a cluster serves what it was asked for, or says why it does not.

`status.observedGeneration` does not tell: KServe copies it from the Deployment or the Knative service below, whose
generations are others (https://github.com/kserve/kserve/issues/6081). So a model is served when a ready pod serves it;
petseg labels the pods of each version. Where no pod need be, with `min_replicas = 0`, a new revision has to be ready.
"""

import time
from dataclasses import dataclass
from typing import Final

from absl import logging

from components.kserve_deployer.cluster import Cluster, ClusterError
from components.kserve_deployer.service import (
    UP_TO_DATE,
    Pod,
    RolloutState,
    canary_name,
    canary_shares,
    conditions,
    failure,
    is_ready,
    is_standard,
    knative_traffic,
    model_statuses,
    newest_revision,
    newest_revision_is_ready,
    pod,
    transition,
    version_of,
)
from components.kubernetes_api import Object
from trainer_module.errors import PetsegError

POLL_SECONDS: Final = 2.0
STALE_SECONDS: Final = 30.0
"""How long a failure that was there before the change is taken for the old model's."""

_SHOWN_EVENTS: Final = 5
_ALL: Final = 100


@dataclass(frozen=True)
class Expectation:
    """What the cluster is to come to."""

    state: RolloutState
    needs_model: bool = True
    """Whether the newest model has to be served; else the traffic alone counts, as after a rollback."""

    old_revision: str | None = None
    """The newest of Knative's revisions before another model was applied, which says nothing of that model."""


def wait_until_served(cluster: Cluster, applied: Object, expected: Expectation) -> Object:
    """Returns the InferenceService once it serves what is expected.

    Args:
      cluster: Where it is.
      applied: The InferenceService as the cluster returned it when it was applied.
      expected: What it is to serve.

    Raises:
      PetsegError: KServe gave the model up, or it is not served in time.
      ClusterError: The cluster cannot be asked any more.
    """
    started = time.monotonic()
    deadline = started + cluster.access.timeout_seconds
    said = ""
    while True:
        service, pods = _look(cluster, deadline)
        waited = time.monotonic() - started
        given_up = failure(service) if expected.needs_model else None
        if given_up and (model_statuses(service) != model_statuses(applied) or waited >= STALE_SECONDS):
            raise PetsegError(f"{_name(cluster)} cannot serve the model: {given_up}{_report(cluster, service, pods)}")
        missing = _missing(service, pods, expected)
        if missing is None:
            return service
        if missing != said:
            logging.info("%s: waiting for %s.", _name(cluster), missing)
            said = missing
        if time.monotonic() >= deadline:
            raise PetsegError(
                f"{_name(cluster)} is not ready after {cluster.access.timeout_seconds} s "
                f"(push.kserve.timeout_seconds): it waits for {missing}{_report(cluster, service, pods)}"
            )
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))


def _look(cluster: Cluster, deadline: float) -> tuple[Object, list[Pod]]:
    """Returns the InferenceService and its pods; a cluster that is busy is asked again until the deadline."""
    while True:
        try:
            service = cluster.read()
            pods = [pod(each) for each in cluster.pods()]
        except ClusterError as error:
            if not error.is_temporary or time.monotonic() >= deadline:
                raise
            logging.warning("%s; asking again.", error)
            time.sleep(POLL_SECONDS)
            continue
        if service is None:
            raise PetsegError(f"{_name(cluster)} was deleted while petseg waited for it")
        return service, pods


def _missing(service: Object, pods: list[Pod], expected: Expectation) -> str | None:
    """Returns what is still to come; None when there is nothing."""
    if expected.needs_model:
        version = version_of(expected.state.newest)
        if not _is_served(service, pods, version, expected.old_revision):
            return f"a ready pod of version {version}"
        if not is_ready(service):
            return "the condition Ready"
        if transition(service) != UP_TO_DATE:
            return f"the model to be up to date, which is {transition(service) or 'not known'}"
    return _missing_traffic(service, expected.state)


def _is_served(service: Object, pods: list[Pod], version: str, old_revision: str | None) -> bool:
    mine = [each for each in pods if each.version == version]
    if mine or service["spec"]["predictor"].get("minReplicas") != 0:
        return any(each.is_ready for each in mine)
    return newest_revision(service) != old_revision and newest_revision_is_ready(service)


def _missing_traffic(service: Object, state: RolloutState) -> str | None:
    if is_standard(service):
        shares = canary_shares(service)
        wanted = {canary_name(state.canary): (state.percent, True)} if state.canary else {}
        return None if shares == wanted else f"the canaries {wanted or 'to be gone'}, which are {shares}"
    shares_of_revisions = knative_traffic(service)
    percent = sum(share.percent for share in shares_of_revisions if share.is_newest)
    wanted_percent = state.percent if state.canary else _ALL
    if not shares_of_revisions or percent == wanted_percent:
        return None
    return f"{wanted_percent} % of the traffic to go to the newest revision, which gets {percent} %"


def _name(cluster: Cluster) -> str:
    return f"the InferenceService {cluster.access.name!r}"


def _report(cluster: Cluster, service: Object, pods: list[Pod]) -> str:
    """Returns conditions, pods and warnings, to be added to a message."""
    lines = [f"condition {condition}" for condition in conditions(service) if condition.status != "True"]
    for each in pods:
        lines.append(f"pod {each.name}: {each.phase}, {'ready' if each.is_ready else 'not ready'}")
        lines += [f"  {trouble}" for trouble in each.troubles]
    try:
        events = cluster.warnings({cluster.access.name, *(each.name for each in pods)})
    except ClusterError as error:
        lines.append(str(error))
    else:
        lines += [f"event {event.get('reason', '')}: {event.get('message', '')}" for event in events[-_SHOWN_EVENTS:]]
    return "".join(f"\n  {line}" for line in lines)
