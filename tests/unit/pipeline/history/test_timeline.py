"""What a history makes of its entries: their order, what was served and frozen, what is folded and counted."""

from datetime import UTC, datetime, timedelta

import pytest

from components.retraining_decider.decision import Decision, Reason, ReasonKind
from pipeline.history.entries import FreezeEntry, RollbackEntry, RunEntry, RunOutcome, Source
from pipeline.history.timeline import History, folded

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LEDGER = (Source.LEDGER,)


def day(number: float) -> datetime:
    return BEGIN + timedelta(days=number)


def run(number: float, outcome: RunOutcome = RunOutcome.PUSHED, **fields) -> RunEntry:
    return RunEntry(at=day(number), run=f"run-{number}", outcome=outcome, sources=LEDGER, **fields)


def idle(number: float) -> RunEntry:
    return run(number, RunOutcome.NOTHING_TO_DO)


def rollback(number: float, version: int, restored: int, **fields) -> RollbackEntry:
    return RollbackEntry(at=day(number), version=version, restored=restored, sources=LEDGER, **fields)


def history(*entries) -> History:
    return History.of("p", ["/d"], entries)


def test_entries_come_in_the_order_of_time():
    assert [entry.at for entry in history(run(3), rollback(2, 1, 0), run(1)).entries] == [day(1), day(2), day(3)]


def test_nothing_is_served_where_nothing_was_pushed():
    empty = history(run(1, RunOutcome.NOT_BLESSED))
    assert empty.served == ()
    assert empty.served_now is None


def test_each_version_is_served_until_the_next():
    served = history(run(1, version=10), run(2, RunOutcome.NOT_BLESSED), run(4, version=40)).served
    assert [(one.version, one.since, one.until) for one in served] == [(10, day(1), day(4)), (40, day(4), None)]


def test_a_push_counts_from_when_the_model_was_pushed_and_not_from_the_end_of_its_run():
    """The run goes on for its report, and a rollback may come before it ends."""
    told = history(run(1, version=10), run(3, version=20, pushed_at=day(2)), rollback(2.5, 20, 10))
    assert [(one.version, one.since) for one in told.served] == [(10, day(1)), (20, day(2)), (10, day(2.5))]


def test_a_failed_run_that_had_pushed_is_served():
    assert history(run(1, RunOutcome.FAILED, version=10)).served_now.version == 10


@pytest.mark.parametrize(("copy_version", "number"), [(30, 30), (None, 10)])
def test_a_rollback_brings_the_age_and_the_metrics_of_the_model_back(copy_version, number):
    told = history(
        run(1, version=10, metrics={"mean_iou": 0.7}),
        run(2, version=20),
        rollback(3, 20, 10, copy_version=copy_version),
    )
    now = told.served_now
    assert (now.version, now.copy_of, now.since, now.pushed_first) == (number, 10, day(3), day(1))
    assert now.metrics == {"mean_iou": 0.7}
    assert now.run == "run-1"


def test_a_rollback_of_a_rollback_keeps_the_first_push():
    told = history(
        run(1, version=10),
        run(2, version=20),
        rollback(3, 20, 10, copy_version=30),
        run(4, version=40),
        rollback(5, 40, 30, copy_version=50),
    )
    assert (told.served_now.version, told.served_now.pushed_first) == (50, day(1))


def test_a_model_whose_push_is_not_known_has_no_age():
    assert history(rollback(3, 20, 10)).served_now.pushed_first is None


def test_a_freeze_lasts_until_it_is_ended_or_said_anew():
    first = FreezeEntry(kind="freeze", at=day(1), reason="a", sources=LEDGER)
    again = FreezeEntry(kind="freeze", at=day(2), reason="b", by="ann", sources=LEDGER)
    end = FreezeEntry(kind="unfreeze", at=day(3), sources=LEDGER)
    frozen = history(first, again)
    assert [(one.since, one.until) for one in frozen.freezes] == [(day(1), day(2)), (day(2), None)]
    assert (frozen.freeze.reason, frozen.freeze.by) == ("b", "ann")
    assert history(first, again, end).freeze is None
    assert history(end).freezes == ()


def test_idle_firings_one_after_another_are_one_line():
    entries = history(idle(1), idle(2), run(3), idle(4), rollback(5, 2, 1), idle(6), idle(7)).entries
    assert [len(group) for group in folded(entries)] == [2, 1, 1, 1, 2]
    assert [len(group) for group in folded(entries, unfolded=True)] == [1] * 7


def test_a_window_keeps_what_is_served_and_frozen():
    told = history(
        run(1, version=10), run(2, version=20), FreezeEntry(kind="freeze", at=day(3), sources=LEDGER), idle(4), idle(5)
    )
    late = told.since(day(4))
    assert [entry.at for entry in late.entries] == [day(4), day(5)]
    assert [one.version for one in late.served] == [20]
    assert late.freeze is not None
    nothing = told.since(day(9))
    assert nothing.entries == ()
    assert nothing.served_now.version == 20


def test_the_last_lines_are_those_that_are_shown():
    told = history(run(1), idle(2), idle(3), idle(4))
    assert [entry.at for entry in told.last(1).entries] == [day(2), day(3), day(4)]
    assert [entry.at for entry in told.last(1, unfolded=True).entries] == [day(4)]
    assert len(told.last(9).entries) == 4


def test_what_happened_is_counted():
    counts = history(run(1, version=1), run(2, version=2), run(3, RunOutcome.FROZEN), idle(4), rollback(5, 2, 1)).counts
    assert (counts.runs, counts.rollbacks, counts.refused) == (4, 1, 1)
    assert counts.outcomes == {RunOutcome.PUSHED: 2, RunOutcome.FROZEN: 1, RunOutcome.NOTHING_TO_DO: 1}


def test_a_run_with_two_reasons_counts_for_both():
    def trained(number: int, outcome: RunOutcome, *kinds: ReasonKind, version: int | None = None) -> RunEntry:
        reasons = tuple(Reason(kind=kind, text="") for kind in kinds)
        return run(number, outcome, decision=Decision(trains=True, reasons=reasons), version=version)

    told = history(
        trained(1, RunOutcome.PUSHED, ReasonKind.DATA, version=1),
        trained(2, RunOutcome.NOT_BLESSED, ReasonKind.DATA, ReasonKind.DRIFT),
        idle(3),
    )
    assert [(one.reason, one.runs, one.pushed, one.refused) for one in told.reason_counts] == [
        ("data", 2, 1, 1),
        ("drift", 1, 0, 1),
    ]
