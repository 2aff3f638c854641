"""`petseg clean`: what it shows, asks, removes and says; and what is said of a run that was cleaned."""

import json
import os
import sys

import pytest
from root_of_runs import RootOfRuns

from pipeline.cli import exit_code
from pipeline.housekeeping import cleaning
from pipeline.housekeeping.cleaning import housekeeping
from pipeline.runs.store import CLEANING, RunStore


@pytest.fixture
def root(root) -> RootOfRuns:
    root.runs = [root.run(), root.run()]
    return root


@pytest.fixture
def clean(root, capsys):
    """Runs the command; returns its exit code, and what it printed."""

    def run(*arguments: str):
        code = exit_code(["clean", "--set", "pipeline.name=pets", *arguments, "--pipeline-root", str(root.root)])
        return code, *capsys.readouterr()

    return run


def is_there(root: RootOfRuns, number: int) -> bool:
    return root.artifact(root.runs[number], "Trainer").is_dir()


def test_a_dry_run_shows_what_would_go_and_why_the_rest_stays(root, clean):
    root.push(root.run(), 3)
    code, out, err = clean("--keep", "1", "--dry-run")
    assert code == 0
    assert err == ""
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert lines[1][1].endswith("in use: version 3, which is served")
    assert {lines[2][0], lines[3][0]} == {*root.runs}
    assert out.count("record and report") == 2
    assert "temporary files (" in out
    assert out.splitlines()[-1].endswith(" can be freed")
    assert is_there(root, 0)
    assert is_there(root, 1)


