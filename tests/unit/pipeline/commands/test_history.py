"""`petseg history`: what it prints and writes, of which root and time, and its exit codes."""

import json
from datetime import UTC, datetime, timedelta

import click
import made_up_history as made_up
import pytest

from components.model_pusher.ledger import Freeze
from pipeline import cli
from pipeline.commands.history import Since
from pipeline.config.schema import DEFAULT_PIPELINE_ROOT

DAYS = 30
"""Of them 0, 9, 18 and 27 trained for data, 13 for the recipe."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    made_up.write_year(root, DAYS)
    return root


def printed(capsys, *arguments: object) -> str:
    assert cli.exit_code(["history", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def first_words(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.startswith("2026")]


def test_it_prints_the_latest_last_and_folds_idle_firings(root, capsys):
    names = first_words(printed(capsys, "--pipeline-root", root))
    assert names == [
        made_up.run_id(made_up.BEGIN + timedelta(days=day)) for day in (0, 1, 9, 10, 13, 14, 18, 19, 27, 28)
    ]


def test_all_shows_each_firing(root, capsys):
    assert len(first_words(printed(capsys, "--pipeline-root", root, "--all"))) == DAYS


def test_the_last_lines_and_a_time_can_be_chosen(root, capsys):
    names = first_words(printed(capsys, "--pipeline-root", root, "--last", 2))
    assert names == ["20260128-030000-000000", "20260129-030000-000000"]
    since = first_words(printed(capsys, "--pipeline-root", root, "--since", "2026-01-27"))
    assert since == ["20260127-030000-000000", "20260128-030000-000000", "20260129-030000-000000"]


def test_a_time_in_which_nothing_happened_says_what_is_served_all_the_same(root, capsys):
    text = printed(capsys, "--pipeline-root", root, "--since", "2030-01-01")
    assert first_words(text) == []
    assert "no runs" in text
    assert "served: version" in text


def test_json_has_everything_of_every_entry(root, capsys):
    told = json.loads(printed(capsys, "--pipeline-root", root, "--json"))
    [pipeline] = told["pipelines"]
    assert told["root"] == str(root)
    assert (pipeline["pipeline"], len(pipeline["entries"])) == (made_up.PIPELINE, DAYS)
    trained = pipeline["entries"][9]
    assert trained["decision"]["reasons"][0]["kind"] == "data"
    assert trained["metrics"]["mean_iou_low"] < trained["metrics"]["mean_iou"]
    assert trained["sources"] == ["run record", "ledger"]
    assert pipeline["counts"]["outcomes"]["nothing to do"] == 25
    assert pipeline["served_now"] == pipeline["served"][-1]
    assert pipeline["freeze"] is None


def test_page_and_plot_are_written_beside_what_is_printed(root, capsys, tmp_path, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    page, plot = tmp_path / "history.html", tmp_path / "history.png"
    arguments = ["--pipeline-root", root, "--last", "1", "--json", "--html", page, "--plot", plot, "--open"]
    assert cli.exit_code(["history", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    json.loads(out)
    assert err.splitlines() == [f"page: {page}", f"plot: {plot}"]
    assert "20260129-030000-000000" in page.read_text(encoding="utf-8")
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert opened == [str(page)]


def test_a_configuration_names_pipeline_and_root(root, capsys, tmp_path):
    file = tmp_path / "petseg.toml"
    file.write_text(f'preset = "demo"\n[pipeline]\nroot = "{root}"\n')
    assert first_words(printed(capsys, "--config", file, "--last", 1)) == ["20260129-030000-000000"]
    file.write_text(f'preset = "demo"\n[pipeline]\nname = "other"\nroot = "{root}"\n')
    assert cli.exit_code(["history", "--config", str(file)]) == 1
    assert "there are no runs of the pipeline 'other' under" in capsys.readouterr().err


def test_the_root_is_the_default_one_where_none_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_up.save(tmp_path / DEFAULT_PIPELINE_ROOT, made_up.idle(made_up.BEGIN))
    assert first_words(printed(capsys)) == ["20260101-030000-000000"]


def test_nothing_there_is_1(capsys, tmp_path):
    assert cli.exit_code(["history", "--pipeline-root", str(tmp_path / "absent")]) == 1
    assert "`petseg run` starts one" in capsys.readouterr().err
    assert not (tmp_path / "absent").exists()


def test_what_cannot_be_read_is_a_warning(capsys, tmp_path):
    made_up.save(tmp_path, made_up.idle(made_up.BEGIN))
    made_up.write_ledger(tmp_path, Freeze(at=made_up.BEGIN, reason="a fair"))
    (tmp_path / "metadata.sqlite").write_text("no database")
    assert cli.exit_code(["history", "--pipeline-root", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "pushes are frozen" in out
    assert err.startswith("warning: ML Metadata in")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--open"], "--html FILE"),
        (["--plot", "plot.gif"], "has to end in .svg, .png or .pdf"),
        (["--since", "yesterday"], "give a day as 2026-11-29"),
        (["--last", "0"], "0 is not in the range"),
        (["--pipeline-root", "gs://bucket/x"], "a local run needs a directory of this machine"),
    ],
)
def test_bad_usage_is_2(arguments, message, capsys):
    assert cli.exit_code(["history", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-29", datetime(2026, 11, 29, tzinfo=UTC)),
        ("2026-11-29T03:00", datetime(2026, 11, 29, 3, tzinfo=UTC)),
        ("2026-11-29T03:00+02:00", datetime(2026, 11, 29, 1, tzinfo=UTC)),
    ],
)
def test_a_date_is_a_time_in_utc(text, time):
    assert Since().convert(text, None, None) == time


def test_a_date_may_be_how_long_ago():
    for text, days in (("90d", 90), ("26w", 182)):
        ago = datetime.now(UTC) - Since().convert(text, None, None)
        assert abs(ago - timedelta(days=days)) < timedelta(minutes=1)
