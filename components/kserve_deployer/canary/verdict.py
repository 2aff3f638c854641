"""The verdict on a canary: numbers in, what is to be done and why out; no network, no clock.

Each check comes to one of three states. It fails where chance does not explain that the canary is worse, it passes
where the canary is sure to be good enough, and it is open in between. One that fails rolls the canary back, whatever
the others say; all have to pass for a promotion; else the canary stays as it is.

The numbers are looked at several times, for a canary that breaks is not to go on until the end of the watch. So the
probability of 5 % to roll back one that is as good as the stable version is shared between the looks and the checks
(Bonferroni).
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from components.kserve_deployer.canary.settings import WatchSettings

MIN_IMAGES: Final = 8
"""Fewer images say nothing of the share of pixels that differ."""

_LEVEL: Final = 0.05
_CHECKS: Final = 5
_MEDIAN, _TAIL = 0.5, 0.95
_TIMED: Final = {_MEDIAN: ("latency", "half"), _TAIL: ("slow requests", "19 of 20")}
"""The checks of times, and how to say of which requests."""

_MIN_FOR_TAIL: Final = 100
"""Fewer requests have too few beyond the 95th percentile."""

_RESAMPLINGS: Final = 4000
_AT_A_TIME: Final = 200


class Decision(StrEnum):
    """What is to be done with a canary."""

    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    UNDECIDED = "undecided"
    """It stays as it is."""


class CheckState(StrEnum):
    """What came of one check."""

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"


@dataclass(frozen=True)
class Requests:
    """How many requests were sent to a version, and how many of them failed."""

    sent: int
    failed: int

    @property
    def failed_share(self) -> float:
        return self.failed / self.sent if self.sent else 0.0


@dataclass(frozen=True)
class Evidence:
    """What is known of a canary and of the stable version beside it."""

    stable: Requests
    """The watcher's own requests; as many went to the canary, with the same images."""

    canary: Requests
    seconds: NDArray[np.float64]
    """[requests, 2]: time of the stable version and of the canary, for what both answered."""

    differences: NDArray[np.float64]
    """[images]: the share of an image's pixels, 0…1, that have another class in the canary's mask."""

    traffic: tuple[Requests, Requests] | None = None
    """What the pods of the stable version and of the canary counted of other people's requests; None: they do not."""


@dataclass(frozen=True)
class ExpectedDifference:
    """How much two masks of the same image may differ."""

    share: float | None
    """Greatest share of pixels, 0…1, whose class may be another, as a mean over images. None: it is not known."""

    why_unknown: str = ""


@dataclass(frozen=True)
class Check:
    """One thing that was compared."""

    name: str
    state: CheckState
    text: str
    """For people: the numbers, and what they are to be."""


