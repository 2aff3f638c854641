"""A decision to train goes by evidence: what is new since the last trial, and nothing that was settled before."""

from datetime import UTC, datetime, timedelta

import pytest

from components.model_pusher.ledger import Freeze, Ledger, Rollback, Trial, TrialOutcome, Unfreeze
from components.model_pusher.origin import Origin, Recipe
from components.retraining_decider.decision import (
    DecisionSettings,
    Evidence,
    Reason,
    ReasonKind,
    Served,
    decide,
)
from trainer_module.errors import DataError

NOW = datetime(2026, 11, 29, 3, tzinfo=UTC)
ALL = ("data", "drift", "recipe", "age", "gate")


def origin(version="1.0.0", test="t", examples=100, **recipe):
    return Origin(
        dataset="tiles",
        version=version,
        splits={"train": examples, "test": 20},
        digests={"train": version, "eval": version, "test": test},
        recipe=Recipe(**{"settings": "s", "code": "c", "epochs": 8, "gate": "g"} | recipe),
    )


def trial(of, outcome=TrialOutcome.PUSHED, days_ago=1, run="run-1"):
    return Trial(at=NOW - timedelta(days=days_ago), run=run, origin=of, outcome=outcome, version=7)


def decided(newest, *events, served=None, measured=(), **settings):
    """Returns the decision, and which kinds were measured."""
    asked = []

    def measure(kinds):
        asked.extend(kinds)
        return [Reason(kind=kind, text=f"{kind} was measured") for kind in measured if kind in kinds]

    evidence = Evidence(newest, served, Ledger(events=events), NOW)
    return decide(evidence, DecisionSettings(**{"reasons": ALL} | settings), measure), asked


def kinds(decision):
    return [str(reason.kind) for reason in decision.reasons]


def test_the_first_model_is_trained():
    decision, measured = decided(origin())
    assert (decision.trains, kinds(decision), measured) == (True, ["first"], [])


def test_a_failure_to_push_the_first_model_is_not_repeated_every_day():
    decision, _ = decided(origin(), trial(origin(), TrialOutcome.NOT_BLESSED))
    assert not decision.trains
    assert decision.summary == (
        "not to train: tiles 1.0.0 was trained on by this recipe in run run-1, and the model was not blessed"
    )


def test_what_was_rolled_back_is_said_to_be():
    rollback = Rollback(at=NOW, version=7, content="x", origin=origin(), restored=6)
    decision, _ = decided(origin(), trial(origin()), rollback)
    assert decision.notes == (
        "tiles 1.0.0 was trained on by this recipe in run run-1, and the model was pushed as version 7, "
        "and rolled back",
    )


def test_new_data_is_a_reason_with_its_numbers():
    decision, measured = decided(origin("1.1.0", examples=130), trial(origin()))
    assert kinds(decision) == ["data"]
    assert decision.summary == "to train: new data: tiles 1.1.0, before 1.0.0 (130 train, 20 test)".replace(
        "before 1.0.0", "before tiles 1.0.0"
    )
    assert decision.reasons[0].numbers["train_examples_before"] == 100
    assert measured == [], "nothing need be paid to see that"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": "other"}, "the settings of preprocessing and training changed"),
        ({"code": "other"}, "the code of preprocessing and training changed"),
        ({"epochs": 9}, "the epochs, 9 instead of 8, of preprocessing and training changed"),
    ],
)
def test_another_recipe_is_a_reason(changed, said):
    decision, _ = decided(origin(**changed), trial(origin()))
    assert kinds(decision) == ["recipe"]
    assert decision.reasons[0].text == said
    assert not decided(origin(**changed), trial(origin()), reasons=("data", "gate"))[0].trains


@pytest.mark.parametrize("changed", [{"gate": "other"}, {"min_accuracy": 0.9}])
def test_other_bounds_are_a_reason(changed):
    assert kinds(decided(origin(**changed), trial(origin()))[0]) == ["gate"]


@pytest.mark.parametrize(("days", "trains"), [(89, False), (90, True)])
def test_age_counts_from_the_last_training(days, trains):
    served = Served("7", origin(), NOW - timedelta(days=400))
    decision, _ = decided(origin(), trial(origin(), days_ago=days), served=served, max_age="90d")
    assert decision.trains is trains
    assert kinds(decision) == (["age"] if trains else [])


def test_age_of_a_model_of_an_earlier_ledger_counts_from_its_push():
    served = Served("7", origin(), NOW - timedelta(weeks=27))
    assert kinds(decided(origin(), served=served, max_age="26w")[0]) == ["age"]


