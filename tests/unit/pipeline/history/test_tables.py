"""The table of a history: what its lines say, and that they fit."""

from datetime import UTC, datetime, timedelta

import made_up_history as made_up
import pytest
from rich.console import Console

from components.retraining_decider.decision import Decision, Reason, ReasonKind
from pipeline.history.entries import Entry, FreezeEntry, RollbackEntry, RunEntry, RunOutcome, Source
from pipeline.history.reading import read_histories
from pipeline.history.tables import change_text, event_reason, event_text, history_report, outcome_text, reason_text
from pipeline.history.timeline import History
from pipeline.runs.store import RunStore

TIME = datetime(2026, 11, 29, 3, 4, 5, tzinfo=UTC)
REASONS = tuple(Reason(kind=kind, text=f"why {kind}") for kind in (ReasonKind.DATA, ReasonKind.DRIFT))


def run(**fields) -> RunEntry:
    return RunEntry(**{"at": TIME, "sources": (Source.RECORD,), "outcome": RunOutcome.PUSHED, "run": "run-1", **fields})


def idle(days: int) -> RunEntry:
    return run(at=TIME + timedelta(days=days), run=f"idle-{days}", outcome=RunOutcome.NOTHING_TO_DO)


def lines(*entries: Entry, width: int = 100, unfolded: bool = False) -> list[str]:
    """Returns what is printed."""
    console = Console(width=width, color_system=None)
    with console.capture() as printed:
        console.print(history_report(History.of("p", [], entries), width=width, unfolded=unfolded))
    return [line.rstrip() for line in printed.get().splitlines()]


def test_a_run_is_a_line():
    trained = run(
        decision=Decision(trains=True, reasons=REASONS),
        dataset="tiles",
        dataset_version="1.2.0",
        metrics=made_up.measured(0.8, served=0.75),
        version=1767322800,
        drift={"contrast": 0.314, "height": 0.2},
        drifted=("contrast",),
    )
    heading, columns, line, *_ = (" ".join(line.split()) for line in lines(trained))
    assert heading == "p, tiles"
    assert columns == "run, or UTC why data accuracy mean IoU change what became of it drift"
    assert line == "run-1 data, drift 1.2.0 0.9200 0.8000 +0.0500 pushed 1767322800 0.31 contrast"


def test_a_change_that_may_be_chance_is_marked():
    assert change_text(run(metrics=made_up.measured(0.8, served=0.797))) == "+0.0030~"
    assert change_text(run(metrics=made_up.measured(0.8, served=0.9))) == "-0.1000"
    assert change_text(run(metrics=made_up.measured(0.8))) == ""


def test_data_sets_are_named_where_they_differ():
    heading, _, first, second, *_ = lines(run(dataset="a", dataset_version="1"), run(dataset="b", dataset_version="1"))
    assert heading == "p"
    assert first.split()[1:3] == ["a", "1"]
    assert second.split()[1:3] == ["b", "1"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"version": 17}, "pushed 17"),
        ({"version": 17, "forced_because": "x"}, "pushed by force 17"),
        ({"version": 17, "outcome": RunOutcome.FAILED}, "failed, pushed 17"),
        ({"outcome": RunOutcome.NOT_SERVABLE}, "not servable"),
        ({"outcome": RunOutcome.FROZEN}, "frozen"),
    ],
)
def test_what_became_of_a_run_in_words(fields, text):
    assert outcome_text(run(**fields)) == text


def test_the_reason_says_why_it_trained_and_why_it_was_not_pushed():
    failed = run(
        outcome=RunOutcome.FAILED, decision=Decision(trains=True, reasons=REASONS), reason="Trainer: no memory"
    )
    assert reason_text(failed) == "why data; why drift; Trainer: no memory"
    assert reason_text(run(forced_because="a fair")) == "a fair"


@pytest.mark.parametrize(
    ("entry", "text", "reason"),
    [
        (
            {"version": 2, "restored": 1, "copy_version": 3},
            ("rollback", "to 1"),
            "version 2 is withdrawn, 1 is served as 3",
        ),
        ({"version": None, "restored": 1}, ("rollback", "to 1"), ""),
        ({"kind": "freeze", "reason": "a fair", "by": "ann"}, ("freeze", "nothing is pushed"), "a fair, by ann"),
        ({"kind": "unfreeze", "by": "ann"}, ("unfreeze", "pushed again"), "by ann"),
    ],
)
def test_an_event_in_words(entry, text, reason):
    kind = RollbackEntry if "restored" in entry else FreezeEntry
    made = kind(at=TIME, sources=(Source.LEDGER,), **entry)
    assert (event_text(made), event_reason(made)) == (text, reason)


def test_an_event_is_a_line_with_its_time():
    event = RollbackEntry(at=TIME, version=2, restored=1, sources=(Source.LEDGER,))
    assert lines(event)[2].split() == ["20261129-030405", "rollback", "to", "1"]


def test_idle_firings_are_folded_unless_each_is_wanted():
    entries = [idle(0), idle(1), idle(2), run(at=TIME + timedelta(days=3))]
    folded = lines(*entries)[2:4]
    assert folded[0].split() == ["idle-0", "3", "firings", "nothing", "until", "2026-12-01"]
    assert folded[1].split()[0] == "run-1"
    assert [line.split()[0] for line in lines(*entries, unfolded=True)[2:6]] == ["idle-0", "idle-1", "idle-2", "run-1"]


def test_the_last_lines_say_what_it_comes_to():
    freeze = FreezeEntry(kind="freeze", at=TIME, reason="a fair", by="ann", sources=(Source.LEDGER,))
    pushed = run(version=17, metrics={"accuracy": 0.9, "mean_iou": None})
    rollback = RollbackEntry(at=TIME + timedelta(1), version=17, restored=16, copy_version=18, sources=(Source.LEDGER,))
    assert lines(pushed, idle(1), rollback, freeze)[-3:] == [
        "2 runs: 1 pushed, 1 nothing to do; 1 rollback",
        "served: version 18 (version 16 again) since 2026-11-30 03:04 UTC",
        "pushes are frozen since 2026-11-29 03:04 UTC by ann: a fair",
    ]
    assert lines(pushed)[-1] == "served: version 17 since 2026-11-29 03:04 UTC, accuracy 0.9000, mean IoU undefined"
    assert lines(idle(0))[-1] == "nothing is served"


@pytest.fixture(scope="module")
def year(tmp_path_factory) -> History:
    root = tmp_path_factory.mktemp("year")
    made_up.write_year(root)
    [history] = read_histories(RunStore(root), None, pytest.fail)
    return history


def test_a_year_fits_a_hundred_columns_and_no_id_is_cut(year):
    printed = lines(*year.entries)
    assert max(map(len, printed)) <= 100
    ids = {entry.run for entry in year.runs if entry.outcome is not RunOutcome.NOTHING_TO_DO}
    assert ids <= {line.split()[0] for line in printed if line}
    assert len(printed) < 110
    versions = {str(entry.version) for entry in year.runs if entry.version is not None}
    assert versions <= {word for line in printed for word in line.split()}


def test_there_is_room_for_reasons_in_a_wide_terminal(year):
    assert "reason" not in lines(*year.entries)[1]
    assert any("no space left on the device" in line for line in lines(*year.entries, width=200))
