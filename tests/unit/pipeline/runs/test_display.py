"""What a run looks like on a terminal and in a file."""

import io
import json
import re

import pytest
from rich.console import Console

from components.model_evaluator.gate import BoundResult
from pipeline.config.loading import load_config
from pipeline.runs import display as display_module
from pipeline.runs.display import LiveDisplay, PlainDisplay, open_display
from pipeline.runs.progress import ProgressFollower
from pipeline.runs.record import NodeRecord, NodeState, ProbeRecord, RunRecord, RunState
from pipeline.runs.tables import duration, remote_runs_table, result_lines, run_details, runs_table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def record(tmp_path) -> RunRecord:
    record = RunRecord.begin("20260101-000000-000000", load_config(preset="demo"), tmp_path / "run.log")
    record.nodes = [NodeRecord(id="TfdsExampleGen"), NodeRecord(id="Trainer"), NodeRecord(id="Pusher")]
    return record


@pytest.fixture
def progress_file(tmp_path):
    return tmp_path / "progress.jsonl"


def play(display, record: RunRecord, progress_file) -> None:
    """Plays a run: one cached component, a training of two epochs, one that is skipped."""
    with display.live():
        display.notice("starting")
        change(display, record.nodes[0], NodeState.CACHED, 0.25, "10 [train]")
        change(display, record.nodes[1], NodeState.RUNNING)
        with progress_file.open("w") as file:
            for epoch in (1, 2):
                line = {"epoch": epoch, "epochs": 2, "step": 4, "steps": 4, "loss": 0.5 / epoch, "accuracy": 0.75}
                file.write(json.dumps(line) + "\n")
        change(display, record.nodes[1], NodeState.COMPLETE, 61.0, "trained")
        change(display, record.nodes[2], NodeState.SKIPPED)
        record.finish(RunState.COMPLETE)


def change(display, node: NodeRecord, state: NodeState, seconds: float | None = None, summary: str = "") -> None:
    node.state, node.seconds, node.summary = state, seconds, summary
    display.node_changed(node)


def test_a_file_gets_one_line_a_change(record, progress_file):
    stream = io.StringIO()
    display = open_display(stream, record, ProgressFollower(progress_file))
    assert isinstance(display, PlainDisplay)
    play(display, record, progress_file)
    assert stream.getvalue().splitlines() == [
        "run 20260101-000000-000000 of petseg-demo (preset demo)",
        f"log: {record.log}",
        "starting",
        "TfdsExampleGen: cached, 0.2 s, 10 [train]",
        "Trainer: running",
        "Trainer: epoch 1/2, loss 0.5, accuracy 0.75",
        "Trainer: epoch 2/2, loss 0.25, accuracy 0.75",
        "Trainer: complete, 1 m 01 s, trained",
        "complete after 0.0 s",
    ]


def test_a_terminal_gets_a_table_and_its_cursor_back(record, progress_file, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    display = open_display(stream, record, ProgressFollower(progress_file))
    assert isinstance(display, LiveDisplay)
    display.explain(["the log's [last] line"])
    play(display, record, progress_file)
    shown = stream.getvalue()
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l") >= 0
    final = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown[shown.rindex("\x1b[?25h") :])
    assert "the log's [last] line" in final
    assert re.search(r"TfdsExampleGen +cached +0\.2 s +10 \[train\]", final)
    assert re.search(r"Trainer +complete +1 m 01 s +trained", final)