class TestWhereNewDataAloneIsNoReason:
    def test_drift_and_gate_are_measured_on_it(self):
        decision, measured = decided(origin("1.1.0"), trial(origin()), reasons=("drift", "gate"))
        assert not decision.trains
        assert measured == [ReasonKind.DRIFT, ReasonKind.GATE]
        assert "tiles 1.1.0 is not what was trained on last, which is no reason by itself" in decision.notes

    def test_what_is_measured_is_a_reason(self):
        decision, _ = decided(origin("1.1.0"), trial(origin()), reasons=("drift", "gate"), measured=[ReasonKind.GATE])
        assert kinds(decision) == ["gate"]

    def test_only_what_is_a_reason_is_measured(self):
        _, measured = decided(origin("1.1.0"), trial(origin()), reasons=("drift",))
        assert measured == [ReasonKind.DRIFT]


def test_new_images_to_judge_by_alone_have_the_served_model_measured():
    decision, measured = decided(origin(test="grown"), trial(origin()))
    assert measured == [ReasonKind.DRIFT, ReasonKind.GATE]
    assert not decision.trains


def test_unchanged_data_is_not_measured():
    assert decided(origin(), trial(origin()))[1] == []


def test_a_version_that_was_withdrawn_is_told_and_trains_nothing():
    served = Served("8", origin("1.1.0"), NOW)
    decision, _ = decided(
        origin(examples=90), trial(origin(examples=90), run="old"), trial(origin("1.1.0")), served=served
    )
    assert not decision.trains
    assert decision.notes[0].startswith("tiles 1.0.0 was trained on by this recipe in run old")
    assert "the newest data is tiles 1.0.0 again, and tiles 1.1.0 is gone" in decision.notes
    assert any("petseg models rollback" in note for note in decision.notes)


def test_1_10_comes_after_1_9():
    decision, _ = decided(origin("1.10.0"), trial(origin("1.9.0")))
    assert not any("again" in note for note in decision.notes)


class TestSmallerData:
    def test_is_refused(self):
        with pytest.raises(
            DataError, match=r"80 instead of 100 of the split 'train'.*served model stays.*smaller_data"
        ):
            decided(origin("1.1.0", examples=80), trial(origin()))

    def test_is_told_where_it_is_meant(self):
        decision, _ = decided(origin("1.1.0", examples=80), trial(origin()), smaller_data="warn")
        assert decision.trains
        assert any("fewer examples" in note for note in decision.notes)

    def test_counts_from_what_the_served_model_was_trained_on(self):
        served = Served("7", origin("1.0.0", examples=90), NOW)
        lost = trial(origin("1.1.0"), TrialOutcome.NOT_BLESSED)
        again = origin("1.1.0", examples=95).model_copy(update={"digests": {"train": "x", "eval": "x", "test": "x"}})
        assert decided(again, lost, served=served)[0].trains, "1.1.0 was withdrawn, and made anew"
        with pytest.raises(DataError, match="89 instead of 90"):
            decided(origin("1.2.0", examples=89), lost, served=served)

    def test_of_the_same_version_is_refused_as_well(self):
        with pytest.raises(DataError, match=r"tiles 1\.0\.0 has fewer examples than tiles 1\.0\.0 had: 80"):
            decided(origin(examples=80, test="other"), trial(origin()))

    def test_is_as_it_should_be_where_a_window_moves(self):
        assert decided(origin("1.1.0", examples=80), trial(origin()), has_window=True)[0].trains

    def test_of_another_data_set_says_nothing(self):
        other = origin("1.1.0", examples=80).model_copy(update={"dataset": "roofs"})
        assert decided(other, trial(origin()))[0].trains


def test_the_end_of_a_freeze_is_a_reason_once():
    frozen, over = Freeze(at=NOW, reason="fair", by="ann@office"), Unfreeze(at=NOW)
    waiting = trial(origin(), TrialOutcome.FROZEN)
    decision, _ = decided(origin(), frozen, waiting)
    assert not decision.trains
    assert any("frozen: fair" in note for note in decision.notes)
    assert kinds(decided(origin(), frozen, waiting, over)[0]) == ["unfrozen"]
    assert not decided(origin(), frozen, waiting, over, trial(origin()))[0].trains


def test_a_served_model_of_an_earlier_petseg_is_trained_anew():
    decision, _ = decided(origin(), served=Served("7", Origin(), None))
    assert kinds(decision) == ["data"]
