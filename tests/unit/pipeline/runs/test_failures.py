"""One message for whatever was raised, however deep it is wrapped."""

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest
import tensorflow as tf
from ml_metadata.errors import AbortedError, InternalError

from components.model_pusher.version_store import LocalStore
from components.tfds_example_gen.source import TfdsSource, open_dataset
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
        OSError(errno.ENOSPC, "No space left on device", "/proc/self/not/yet"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "/proc/self/not/yet"),
        tf.errors.ResourceExhaustedError(None, None, "/proc/self/not/yet; No space left on device"),
        wrapped(RuntimeError("OSError: [Errno 28] No space left on device: '/proc/self/not/yet'")),
    ],
)
def test_the_full_disk_is_the_one_that_the_error_names(error, tmp_path):
    message = explain_failure(error, tmp_path).message
    assert message.startswith("the disk is full ('/proc/self/not/yet' has 0 MiB left); free some space")


def test_a_full_disk_that_nobody_names_is_not_taken_for_another():
    message = explain_failure(RuntimeError("No space left on device"), None).message
    assert message == "the disk is full; free some space and run again: finished components are kept"


SOURCE = {
    "dataset": "synthetic_pets", "download": True, "builder_modules": ["components.datasets.synthetic_pets"],
    "image_feature": "image", "mask_feature": "segmentation_mask", "slice_features": [],
}  # fmt: skip
PLACES = {
    "Python": lambda path: PermissionError(errno.EACCES, "Permission denied", path),
    "TensorFlow": lambda path: tf.errors.PermissionDeniedError(None, None, f"{path}; Permission denied"),
    "Beam": lambda path: RuntimeError(BEAM_TEXT.replace(
        "trainer_module.errors.DataError: split 'train': expected a mask, got 3\nsecond line",
        f"PermissionError: [Errno 13] Permission denied: '{path}'",
    )),
}  # fmt: skip


@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_place_that_may_not_be_used_is_named_with_its_owner_and_who_asks(make, is_wrapped, tmp_path, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    error = make(f"{tmp_path}/models/.petseg_push.lock")
    failure = explain_failure(wrapped(error) if is_wrapped else error, tmp_path)
    owner = tmp_path.stat()
    groups = ", ".join(map(str, sorted({os.getegid(), *os.getgroups()})))
    assert failure.message == (
        f"cannot use '{tmp_path}/models/.petseg_push.lock': Permission denied. '{tmp_path}' belongs to user "
        f"{owner.st_uid} and group {owner.st_gid} ({stat.filemode(owner.st_mode)}); this process is user "
        f"{os.geteuid()} of group {groups}. Give that user access to it, or name another place."
    )
    assert failure.is_foreseen


@pytest.fixture
def folder_of_root():
    """A directory that others may look into, while this process is nobody."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        os.seteuid(65534)
        yield Path(directory)
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_push_to_a_folder_of_another_user_says_so(folder_of_root):
    with pytest.raises(PermissionError) as raised, LocalStore(folder_of_root).exclusive():
        pass
    message = explain_failure(raised.value, None).message
    assert f"cannot use '{folder_of_root}/.petseg_push.lock': Permission denied" in message
    assert f"'{folder_of_root}' belongs to user 0 and group 0 (drwxr-xr-x); this process is user 65534" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_data_that_cannot_be_prepared_in_a_folder_of_another_user_says_so(folder_of_root):
    with pytest.raises(DataError) as raised:
        open_dataset(TfdsSource.model_validate(SOURCE | {"data_dir": f"{folder_of_root}/data"}), {"train": "train"})
    message = explain_failure(raised.value, None).message
    assert message.startswith("data set synthetic_pets/demo/1.0.0 could not be prepared in ")
    assert f"'{folder_of_root}' belongs to user 0 and group 0 (drwxr-xr-x); this process is user 65534" in message


def test_a_file_system_that_is_read_only_is_to_be_mounted_otherwise(tmp_path, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    message = explain_failure(OSError(errno.EROFS, "Read-only file system", str(tmp_path)), tmp_path).message
    assert "Read-only file system. " in message
    assert message.endswith("Mount it so that it can be written, or name another place.")


@pytest.mark.parametrize("is_own", [False, True])
def test_in_a_cluster_a_job_mends_it(is_own, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    error: Exception = PermissionError(errno.EACCES, "Permission denied", str(tmp_path))
    if is_own:
        error, cause = DataError("could not be prepared."), error
        error.__cause__ = cause
    message = explain_failure(error, None).message
    assert f"'{tmp_path}' belongs to user {tmp_path.stat().st_uid}" in message
    assert message.endswith("If it is on a volume, run the job petseg-prepare-volumes again (kubeflow/README.md).")
    assert message.startswith("could not be prepared. '" if is_own else "cannot use '")


def test_an_operation_that_is_refused_without_a_place_is_not_foreseen(tmp_path):
    assert not explain_failure(PermissionError(errno.EPERM, "Operation not permitted"), tmp_path).is_foreseen
    assert not explain_failure(FileNotFoundError(errno.ENOENT, "No such file", "x"), tmp_path).is_foreseen


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