def test_what_is_agreed_to_goes_and_what_was_freed_is_said(root, clean, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    asked = []

    def confirm(text, **_):
        asked.append(text)

    monkeypatch.setattr("click.confirm", confirm)
    code, out, _ = clean("--keep", "1")
    assert code == 0
    assert asked == [f"remove it from {str(root.root)!r}?"]
    assert out.splitlines()[-1].startswith("freed ")
    assert [is_there(root, number) for number in (0, 1)] == [False, True]
    code, out, _ = clean("--keep", "1")
    assert (code, len(asked)) == (0, 1)
    assert out.splitlines()[-1].startswith("there is nothing to remove; ")


def test_nothing_goes_that_nobody_agreed_to(root, clean, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert clean("--keep", "1")[0] == 130
    assert is_there(root, 0)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    code, _, err = clean("--keep", "1")
    assert code == 2
    assert "give --yes, or --dry-run" in err


def test_what_was_not_shown_does_not_go(root, clean, monkeypatch):
    """A run was completed while somebody was asked."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: root.run())
    code, _, err = clean("--keep", "1")
    assert code == 1
    assert "nothing was removed: run petseg clean again" in err
    assert is_there(root, 0)
    assert is_there(root, 1)


def test_json_tells_what_goes_and_what_came_of_it(root, clean):
    code, out, err = clean("--keep", "1", "--yes", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert [run["stays"] for run in told["runs"]] == ["the latest complete run", None]
    assert told["runs"][1]["run_id"] == root.runs[0]
    assert told["runs"][1]["remains"] == "record and report"
    assert told["removed"]["freed"] >= told["frees"] >= told["runs"][1]["frees"] > 4 * 64 * 1024
    assert told["removed"]["left"] < told["total"]
    assert {leftover["what"] for leftover in told["leftovers"]} == {"temporary files"}


def test_json_cannot_ask(clean):
    code, out, err = clean("--keep", "1", "--json")
    assert (code, out) == (2, "")
    assert "--yes" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing says what may go: give --keep N"),
        (["--keep", "0"], "0 is not in the range x>=1"),
        (["--older-than", "30"], "expected days, as 30d, or weeks, as 8w; got '30'"),
        (["--max-size", "20"], "in kB, MB, GB or TB"),
        (["--max-size", "0GB"], "expected a size above 0"),
        (["--set", "housekeeping.max_size=20"], "housekeeping.max_size"),
        (["--set", "housekeeping.keep_run=2"], "did you mean 'housekeeping.keep_runs'?"),
    ],
)
def test_bad_usage_is_named(clean, arguments, message):
    code, _, err = clean("--dry-run", *arguments)
    assert code == 2
    assert message in " ".join(err.split())


def test_the_configuration_says_how_many_and_the_command_line_overrules_it(root, clean):
    runs = [*root.runs, root.run(), root.run()]
    assert clean("--set", "housekeeping.keep_runs=1", "--keep", "3", "--yes")[0] == 0
    assert [root.artifact(run, "Trainer").is_dir() for run in runs] == [False, True, True, True]
    assert clean("--set", "housekeeping.keep_runs=2", "--yes")[0] == 0
    assert [root.artifact(run, "Trainer").is_dir() for run in runs] == [False, False, True, True]


def test_a_root_that_stays_too_large_is_told_with_numbers(root, clean):
    code, _, err = clean("--max-size", "100kB", "--yes")
    assert code == 3
    assert "more than the 100.0 kB it may" in err
    assert "kB in artifacts, " in err
    assert [is_there(root, number) for number in (0, 1)] == [False, True]


def test_a_root_that_is_not_there_is_named(tmp_path, capsys):
    assert exit_code(["clean", "--keep", "1", "--yes", "--pipeline-root", str(tmp_path / "typo")]) == 1
    assert "there is no pipeline root" in capsys.readouterr().err


def test_a_run_that_goes_on_keeps_the_root(root, clean):
    with root.store.lock(root.runs[1]):
        code, _, err = clean("--keep", "1", "--yes")
        assert clean("--keep", "1", "--dry-run")[0] == 0
    assert code == 1
    assert f"run {root.runs[1]}" in err
    assert is_there(root, 0)


def test_a_cleaned_run_is_told_as_one(root, clean, capsys):
    clean("--keep", "1", "--yes")
    old = root.runs[0]
    place = ["--pipeline-root", str(root.root)]
    page = root.store.runs_dir / old / "report.html"
    kept = page.read_text()
    gone = f"what the components of run {old} left was removed by petseg clean on "
    assert exit_code(["runs", "show", old, *place]) == 0
    assert gone in capsys.readouterr().out
    assert exit_code(["report", old, *place]) == 0
    out, err = capsys.readouterr()
    assert out == f"{page}\n"
    assert gone in err
    assert page.read_text() == kept
    for command in (["report", old, "--output", str(root.root / "new.html")], ["pictures", old]):
        assert exit_code([*command, *place]) == 1
        assert gone in capsys.readouterr().err


def test_housekeeping_does_what_the_configuration_says_and_nothing_without(root):
    assert housekeeping(root.config(), root.store) == []
    [line] = housekeeping(root.config("housekeeping.keep_runs=1"), root.store)
    assert line.startswith("cleaned: freed ")
    assert [is_there(root, number) for number in (0, 1)] == [False, True]
    assert housekeeping(root.config("housekeeping.keep_runs=1"), root.store) == []
    lines = housekeeping(root.config("housekeeping.max_size=1kB"), root.store)
    assert [line.split(":")[0] for line in lines] == ["cleaned", "warning"], "reports go, and it is still too large"
    assert "more than the 1.0 kB it may" in lines[1]


def test_housekeeping_fails_nobody(root, monkeypatch):
    config = root.config("housekeeping.keep_runs=1")
    with root.store.lock("20260101-000000-000000"):
        [line] = housekeeping(config, root.store)
    assert line.startswith("warning: nothing was cleaned: another run uses")
    for error in (OSError(28, "No space left on device"), KeyError("odd")):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr(cleaning, "carry_out", fail)
        [line] = housekeeping(config, root.store)
        assert line.startswith("warning: nothing was cleaned: ")


def test_a_root_that_is_being_cleaned_is_no_run_and_is_waited_for(root, capsys, monkeypatch):
    store = RunStore(root.root)
    with store.lock(CLEANING):
        assert store.active_run() is None
        descriptor = os.open(root.root / ".lock", os.O_RDONLY)
        monkeypatch.setattr("pipeline.runs.store._LOCK_WAIT_SECONDS", 0.01)
        monkeypatch.setattr("pipeline.runs.store._CLEANING_SECONDS", 0.1)
        with pytest.raises(Exception, match="another run uses"), store.lock("run"):
            pytest.fail("two hold the root")
        os.close(descriptor)
    assert f"waiting until old runs under {str(root.root)!r} are removed" in capsys.readouterr().err
    with store.lock("run"):
        assert store.active_run() == "run"