def test_the_table_follows_the_training(record, progress_file, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    display = LiveDisplay(Terminal(), record, ProgressFollower(progress_file))
    record.nodes[1].state = NodeState.RUNNING
    line = {"epoch": 2, "epochs": 4, "step": 3, "steps": 8, "loss": 0.5, "accuracy": 0.75}
    progress_file.write_text(json.dumps(line) + "\n")
    display._tick()
    console = Console(width=80, file=io.StringIO())
    console.print(display._render())
    table = console.file.getvalue()
    assert "epoch 2/4, loss 0.5, accuracy 0.75" in table
    assert "step 3/8" in table


def test_each_running_component_has_its_own_clock(record, progress_file, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    now = [1000.0]
    monkeypatch.setattr(display_module.time, "monotonic", lambda: now[0])
    display = LiveDisplay(Terminal(), record, ProgressFollower(progress_file))
    change(display, record.nodes[0], NodeState.RUNNING)
    now[0] += 10
    change(display, record.nodes[2], NodeState.RUNNING, seconds=70.0, summary="attempt 2")
    display.notice("the server is away")
    now[0] += 5
    console = Console(width=80, file=io.StringIO())
    console.print(display._render())
    table = console.file.getvalue()
    assert re.search(r"TfdsExampleGen +running +15\.0 s", table)
    assert re.search(r"Pusher +running +1 m 15 s +attempt 2", table)
    assert "the server is away  5.0 s" in table
    display.notice("")
    console.print(display._render())
    assert console.file.getvalue().count("the server is away") == 1


def test_an_empty_notice_is_no_line(record, progress_file):
    stream = io.StringIO()
    PlainDisplay(stream, record, ProgressFollower(progress_file)).notice("")
    assert stream.getvalue() == ""


def test_a_dumb_terminal_gets_lines(record, progress_file, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_display(Terminal(), record, ProgressFollower(progress_file)), PlainDisplay)


def test_the_result_tells_numbers_gate_and_push(record):
    record.metrics = {"mean_iou": 0.61, "iou_border": None}
    record.thresholds = [BoundResult(metric="loss", kind="max", bound=0.5, value=0.6, passed=False)]
    record.blessed, record.seconds = False, 3661.0
    record.finish(RunState.COMPLETE)
    assert result_lines(record) == [
        "complete after 1 h 01 m",
        "mean IoU 0.6100, IoU border undefined",
        "loss 0.6000 ≤ 0.5: not passed (evaluation.thresholds.loss)",
        "not blessed: nothing was pushed",
    ]


def test_the_result_tells_how_to_see_the_curves_where_there_are_any(record, tmp_path):
    record.finish(RunState.COMPLETE)
    record.nodes[0].outputs = {"model_run": str(tmp_path / "my runs")}
    assert not [line for line in result_lines(record) if "tensorboard" in line]
    (tmp_path / "my runs" / "tensorboard").mkdir(parents=True)
    assert result_lines(record)[-1] == f"curves: tensorboard --logdir '{tmp_path}/my runs/tensorboard'"


def test_the_ids_of_runs_on_a_server_are_whole_in_80_columns(record):
    record.run_id, record.pipeline = "5389d9c9-3d7b-4e1b-ac85-e679d9596f87", "petseg-pets 2026-01-01 00:00:00"
    record.seconds = 10 * 3600.0
    console = Console(width=80, file=io.StringIO())
    console.print(remote_runs_table([record], has_verdicts=False))
    row = console.file.getvalue().splitlines()[1]
    assert row.startswith(f"{record.run_id} running       10 h 00 m petseg-pets")


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, ""),
        ({"blessed": True}, "yes"),
        ({"blessed": False}, "no"),
        ({"blessed": False, "force_blessed": "the demo"}, "forced"),
        ({"blessed": True, "probe": ProbeRecord(refusals=["too slow"])}, "refused"),
    ],
)
def test_runs_on_a_server_have_their_verdict_in_a_column(record, fields, verdict):
    for name, value in fields.items():
        setattr(record, name, value)
    console = Console(width=80, file=io.StringIO())
    console.print(remote_runs_table([record], has_verdicts=True))
    head, row = console.file.getvalue().splitlines()
    at = head.index("blessed")
    assert row[at : at + len("blessed")].strip() == verdict


def test_where_the_model_card_is_stands_below_the_report(record):
    record.report, record.model_card = "s3://b/report.html", "s3://b/model_card.md"
    lines = result_lines(record)
    assert lines[lines.index("report: s3://b/report.html") + 1] == "model card: s3://b/model_card.md"


def test_tables_do_not_read_markup_into_what_they_show(record):
    record.nodes[0].summary, record.error = "[bold]", "[red]no"
    console = Console(width=100, file=io.StringIO())
    console.print(run_details(record), runs_table([record]))
    assert "[bold]" in console.file.getvalue()
    assert "error: [red]no" in console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.04, "0.0 s"), (59.9, "59.9 s"), (59.96, "1 m 00 s"), (3599.7, "1 h 00 m")]
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text
