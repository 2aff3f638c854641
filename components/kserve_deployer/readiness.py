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
from components.kserve_deployer.pods import Pod, pod
from components.kserve_deployer.service import (
    UP_TO_DATE,
    RolloutState,
    applied_at,
    canary_shares,
    conditions,
    failure,
    is_ready,
    is_standard,
    model_statuses,
    newest_revision,
    newest_revision_is_ready,
    transition,
    version_of,
)
from components.kserve_deployer.traffic import Share, asked, describe, percentages, traffic
from components.kubernetes_api import Object
from trainer_module.errors import PetsegError

POLL_SECONDS: Final = 2.0
STALE_SECONDS: Final = 30.0
"""How long a failure that was there before the change is taken for the old model's."""

SPLIT_SECONDS: Final = 30.0
"""How long KServe has to split the traffic once everything else of a canary is there; it takes seconds."""

_SHOWN_EVENTS: Final = 5
_ADVICE: Final = {
    "NoSupportingRuntime": "KServe has no runtime for TensorFlow here: install the ClusterServingRuntime "
    "kserve-tensorflow-serving of its release, or name one of yours by push.kserve.runtime",
    "RuntimeNotRecognized": "there is no runtime of the name in push.kserve.runtime: `kubectl get "
    "clusterservingruntimes,servingruntimes` tells which there are",
    "ParentStatusNotAvailable": "no gateway has taken up the HTTPRoute: it names the Gateway that is in KServe's "
    "ConfigMap inferenceservice-config as kserveIngressGateway; `kubectl get gateways -A` tells whether that is there",
}
"""What to do about some of KServe's reasons, of a failed model or of a condition."""


@dataclass(frozen=True)
class Expectation:
    """What the cluster is to come to."""

    state: RolloutState
    needs_model: bool = True
    """Whether the newest model has to be served; else the traffic alone counts, as after a rollback."""

    old_revision: str | None = None
    """The newest of Knative's revisions before another model was applied, which says nothing of that model."""


class NotServedError(PetsegError):
    """What was applied is not served, or not as it was asked for."""

    def __init__(self, why: str, report: str) -> None:
        """Constructs the error from its reason, a line, and the lines that tell of the cluster, which may be none."""
        super().__init__(why + report)
        self.why = why
        self.report = report


def wait_until_served(cluster: Cluster, applied: Object, expected: Expectation) -> tuple[Object, tuple[Share, ...]]:
    """Returns the InferenceService once it serves what is expected, and where its traffic goes.

    Args:
      cluster: Where it is.
      applied: The InferenceService as the cluster returned it when it was applied.
      expected: What it is to serve.

    Raises:
      NotServedError: KServe gave the model up, does not split the traffic, or is not there in time.
      PetsegError: The InferenceService was deleted meanwhile.
      ClusterError: The cluster cannot be asked any more.
    """
    started = time.monotonic()
    deadline = started + cluster.access.timeout_seconds
    unsplit_since: float | None = None
    said = ""
    while True:
        service, pods, route = _look(cluster, deadline)
        now = time.monotonic()
        given_up = failure(service) if expected.needs_model else None
        if given_up and (model_statuses(service) != model_statuses(applied) or now - started >= STALE_SECONDS):
            raise NotServedError(
                f"{_name(cluster)} cannot serve the model: {given_up}{_advice(service)}",
                _report(cluster, service, applied, pods),
            )
        shares = traffic(service, expected.state, route)
        missing = _missing(service, pods, expected)
        if missing is None:
            missing = _missing_split(shares, expected.state)
            if missing is None:
                return service, shares
            unsplit_since = unsplit_since or now
            if is_standard(service) and expected.state.canary and now - unsplit_since >= SPLIT_SECONDS:
                raise NotServedError(_unsplit(cluster, shares), "")
        if missing != said:
            logging.info("%s: waiting for %s.", _name(cluster), missing)
            said = missing
        if now >= deadline:
            raise NotServedError(
                f"{_name(cluster)} is not ready after {cluster.access.timeout_seconds} s "
                f"(push.kserve.timeout_seconds): it waits for {missing}{_advice(service)}",
                _report(cluster, service, applied, pods),
            )
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))


