"""The verdict, from numbers alone."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.kserve_deployer.canary.settings import WatchSettings
from components.kserve_deployer.canary.verdict import (
    CheckState,
    Decision,
    Evidence,
    ExpectedDifference,
    Requests,
    decide,
    looks,
)

SETTINGS = WatchSettings(
    requests=200, minutes=30, min_requests=50, pause_seconds=1, timeout_seconds=10, images=64,
    max_error_share=0.01, max_latency_ratio=1.5, max_difference=None,
)  # fmt: skip
EXPECTED = ExpectedDifference(0.16)


def evidence(pairs=200, failed=(0, 0), ratio=1.0, difference=0.04, images=64, traffic=None):
    """Returns what two versions with these properties might leave."""
    generator = np.random.default_rng(3)
    answered = pairs - max(failed)
    times = generator.gamma(20, 0.005, answered)
    seconds = np.stack([times, ratio * times], 1) * generator.lognormal(0, 0.1, (answered, 2))
    return Evidence(
        Requests(pairs, failed[0]),
        Requests(pairs, failed[1]),
        seconds,
        np.clip(generator.normal(difference, 0.03, images), 0, 1),
        traffic,
    )


def last(*, expected=EXPECTED, **numbers):
    return decide(evidence(**numbers), SETTINGS, expected, is_last=True)


def states(verdict):
    return {check.name: check.state.value for check in verdict.checks}


def test_a_canary_as_good_as_the_stable_version_is_promoted():
    verdict = last()
    assert verdict.decision is Decision.PROMOTE
    assert set(states(verdict).values()) == {"passed"}
    assert set(states(verdict)) == {"errors", "latency", "slow requests", "differences"}
    assert "0 of 200 requests to the canary failed, 0 of 200 to the stable version" in verdict.reason
    assert "4.0% of the pixels have another class, up to 16.0% are expected" in verdict.reason


@pytest.mark.parametrize(
    ("numbers", "decision", "check", "state"),
    [
        # Of 200 each: 9 and 0 failures come by chance once in 500 times, 4 and 0 once in 16.
        ({"failed": (0, 9)}, Decision.ROLL_BACK, "errors", "failed"),
        ({"failed": (0, 4)}, Decision.UNDECIDED, "errors", "open"),
        ({"failed": (0, 2)}, Decision.PROMOTE, "errors", "passed"),
        ({"failed": (30, 30)}, Decision.UNDECIDED, "errors", "open"),
        ({"failed": (30, 0)}, Decision.PROMOTE, "errors", "passed"),
        ({"ratio": 2.0}, Decision.ROLL_BACK, "latency", "failed"),
        ({"ratio": 1.5}, Decision.UNDECIDED, "latency", "open"),
        ({"ratio": 1.3}, Decision.PROMOTE, "latency", "passed"),
        ({"difference": 0.4}, Decision.ROLL_BACK, "differences", "failed"),
        ({"difference": 0.16}, Decision.UNDECIDED, "differences", "open"),
        ({"images": 7}, Decision.UNDECIDED, "differences", "open"),
        ({"traffic": (Requests(900, 9), Requests(100, 12))}, Decision.ROLL_BACK, "traffic", "failed"),
        ({"traffic": (Requests(900, 90), Requests(100, 10))}, Decision.PROMOTE, "traffic", "passed"),
    ],
)
def test_each_check_decides(numbers, decision, check, state):
    verdict = last(**numbers)
    assert (verdict.decision, states(verdict)[check]) == (decision, state), verdict


def test_a_slow_tail_alone_is_enough_to_roll_back():
    found = evidence()
    found.seconds[::8, 1] *= 20
    verdict = decide(found, SETTINGS, EXPECTED, is_last=True)
    assert (verdict.decision, states(verdict)["slow requests"]) == (Decision.ROLL_BACK, "failed")
    assert states(verdict)["latency"] == "passed"
    assert verdict.reason.startswith("19 of 20 of the requests take up to")


def test_traffic_of_too_few_requests_is_not_looked_at():
    verdict = last(traffic=(Requests(900, 0), Requests(49, 49)))
    assert verdict.decision is Decision.PROMOTE
    assert "traffic" not in states(verdict)


def test_masks_that_cannot_be_compared_promote_nothing_and_say_why():
    verdict = last(expected=ExpectedDifference(None, "the canary has other classes: decide yourself"))
    assert verdict.decision is Decision.UNDECIDED
    assert "the canary has other classes: decide yourself" in verdict.reason
    assert last(expected=ExpectedDifference(None, "x"), failed=(0, 50)).decision is Decision.ROLL_BACK


def test_a_canary_that_answers_nothing_is_rolled_back_at_the_first_look():
    assert looks(SETTINGS) == (50, 100, 200)
    found = evidence(pairs=50, failed=(0, 50), images=0)
    verdict = decide(found, SETTINGS, EXPECTED, is_last=False)
    assert verdict.decision is Decision.ROLL_BACK
    assert verdict.reason.startswith("50 of 50 requests to the canary failed, 0 of 50 to the stable version: by chance")


def test_nothing_is_promoted_before_the_end():
    verdict = decide(evidence(pairs=100), SETTINGS, EXPECTED, is_last=False)
    assert (verdict.decision, verdict.reason) == (Decision.UNDECIDED, "nothing against it after 100 requests")


def test_looks_share_the_probability_to_roll_back_a_good_canary():
    """What is significant at one look of many is not significant enough."""
    found, one_look = evidence(failed=(0, 7)), SETTINGS.model_copy(update={"min_requests": 200})
    assert decide(found, one_look, EXPECTED, is_last=True).decision is Decision.ROLL_BACK
    assert decide(found, SETTINGS, EXPECTED, is_last=True).decision is Decision.UNDECIDED


@settings(max_examples=25, deadline=None)
@given(
    pairs=st.integers(0, 120),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    ratio=st.floats(0.2, 5),
    difference=st.floats(0, 1),
    is_last=st.booleans(),
)
def test_whatever_the_numbers(pairs, shares, ratio, difference, is_last):
    failed = tuple(round(share * pairs) for share in shares)
    found = evidence(pairs, failed, ratio, difference)
    verdict = decide(found, SETTINGS, EXPECTED, is_last=is_last)
    json.dumps(verdict.as_json())
    assert verdict.reason
    assert verdict == decide(found, SETTINGS, EXPECTED, is_last=is_last)
    if pairs < SETTINGS.min_requests:
        assert (verdict.decision, verdict.checks) == (Decision.UNDECIDED, ())
        assert "(push.kserve.watch.min_requests): too few to decide on" in verdict.reason
        return
    found_states = {check.state for check in verdict.checks}
    if verdict.decision is Decision.PROMOTE:
        assert is_last
        assert found_states == {CheckState.PASSED}
        assert failed[1] <= SETTINGS.max_error_share * pairs
    assert (verdict.decision is Decision.ROLL_BACK) == (CheckState.FAILED in found_states)
    if failed[1] <= failed[0] and ratio < 1.2 and difference < 0.1:
        assert verdict.decision is not Decision.ROLL_BACK
