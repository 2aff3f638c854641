"""The page of a history: what it shows and says, and that it stands alone."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import made_up_history as made_up
import pytest

from pipeline.history.charts import history_chart
from pipeline.history.entries import Entry, FreezeEntry, RollbackEntry, RunEntry, RunOutcome, Source
from pipeline.history.page import history_page, save_plot, write_page
from pipeline.history.timeline import History
from pipeline.report.page import html
from trainer_module.errors import ConfigError, PetsegError

TIME = datetime(2026, 11, 29, 3, 4, tzinfo=UTC)


def day(number: float) -> datetime:
    return TIME + timedelta(days=number)


def run(number: float, **fields) -> RunEntry:
    known = {"at": day(number), "sources": (Source.RECORD,), "outcome": RunOutcome.PUSHED, "run": f"run-{number}"}
    return RunEntry(**{**known, **fields})


EVENTFUL: tuple[Entry, ...] = (
    run(0, version=10, metrics=made_up.measured(0.7)),
    run(1, outcome=RunOutcome.NOTHING_TO_DO),
    run(2, outcome=RunOutcome.NOTHING_TO_DO),
    run(
        3,
        outcome=RunOutcome.NOT_BLESSED,
        reason="<b>too bad</b>",
        metrics=made_up.measured(0.6, served=0.65),
        served_version="10",
        drift={"contrast": 0.4},
        drifted=("contrast",),
    ),
    run(4, version=20, metrics=made_up.measured(0.75, served=0.66), served_version="10", drift={"contrast": 0.01}),
    RollbackEntry(at=day(5), version=20, restored=10, copy_version=30, sources=(Source.LEDGER,)),
    run(6, outcome=RunOutcome.FAILED, reason="Trainer: no memory"),
    FreezeEntry(kind="freeze", at=day(7), reason="a fair", sources=(Source.LEDGER,)),
)


def history(*entries: Entry, pipeline: str = "tiles") -> History:
    return History.of(pipeline, ["/d"], entries)


def titles(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter("title")]


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter("text")]


@pytest.fixture(scope="module")
def chart() -> str:
    return history_chart("c", history(*EVENTFUL))


def test_the_chart_shows_each_model_with_its_interval(chart):
    said = titles(chart)
    assert "2026-12-02 03:04 UTC, run-3: mean IoU 0.6000 (0.5880 to 0.6120), not blessed" in said
    assert "2026-12-03 03:04 UTC, run-4: accuracy 0.8700 (0.8580 to 0.8820), pushed 20" in said
    assert "2026-12-05 03:04 UTC, run-6: failed" in said


def test_the_chart_shows_what_was_served_as_it_was_measured_last(chart):
    said = titles(chart)
    assert "version 10, served since 2026-11-29 03:04 UTC: mean IoU 0.6600" in said
    assert "version 20, served since 2026-12-03 03:04 UTC: mean IoU 0.7500" in said
    assert "version 30 (10 again), served since 2026-12-04 03:04 UTC: mean IoU 0.7000" in said


def test_the_chart_shows_events_drift_and_age(chart):
    said = titles(chart)
    assert "2026-12-04 03:04 UTC: rollback of 20 to 10" in said
    assert "frozen since 2026-12-06 03:04 UTC: a fair" in said
    assert "2026-12-02 03:04 UTC, run-3: contrast 0.400, beyond its bound" in said
    assert "2026-12-03 03:04 UTC, run-4: contrast 0.010" in said
    assert "version 30, pushed first 2026-11-29 03:04 UTC" in said
    assert {"accuracy", "mean IoU", "drift", "pushed", "refused", "failed", "nothing to do"} <= set(texts(chart))


def test_the_chart_says_what_it_shows(chart):
    label = ElementTree.fromstring(chart).get("aria-label")
    assert "of tiles over time, 2026-11-29 to 2026-12-06; 6 runs: 2 pushed, 1 not blessed, 2 nothing to do" in label


@pytest.mark.parametrize(
    "entries",
    [
        (run(0, outcome=RunOutcome.FAILED),),
        (run(0, metrics={"mean_iou": None}),),
        (FreezeEntry(kind="freeze", at=TIME, reason="x", sources=(Source.LEDGER,)),),
        (RollbackEntry(at=TIME, version=2, restored=1, sources=(Source.LEDGER,)),),
    ],
)
def test_a_history_of_next_to_nothing_is_drawn(entries):
    assert "UTC" in texts(history_chart("c", history(*entries)))


def test_a_window_is_drawn_within_its_bounds():
    """What was served before it begins comes from its left edge."""
    late = history(*EVENTFUL).since(day(2.5))
    axis = [text for text in texts(history_chart("c", late)) if re.fullmatch(r"0?[1-9]|[12]\d|30|Dec", text)]
    assert "29" not in axis


def test_many_runs_are_drawn_without_words():
    many = [run(number, metrics=made_up.measured(0.7)) for number in range(450)]
    assert titles(history_chart("c", history(*many))) == []


def test_a_plot_is_a_picture_of_its_own(tmp_path):
    for suffix, beginning in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        file = tmp_path / "new" / f"plot.{suffix}"
        save_plot([history(*EVENTFUL[:2]), history(pipeline="empty")], file)
        assert file.read_bytes().startswith(beginning)


def test_a_plot_is_of_one_pipeline(tmp_path):
    with pytest.raises(ConfigError, match="there are a, b; name its configuration"):
        save_plot([history(*EVENTFUL, pipeline="a"), history(*EVENTFUL, pipeline="b")], tmp_path / "plot.svg")
    with pytest.raises(PetsegError, match="nothing to draw"):
        save_plot([history()], tmp_path / "plot.svg")


@pytest.fixture(scope="module")
def page() -> str:
    return html(history_page([history(*EVENTFUL)], Path("/root")))


def test_the_page_has_a_row_a_run_and_event_and_folds_idle_firings(page):
    [table] = re.findall(r'id="runs-and-events".*?</section>', page, re.DOTALL)
    rows = [re.sub(r"<[^>]+>|\s+", " ", row) for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)][1:]
    assert [row.split()[0] for row in rows] == [f"{day(number):%Y-%m-%d}" for number in (7, 6, 5, 4, 3, 1, 0)]
    assert "2 firings, nothing to do until 2026-12-01" in " ".join(rows[5].split())
    assert "freeze: nothing is pushed" in rows[0]
    assert "rollback: to 10 version 20 is withdrawn, 10 is served as 30" in " ".join(rows[2].split())


def test_each_idle_firing_has_its_row_where_that_is_wanted():
    page = html(history_page([history(*EVENTFUL)], Path("/root"), unfolded=True))
    assert "run-1" in page
    assert "run-2" in page
    assert "2 firings" not in page


def test_the_page_says_first_what_is_served_and_whether_pushes_are_frozen(page):
    assert "Pushes are frozen: a fair" in page
    unfrozen = html(history_page([history(*EVENTFUL[:-1])], Path("/root")))
    assert "Version 30 is served since 04 December 2026" in unfrozen


def test_the_page_stands_alone_and_shows_data_as_it_is(page):
    assert "&lt;b&gt;too bad&lt;/b&gt;" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)


def test_a_page_of_several_pipelines_has_sections_of_each():
    page = html(history_page([history(*EVENTFUL, pipeline="a"), history(pipeline="b")], Path("/root")))
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["a: Over time", "a: Runs and events", "b: Over time"]
    assert "Nothing happened in that time." in page


def test_a_page_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PetsegError, match=r"cannot write the page .* name another --html"):
        write_page([history(*EVENTFUL)], tmp_path, tmp_path / "file" / "page.html")
