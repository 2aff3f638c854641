"""Watches a canary until the verdict on it, and does what the verdict says.

Nothing is kept anywhere while it watches: one that is killed begins anew, and leaves the canary as it was. What it does
at the end it does to the canary that it watched, or to none: where somebody else has promoted, rolled back or replaced
that meanwhile, another watcher for one, it says so and changes nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from absl import logging

from components.kserve_deployer.canary.probes import Prober, Tally, ready_pods
from components.kserve_deployer.canary.settings import WatchSettings
from components.kserve_deployer.canary.traffic_counts import TrafficCounts
from components.kserve_deployer.canary.verdict import Decision, Evidence, ExpectedDifference, Verdict, decide, looks
from components.kserve_deployer.cluster import Cluster, ClusterError
from components.kserve_deployer.rollout import CanaryGoneError, Deployment, Outcome, deployed, promote, rollback
from components.kserve_deployer.service import version_of
from components.kubernetes_api import Object
from trainer_module.errors import PetsegError

REFRESH_SECONDS: Final = 5.0
"""How often it is looked whether the canary is still there, and which pods are ready."""

RETRY_SECONDS: Final = 2.0
"""Pause after a cluster that did not answer, and while no pod of either version is ready."""


class Ending(StrEnum):
    """What came of a watch."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    UNDECIDED = "undecided"
    GONE = "gone"
    """Somebody else has decided, or deployed another model."""


_ENDINGS: Final = {
    Decision.PROMOTE: Ending.PROMOTED,
    Decision.ROLL_BACK: Ending.ROLLED_BACK,
    Decision.UNDECIDED: Ending.UNDECIDED,
}


@dataclass(frozen=True)
class WatchTask:
    """What a watch goes by."""

    settings: WatchSettings
    images: Sequence[bytes]
    """Encoded as JPEG or PNG."""

    expected: ExpectedDifference
    """How much the masks may differ."""

    is_dry_run: bool = False
    """Whether nothing is changed in the end."""


@dataclass(frozen=True)
class Progress:
    """How far a watch is."""

    canary: str
    """Its version."""

    stable: str
    pairs: int
    failed: tuple[int, int]
    """Requests to the stable version and to the canary."""

    said: str = ""
    """What there is to tell, a line; empty most times."""


@dataclass(frozen=True)
class WatchReport:
    """What came of a watch, and why."""

    ending: Ending
    canary: str
    """Version of the canary."""

    stable: str
    """Version that it was compared with."""

    verdict: Verdict
    evidence: Evidence
    problems: dict[str, dict[str, int]]
    """Why requests to each version failed, and how often."""

    task: WatchTask
    started_at: datetime
    seconds: float
    outcome: Outcome | None = None
    """Of the promotion or the rollback; None where nothing was changed."""

    @property
    def headline(self) -> str:
        """What was decided."""
        done = {
            Ending.PROMOTED: "would be promoted" if self.task.is_dry_run else "was promoted",
            Ending.ROLLED_BACK: "would be rolled back" if self.task.is_dry_run else "was rolled back",
            Ending.UNDECIDED: "is left as it is",
        }
        if self.ending is Ending.GONE:
            return self.verdict.reason
        return f"version {self.canary} {done[self.ending]}"

    @property
    def summary(self) -> str:
        """What was decided and why, in one line."""
        return self.headline if self.ending is Ending.GONE else f"{self.headline}: {self.verdict.reason}"

    def as_json(self) -> dict[str, Any]:
        """Returns the report as JSON knows it."""
        evidence, outcome = self.evidence, self.outcome
        return {
            "ending": self.ending.value,
            "dry_run": self.task.is_dry_run,
            "canary": self.canary,
            "stable": self.stable,
            "summary": self.summary,
            **self.verdict.as_json(),
            "requests": {"stable": asdict(evidence.stable), "canary": asdict(evidence.canary)},
            "traffic": evidence.traffic and [asdict(requests) for requests in evidence.traffic],
            "failures": self.problems,
            "images": len(self.task.images),
            "expected_difference": self.task.expected.share,
            "settings": self.task.settings.model_dump(),
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "outcome": outcome and {"summary": outcome.summary, "traffic": dict(outcome.traffic), "url": outcome.url},
        }


@dataclass(frozen=True)
class Watched:
    """The two versions that are compared."""

    deployment: Deployment
    canary: str
    """Its version."""

    stable: str

    @property
    def canary_uri(self) -> str:
        return str(self.deployment.state.canary)


def watched(cluster: Cluster) -> Watched:
    """Returns the canary that there is, and the version that it is compared with.

    Raises:
      PetsegError: There is none, or its pods may all be stopped.
    """
    found = deployed(cluster)
    state = found.state
    if state.canary is None or not state.percent:
        raise PetsegError(f"there is no canary to watch: {found.described}")
    if found.service["spec"]["predictor"].get("minReplicas") == 0:
        raise PetsegError(
            f"the pods of {cluster.access.name!r} are stopped while nobody asks, so that there may be none to watch: "
            "deploy it with push.kserve.min_replicas of 1 at least"
        )
    return Watched(found, version_of(state.canary), version_of(state.stable))


