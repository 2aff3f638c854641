"""The ledger of a push destination: what was tried, rolled back and frozen holds for whoever pushes there."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.model_pusher import ledger as ledgers
from components.model_pusher.freezing import freeze, unfreeze
from components.model_pusher.ledger import LEDGER_FILE, Freeze, Ledger, Rollback, Trial, TrialOutcome, append
from components.model_pusher.origin import Origin, Recipe
from components.model_pusher.push import PushRecord, push, tell_refused
from components.model_pusher.rollback import roll_back
from components.model_pusher.version_store import complete_versions
from trainer_module.errors import ModelError

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def origin(data="a", test="t", **recipe):
    digests = {"train": data, "eval": data, "test": test}
    return Origin(dataset="tiles", version="1.0.0", digests=digests, recipe=Recipe(settings="s", code="c", **recipe))


def trial(outcome=TrialOutcome.NOT_BLESSED, **facts):
    return Trial(at=NOW, outcome=outcome, origin=origin(**facts))


def model(directory, content):
    (directory / "variables").mkdir(parents=True, exist_ok=True)
    (directory / "saved_model.pb").write_bytes(b"graph")
    (directory / "variables" / "weights").write_bytes(content.encode())
    return str(directory)


@pytest.fixture
def base(tmp_path):
    return str(tmp_path / "serving")


@pytest.fixture
def push_of(tmp_path, base):
    """Pushes a model of some content that comes from some data."""

    def run(content, data, **facts):
        record = PushRecord(pushed_at=NOW, origin=origin(data), **facts)
        return push(model(tmp_path / content, content), base, record)

    return run


def test_an_absent_ledger_is_empty(base):
    ledger = Ledger.of(base)
    assert (ledger.events, ledger.freeze, ledger.withdrawals) == ((), None, [])


def test_each_push_is_a_trial_whatever_comes_of_it(push_of, base):
    version = push_of("good", "a").version
    push_of("good", "a")
    tell_refused(base, PushRecord(pushed_at=NOW, origin=origin("b")), TrialOutcome.NOT_BLESSED, "too bad")
    told = [(one.outcome, one.version, one.reason) for one in Ledger.of(base).trials]
    assert told == [
        (TrialOutcome.PUSHED, version, ""),
        (TrialOutcome.ALREADY_SERVED, version, f"{base}/{version} is this model already"),
        (TrialOutcome.NOT_BLESSED, None, "too bad"),
    ]


def test_what_is_trained_as_a_model_that_was_rolled_back_is_not_pushed(push_of, base):
    push_of("good", "a")
    bad = push_of("bad", "b").version
    restored = roll_back(base)
    again = push_of("bad too", "b")
    assert again.version is None
    assert again.reason == (
        f"version {bad}, trained on the same data by the same recipe, was rolled back; `petseg models rollback {bad}` "
        "undoes that"
    )
    assert complete_versions(base)[-1] == restored
    assert push_of("better", "c").version is not None, "other data"


def test_it_stays_withdrawn_when_its_version_is_gone_and_others_were_pushed(push_of, base, tmp_path):
    push_of("good", "a")
    push_of("bad", "b")
    roll_back(base)
    for content in "cdefgh":
        push(model(tmp_path / content, content), base, PushRecord(pushed_at=NOW, origin=origin(content)), keep=2)
    again = push_of("bad", "b")
    assert again.version is None
    assert again.reason.endswith("was rolled back"), "no advice to bring back what is gone"


def test_force_brings_a_withdrawn_model_back_for_good(push_of, base):
    push_of("good", "a")
    push_of("bad", "b")
    roll_back(base)
    assert push_of("bad", "b", forced_because="it was the images").version is not None
    assert Ledger.of(base).withdrawals == []


def test_nothing_is_pushed_while_pushes_are_frozen_not_even_by_force(push_of, base):
    freeze(base, "a fair goes on")
    for facts in ({}, {"forced_because": "now"}):
        outcome = push_of("good", "a", **facts)
        assert outcome.version is None
        assert "frozen since" in outcome.reason
        assert outcome.reason.endswith(": a fair goes on")
    assert complete_versions(base) == []
    assert unfreeze(base).reason == "a fair goes on"
    assert push_of("good", "a").version is not None


def test_a_freeze_leaves_rollbacks_alone(push_of, base):
    push_of("good", "a")
    push_of("bad", "b")
    freeze(base, "x")
    assert roll_back(base) == complete_versions(base)[-1]


def test_freezing_twice_and_unfreezing_twice_is_said(base):
    freeze(base, "first")
    with pytest.raises(ModelError, match=r"first\. `petseg unfreeze` ends that"):
        freeze(base, "second")
    unfreeze(base)
    with pytest.raises(ModelError, match="not frozen"):
        unfreeze(base)


def test_a_trial_settles_its_origin_alone():
    ledger = Ledger(events=(trial(data="a"), trial(TrialOutcome.PUSHED, data="b")))
    assert ledger.settled_trial(origin("a")).outcome is TrialOutcome.NOT_BLESSED
    assert ledger.settled_trial(origin("b")).outcome is TrialOutcome.PUSHED
    for other in (origin("c"), origin("a", epochs=9), origin("a", min_accuracy=0.7), origin("a", test="new")):
        assert ledger.settled_trial(other) is None


def test_a_frozen_trial_is_settled_while_the_freeze_holds():
    frozen = Freeze(at=NOW, reason="x")
    held = Ledger(events=(frozen, trial(TrialOutcome.FROZEN)))
    assert held.settled_trial(origin()) is not None
    over = Ledger(events=(*held.events, ledgers.Unfreeze(at=NOW)))
    assert over.settled_trial(origin()) is None


def test_an_unknown_origin_settles_and_withdraws_nothing():
    unknown = Trial(at=NOW, origin=Origin(), outcome=TrialOutcome.NOT_BLESSED)
    rollback = Rollback(at=NOW, version=1, content="x", restored=2)
    ledger = Ledger(events=(unknown, rollback))
    assert ledger.settled_trial(Origin()) is None
    assert ledger.withdrawal_of("y", Origin()) is None
    assert ledger.withdrawal_of("x", Origin()) == rollback


def test_a_line_that_was_cut_off_or_is_of_another_petseg_is_passed_over(tmp_path, base):
    append_to(base, trial())
    with (tmp_path / "serving" / LEDGER_FILE).open("a") as file:
        file.write('{"event": "eclipse", "at": "2026-11-29T00:00:00Z"}\n{"event": "freeze", "at"')
    append_to(base, trial(data="b"))
    assert [one.origin.digests["train"] for one in Ledger.of(base).trials] == ["a", "b"]


def test_the_ledger_is_bounded_and_keeps_what_holds(base, monkeypatch):
    monkeypatch.setattr(ledgers, "KEPT_EVENTS", 5)
    rollback = Rollback(at=NOW, version=1, content="bad", origin=origin("bad"), restored=2, restored_content="good")
    for event in (rollback, Freeze(at=NOW, reason="long"), *(trial(data=str(number)) for number in range(20))):
        append_to(base, event)
    ledger = Ledger.of(base)
    assert (ledger.withdrawals, ledger.freeze.reason, len(ledger.trials)) == ([rollback], "long", 5)


def test_pushers_at_the_same_time_lose_no_event(base, push_of):
    threads = [threading.Thread(target=push_of, args=(f"m{number}", str(number))) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.origin.digests["train"] for one in Ledger.of(base).trials} == {str(number) for number in range(6)}


def append_to(base, event):
    Path(base).mkdir(exist_ok=True)
    append(base, event)
