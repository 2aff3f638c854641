"""One message for whatever was raised, however deep it is wrapped."""

import errno

import pytest
from ml_metadata.errors import AbortedError, InternalError

from pipeline.runs.failures import explain_failure, log_tail
from trainer_module.errors import DataError, ModelError

BEAM_TEXT = """Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1512, in process
trainer_module.errors.DataError: split 'train': expected a mask, got 3
second line

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/x/worker.py", line 310, in _execute
    response = task()
               ^^^^^^
trainer_module.errors.DataError: split 'train': expected a mask, got 3
second line [while running 'Transform/Decode']
"""


def wrapped(inner: Exception) -> Exception:
    try:
        try:
            raise inner
        except Exception as error:
            raise RuntimeError("Execution 3 failed") from error
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize(
    "error",
    [
        DataError("split 'train': expected a mask, got 3\nsecond line"),
        DataError("split 'train': expected a mask, got 3\nsecond line [while running 'Transform/Decode']"),
        wrapped(DataError("split 'train': expected a mask, got 3\nsecond line")),
        RuntimeError(BEAM_TEXT),
        wrapped(RuntimeError(BEAM_TEXT)),
    ],
)
def test_an_error_raised_on_purpose_is_its_message_only(error, tmp_path):
    failure = explain_failure(error, tmp_path)
    assert failure.message == "split 'train': expected a mask, got 3\nsecond line"
    assert failure.is_foreseen


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ZeroDivisionError("by zero [while running 'A']"), "ZeroDivisionError: by zero"),
        (RuntimeError(BEAM_TEXT.replace("trainer_module.errors.DataError", "ValueError")), "ValueError: split"),
        (KeyError("missing"), "KeyError: 'missing'"),
    ],
)
def test_another_error_is_its_type_and_message(error, message, tmp_path):
    failure = explain_failure(error, tmp_path)
    assert failure.message.startswith(message)
    assert "Traceback" not in failure.message
    assert "while running" not in failure.message
    assert not failure.is_foreseen


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("... /x/y: No space left on device [Op:Save]"),
        wrapped(RuntimeError("INTERNAL: mysql error: database or disk is full")),
    ],
)
def test_a_full_disk_is_named_wherever_it_shows(error, tmp_path):
    failure = explain_failure(error, tmp_path)
    assert failure.message.startswith(f"the disk is full (the pipeline root {str(tmp_path)!r} has ")
    assert failure.is_foreseen


@pytest.mark.parametrize(
    "error",
    [
        AbortedError("Concurrent writes aborted after max number of retries."),
        wrapped(InternalError("Error when executing query: database is locked query: BEGIN;")),
    ],
)
def test_metadata_that_somebody_has_locked_are_not_to_be_moved(error, tmp_path):
    file = tmp_path / "metadata.sqlite"
    failure = explain_failure(error, tmp_path, file)
    assert failure.message.startswith(f"{str(file)!r} is locked by another process: close it and run again")
    assert "move" not in failure.message
    assert failure.is_foreseen


def test_an_error_that_caused_itself_ends(tmp_path):
    error = ModelError("x")
    error.__context__ = error
    assert explain_failure(error, tmp_path).message == "x"


def test_the_tail_of_a_log_has_its_last_lines_that_say_something(tmp_path):
    log = tmp_path / "run.log"
    assert log_tail(log) == []
    log.write_bytes("\n\n".join(f"line {n}" for n in range(30)).encode() + b"\n\xff\n")
    assert log_tail(log, 3) == ["line 28", "line 29", "\N{REPLACEMENT CHARACTER}"]