def watch(cluster: Cluster, task: WatchTask, on_progress: Callable[[Progress], None]) -> WatchReport:
    """Watches the canary that there is, and promotes it, rolls it back, or leaves it as it is.

    Args:
      cluster: Where it is.
      task: What to ask and to allow.
      on_progress: Called after each pair of requests.

    Raises:
      PetsegError: There is no canary, its pods may all be stopped, or what was decided cannot be done.
      ClusterError: The account may not ask the pods, or the cluster refuses.
    """
    started_at, started = datetime.now(UTC), time.monotonic()
    versions = watched(cluster)
    watching = _Watch(cluster, task, versions, on_progress)
    verdict, outcome = watching.verdict(), None
    ending = Ending.GONE if watching.is_gone else _ENDINGS[verdict.decision]
    if not task.is_dry_run and ending in (Ending.PROMOTED, Ending.ROLLED_BACK):
        logging.info("Version %s: %s, since %s.", versions.canary, verdict.decision, verdict.reason)
        change = promote if ending is Ending.PROMOTED else rollback
        try:
            outcome = change(cluster, canary=versions.canary_uri)
        except CanaryGoneError as error:
            ending, verdict = Ending.GONE, Verdict(Decision.UNDECIDED, str(error), verdict.checks)
    return WatchReport(
        ending=ending,
        canary=versions.canary,
        stable=versions.stable,
        verdict=verdict,
        evidence=watching.evidence(),
        problems=watching.tally.reasons(),
        task=task,
        started_at=started_at,
        seconds=time.monotonic() - started,
        outcome=outcome,
    )


class _Watch:
    """One watch: asks both versions in turns, and looks now and then whether the canary is still there."""

    def __init__(
        self, cluster: Cluster, task: WatchTask, versions: Watched, on_progress: Callable[[Progress], None]
    ) -> None:
        self._cluster = cluster
        self._task = task
        self._versions = versions
        self._on_progress = on_progress
        self._prober = Prober(cluster, task.images, task.settings.timeout_seconds)
        self._traffic = TrafficCounts(cluster)
        self._pods: tuple[list[Object], list[Object]] = ([], [])
        self._refresh_at = 0.0
        self.tally = Tally()
        self.is_gone = False

    def verdict(self) -> Verdict:
        """Asks until there is a verdict, or the canary is gone."""
        settings = self._task.settings
        deadline = time.monotonic() + 60 * settings.minutes
        at = looks(settings)
        while True:
            try:
                gone = self._refresh()
                if gone is not None:
                    self.is_gone = True
                    return Verdict(Decision.UNDECIDED, gone)
                is_last = self.tally.pairs >= settings.requests or time.monotonic() >= deadline
                if is_last:
                    return self._decide(is_last=True)
                asked = self._ask()
                if asked and self.tally.pairs in at[:-1]:
                    verdict = self._decide(is_last=False)
                    if verdict.decision is Decision.ROLL_BACK:
                        return verdict
                    self._tell(verdict.reason)
            except ClusterError as error:
                if not error.is_temporary or time.monotonic() >= deadline:
                    raise
                logging.warning("%s; asking again.", error)
                asked = False
            pause = settings.pause_seconds if asked else RETRY_SECONDS
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))

    def evidence(self) -> Evidence:
        return self.tally.evidence(self._traffic.without(self.tally))

    def _decide(self, *, is_last: bool) -> Verdict:
        try:
            self._traffic.read(self._pods)
        except ClusterError as error:  # what was counted until now has to do
            if not error.is_temporary:
                raise
            logging.warning("%s.", error)
        return decide(self.evidence(), self._task.settings, self._task.expected, is_last=is_last)

    def _refresh(self) -> str | None:
        """Looks at service and pods where that was long ago; returns what became of the canary if it is gone."""
        now = time.monotonic()
        if now < self._refresh_at:
            return None
        found = deployed(self._cluster)
        canary, stable = self._versions.canary, self._versions.stable
        if not found.has_canary(self._versions.canary_uri) or version_of(found.state.stable) != stable:
            return f"version {canary} is no canary beside version {stable} any more; {found.described}"
        pods = self._cluster.pods()
        self._pods = ready_pods(pods, stable), ready_pods(pods, canary)
        if not self._refresh_at:
            self._traffic.read(self._pods)
        self._refresh_at = now + REFRESH_SECONDS
        return None

    def _ask(self) -> bool:
        """Sends one image to both versions; False where neither has a pod to send it to."""
        if not any(self._pods):
            self._refresh_at = min(self._refresh_at, time.monotonic() + RETRY_SECONDS / 2)
            self._tell("no pod of either version is ready")
            return False
        failed = sum(self._failed)
        self._prober.pair(self.tally.pairs, self._pods, self.tally)
        if sum(self._failed) > failed:  # a pod may be gone
            self._refresh_at = min(self._refresh_at, time.monotonic() + RETRY_SECONDS / 2)
        self._tell("")
        return True

    @property
    def _failed(self) -> tuple[int, int]:
        stable, canary = (problems.total() for problems in self.tally.problems)
        return stable, canary

    def _tell(self, said: str) -> None:
        self._on_progress(Progress(self._versions.canary, self._versions.stable, self.tally.pairs, self._failed, said))