@dataclass(frozen=True)
class Verdict:
    """What is to be done, and why."""

    decision: Decision
    reason: str
    checks: tuple[Check, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def looks(settings: WatchSettings) -> tuple[int, ...]:
    """Returns after how many requests a canary may be rolled back; the last is the end of the watch.

    They lie further and further apart, so that a canary that is broken goes soon, and chance gets few tries.
    """
    counts = []
    count = settings.min_requests
    while count < settings.requests:
        counts.append(count)
        count *= 2
    return (*counts, settings.requests)


def decide(evidence: Evidence, settings: WatchSettings, expected: ExpectedDifference, *, is_last: bool) -> Verdict:
    """Returns what is to be done with a canary.

    Args:
      evidence: What was counted and measured.
      settings: What is allowed.
      expected: How much the masks may differ.
      is_last: Whether the watch ends here. Before that, nothing is promoted.
    """
    sent = evidence.canary.sent
    if sent < settings.min_requests:
        return Verdict(
            Decision.UNDECIDED,
            f"{_count(sent, 'request')} to each version, and {settings.min_requests} are needed "
            "(push.kserve.watch.min_requests): too few to decide on",
        )
    level = _LEVEL / (len(looks(settings)) * _CHECKS)
    checks = (
        _check_errors(evidence, settings, level),
        *_check_latency(evidence.seconds, settings, level),
        _check_differences(evidence.differences, expected, level),
        *_check_traffic(evidence.traffic, settings, level),
    )
    for state, decision in ((CheckState.FAILED, Decision.ROLL_BACK), (CheckState.OPEN, Decision.UNDECIDED)):
        found = [check.text for check in checks if check.state is state]
        if found and (is_last or state is CheckState.FAILED):
            return Verdict(decision, "; ".join(found), checks)
    if not is_last:
        return Verdict(Decision.UNDECIDED, f"nothing against it after {_count(sent, 'request')}", checks)
    return Verdict(Decision.PROMOTE, "; ".join(check.text for check in checks), checks)


def _check_errors(evidence: Evidence, settings: WatchSettings, level: float) -> Check:
    stable, canary = evidence.stable, evidence.canary
    text = _compared_failures(stable, canary)
    chance = _chance_of_failures(stable, canary)
    if chance < level:
        return Check("errors", CheckState.FAILED, f"{text}: by chance with a probability of {chance:.2g}")
    if canary.failed_share > settings.max_error_share:
        allowed = f"more than {settings.max_error_share:.2%} (push.kserve.watch.max_error_share), and chance may be why"
        return Check("errors", CheckState.OPEN, f"{text}: {allowed}")
    return Check("errors", CheckState.PASSED, text)


def _check_traffic(traffic: tuple[Requests, Requests] | None, settings: WatchSettings, level: float) -> Iterator[Check]:
    """Compares what the pods counted; nothing where that is too little. Clients' mistakes fail in both alike."""
    if traffic is None or min(requests.sent for requests in traffic) < settings.min_requests:
        return
    text = f"of the traffic, {_compared_failures(*traffic)}"
    chance = _chance_of_failures(*traffic)
    if chance < level:
        yield Check("traffic", CheckState.FAILED, f"{text}: by chance with a probability of {chance:.2g}")
    else:
        yield Check("traffic", CheckState.PASSED, text)


def _check_latency(seconds: NDArray[np.float64], settings: WatchSettings, level: float) -> Iterator[Check]:
    """Compares medians, and where there is enough of it the slowest twentieth, of what both versions answered."""
    if len(seconds) < settings.min_requests / 2:
        yield Check("latency", CheckState.OPEN, f"{_count(len(seconds), 'request')} answered by both: too few to time")
        return
    limit = settings.max_latency_ratio
    shares = [_MEDIAN, _TAIL] if len(seconds) >= _MIN_FOR_TAIL else [_MEDIAN]
    stable, canary = np.moveaxis(_resampled(seconds, lambda drawn: np.quantile(drawn, shares, axis=1)), 2, 0)
    ratios = canary / stable  # [resamplings, shares]
    measured = np.quantile(seconds, shares, axis=0)
    for place, share in enumerate(shares):
        low, high = np.quantile(ratios[:, place], [level, 1 - _LEVEL])
        before, now = measured[place]
        name, which = _TIMED[share]
        ratio = f"{now / before:.2f} times the stable version's {before * 1000:.0f} ms"
        text = f"{which} of the requests take up to {now * 1000:.0f} ms, {ratio}"
        allowed = f"and {limit:g} times are allowed (push.kserve.watch.max_latency_ratio)"
        if low > limit:
            yield Check(name, CheckState.FAILED, f"{text}, surely more than {low:.2f} times, {allowed}")
        elif share == _MEDIAN and high > limit:
            yield Check(name, CheckState.OPEN, f"{text}, perhaps {high:.2f} times, {allowed}")
        else:
            yield Check(name, CheckState.PASSED, text)


def _check_differences(differences: NDArray[np.float64], allowed: ExpectedDifference, level: float) -> Check:
    """Compares the mean over images; requests with the same image are one, for they are answered alike."""
    name = "differences"
    if len(differences) < MIN_IMAGES:
        answered = f"{_count(len(differences), 'image')} answered by both"
        return Check(name, CheckState.OPEN, f"{answered}, and {MIN_IMAGES} are needed to compare masks")
    found, expected = f"{differences.mean():.1%} of the pixels have another class", allowed.share
    if expected is None:
        return Check(name, CheckState.OPEN, f"{found}; {allowed.why_unknown}")
    means = _resampled(differences, lambda drawn: drawn.mean(axis=1))
    low, high = np.quantile(means, [level, 1 - _LEVEL])
    beyond = int((differences > expected).sum())
    text = (
        f"{found}, up to {expected:.1%} are expected; {beyond} of {_count(len(differences), 'image')} differ more than "
        "that"
    )
    if low > expected:
        return Check(name, CheckState.FAILED, text)
    if high > expected:
        return Check(name, CheckState.OPEN, f"{text}, and other images might differ in {high:.1%}")
    return Check(name, CheckState.PASSED, text)


def _compared_failures(stable: Requests, canary: Requests) -> str:
    return (
        f"{canary.failed} of {_count(canary.sent, 'request')} to the canary failed, {stable.failed} of {stable.sent} "
        "to the stable version"
    )


def _chance_of_failures(stable: Requests, canary: Requests) -> float:
    """Returns how probable so many failures of the canary are if both fail alike (Fisher's exact test, one-sided)."""
    from scipy import stats

    failed, sent = stable.failed + canary.failed, stable.sent + canary.sent
    return float(stats.hypergeom.sf(canary.failed - 1, sent, failed, canary.sent))


def _resampled(
    values: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Returns a statistic of the bootstrap's samples, the same at each call.

    Args:
      values: [n, …].
      statistic: From [samples, n, …] to [samples, …], or [quantiles, samples, …].
    """
    generator = np.random.default_rng(0)
    found = []
    for _ in range(_RESAMPLINGS // _AT_A_TIME):
        drawn = statistic(values[generator.integers(len(values), size=(_AT_A_TIME, len(values)))])
        found.append(np.moveaxis(drawn, 0, 1) if drawn.ndim > 1 else drawn)
    return np.concatenate(found)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
