"""Following a training by the file its callback writes."""

import json

import pytest

from pipeline.runs.progress import ProgressFollower, TrainingProgress


def line(epoch: int, step: int, **values) -> str:
    return json.dumps({"epoch": epoch, "epochs": 2, "step": step, "steps": 4, "loss": 0.5, **values}) + "\n"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "progress.jsonl"


def test_an_epoch_has_ended_when_the_next_begins_or_training_ends(file):
    follower = ProgressFollower(file)
    assert follower.poll() == []
    file.write_text(line(1, 1) + line(1, 4, val_mean_iou=0.7))
    assert follower.poll() == []
    assert follower.latest.metrics == {"loss": 0.5, "val_mean_iou": 0.7}
    assert follower.latest.describe() == "loss 0.5, val mean IoU 0.7"
    with file.open("a") as appended:
        appended.write(line(2, 1))
    assert [(p.epoch, p.step) for p in follower.poll()] == [(1, 4)]
    assert follower.poll() == []
    assert [(p.epoch, p.step) for p in follower.poll(training_ended=True)] == [(2, 1)]
    assert follower.poll(training_ended=True) == []


def test_a_line_that_is_still_written_is_waited_for_and_one_that_is_none_passed_over(file):
    follower = ProgressFollower(file)
    file.write_text("no progress\n[]\n{}\n" + line(1, 2)[:20])
    follower.poll()
    assert follower.latest is None
    with file.open("a") as appended:
        appended.write(line(1, 2)[20:])
    follower.poll()
    assert follower.latest.step == 2


def test_the_time_left_goes_by_the_pace_since_the_first_line(file):
    now = 100.0
    follower = ProgressFollower(file, clock=lambda: now)
    file.write_text(line(1, 1))
    follower.poll()
    assert follower.seconds_left is None
    now = 110.0
    with file.open("a") as appended:
        appended.write(line(1, 3))
    follower.poll()
    assert follower.seconds_left == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("epoch", "step", "steps", "done"), [(1, 0, 4, 0), (1, 2, 4, 0.25), (2, 4, 4, 1), (1, 3, None, 0)]
)
def test_the_share_that_is_done(epoch, step, steps, done):
    assert TrainingProgress.from_json(line(epoch, step, steps=steps)).done == done
