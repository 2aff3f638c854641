"""What a component says in its pod's log while it works: that it is alive, and how training goes."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.training_progress import PROGRESS_FILE_VARIABLE, ProgressFollower, TrainingProgress

_POLL_SECONDS: Final = 2.0
_HEARTBEAT_SECONDS: Final = 60.0


@contextmanager
def heartbeat(component: str) -> Iterator[None]:
    """Prints a line a minute while the block runs, and one for each epoch of a training in it."""
    with tempfile.TemporaryDirectory() as directory, _progress_file(Path(directory) / "progress.jsonl") as file:
        stop = threading.Event()
        follower = ProgressFollower(file)
        thread = threading.Thread(target=_beat, args=(component, follower, stop), name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            _print_epochs(component, follower.poll(training_ended=True))


def say(component: str, text: str) -> None:
    """Prints a line of the pod's log."""
    print(f"petseg {time.strftime('%H:%M:%S', time.gmtime())} {component}: {text}", flush=True)


@contextmanager
def _progress_file(default: Path) -> Iterator[Path]:
    """Tells the Trainer where to write its progress, unless somebody did."""
    given = os.environ.get(PROGRESS_FILE_VARIABLE)
    os.environ[PROGRESS_FILE_VARIABLE] = given or str(default)
    try:
        yield Path(os.environ[PROGRESS_FILE_VARIABLE])
    finally:
        if given is None:
            del os.environ[PROGRESS_FILE_VARIABLE]


def _beat(component: str, follower: ProgressFollower, stop: threading.Event) -> None:
    started = last = time.monotonic()
    while not stop.wait(_POLL_SECONDS):
        _print_epochs(component, follower.poll())
        if time.monotonic() - last >= _HEARTBEAT_SECONDS:
            last = time.monotonic()
            say(component, f"running for {(last - started) / 60:.0f} min{_position(follower.latest)}")


def _print_epochs(component: str, ended: list[TrainingProgress]) -> None:
    for progress in ended:
        say(component, f"epoch {progress.epoch}/{progress.epochs}, {progress.describe()}")


def _position(progress: TrainingProgress | None) -> str:
    if progress is None:
        return ""
    place = f"epoch {progress.epoch}/{progress.epochs}, step {progress.step}/{progress.steps}"
    return f", {place}, {progress.describe()}"