def _look(cluster: Cluster, deadline: float) -> tuple[Object, list[Pod], Object | None]:
    """Returns the InferenceService, its pods and its route; a busy cluster is asked again until the deadline."""
    while True:
        try:
            service = cluster.read()
            pods = [pod(each) for each in cluster.pods()]
            route = cluster.route() if service is not None and is_standard(service) else None
        except ClusterError as error:
            if not error.is_temporary or time.monotonic() >= deadline:
                raise
            logging.warning("%s; asking again.", error)
            time.sleep(POLL_SECONDS)
            continue
        if service is None:
            raise PetsegError(f"{_name(cluster)} was deleted while petseg waited for it")
        return service, pods, route


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
    return _missing_canaries(service, expected.state) if is_standard(service) else None


def _is_served(service: Object, pods: list[Pod], version: str, old_revision: str | None) -> bool:
    mine = [each for each in pods if each.version == version]
    if mine or service["spec"]["predictor"].get("minReplicas") != 0:
        return any(each.is_ready for each in mine)
    return newest_revision(service) != old_revision and newest_revision_is_ready(service)


def _missing_canaries(service: Object, state: RolloutState) -> str | None:
    shares = canary_shares(service)
    wanted = {state.canary_name: (state.percent, True)} if state.canary else {}
    return None if shares == wanted else f"the canaries {wanted or 'to be gone'}, which are {shares}"


def _missing_split(shares: tuple[Share, ...], state: RolloutState) -> str | None:
    """Returns how the traffic is to be, and is not yet; None also where KServe says nothing of it."""
    found, wanted = percentages(shares), asked(state)
    return None if not found or found == wanted else f"the traffic to be as asked; {describe(found)}"


def _unsplit(cluster: Cluster, shares: tuple[Share, ...]) -> str:
    return (
        f"KServe does not split the traffic of {_name(cluster)}: the canary is ready, but the HTTPRoute "
        f"{cluster.access.name!r} says that {describe(percentages(shares))}. KServe 0.20 never splits it in the mode "
        "Standard, later releases do; update KServe, deploy under another name with push.kserve.deployment_mode = "
        '"Knative", or remove push.kserve.canary_percent: then a new model has all traffic at once'
    )


def _name(cluster: Cluster) -> str:
    return f"the InferenceService {cluster.access.name!r}"


def _advice(service: Object) -> str:
    """Returns what to do, to be added to a message; empty where KServe's reasons are none that are known here."""
    failed = [status.get("lastFailureInfo", {}).get("reason") for status in model_statuses(service)]
    reasons = [*failed, *(condition.reason for condition in conditions(service))]
    return "".join(f"; {_ADVICE[reason]}" for reason in dict.fromkeys(reasons) if reason in _ADVICE)


def _report(cluster: Cluster, service: Object, applied: Object, pods: list[Pod]) -> str:
    """Returns conditions, pods, and warnings since the InferenceService was applied, to be added to a message."""
    lines = [f"condition {condition}" for condition in conditions(service) if condition.status != "True"]
    for each in pods:
        lines.append(f"pod {each.name}: {each.phase}, {'ready' if each.is_ready else 'not ready'}")
        lines += [f"  {trouble}" for trouble in each.troubles]
    try:
        events = cluster.warnings({cluster.access.name, *(each.name for each in pods)}, since=applied_at(applied))
    except ClusterError as error:
        lines.append(str(error))
    else:
        told = [f"event {event.get('reason', '')}: {event.get('message', '')}" for event in events]
        lines += list(dict.fromkeys(told))[-_SHOWN_EVENTS:]
    return "".join(f"\n  {line}" for line in lines)
