"""What the firings of a schedule of this machine leave in the pipeline root, and what that tells of the last one.

One small file a schedule: a firing writes it when it starts and when it ends. One that the scheduler could not start
writes nothing; that is told from the times at which the schedule should have fired since the file has been kept. What
the runs print goes into a log, which the schedules of a root share.
"""

import fcntl
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from pydantic import AwareDatetime, BaseModel, ValidationError

from pipeline.config.cron import Cron
from pipeline.config.notification import NotificationConfig
from pipeline.runs.store import RunStore
from pipeline.schedules.local_entry import LocalEntry
from pipeline.schedules.schedule import FiringOutcome, LastFiring
from pipeline.schedules.times import previous_firing

LOG_NAME: Final = "schedule.log"
"""Log of the firings, in the pipeline root."""

FORMER_LOG_NAME: Final = f"{LOG_NAME}.1"
FULL_LOG_BYTES: Final = 1024 * 1024

_OUTCOMES: Final = {0: FiringOutcome.DONE, 3: FiringOutcome.NOT_BLESSED, 130: FiringOutcome.INTERRUPTED}
_STARTING: Final = timedelta(minutes=5)
"""How long a firing may take until it is recorded, or until its run holds the pipeline root."""


class Firing(BaseModel):
    """One firing that started a run."""

    started: AwareDatetime
    ended: AwareDatetime | None = None
    exit_code: int | None = None
    """Of `petseg run`; None when it has not ended, or ended with an exception."""

    reason: str = ""
    """What it said of a failure."""

    not_told: str = ""
    """Why people were not told of it, as they should have been."""

    def ending(self, exit_code: int | None, reason: str) -> Self:
        """Returns the firing as it ended just now."""
        return self.model_copy(update={"ended": datetime.now(UTC), "exit_code": exit_code, "reason": reason})


class FiringRecord(BaseModel):
    """The firings of one schedule."""

    since: AwareDatetime
    """From when on the schedule, as it is, should have fired."""

    last: Firing | None = None
    """The last one that started a run."""

    skipped: AwareDatetime | None = None
    """When a firing last found a run going on."""

    skipped_for: str = ""
    """Id of that run."""

    notification: dict[str, Any] | None = None
    """`[notification]` of the configuration when it was read last: who is told of a firing that cannot read it."""

    @classmethod
    def load(cls, root: Path, name: str) -> Self | None:
        """Returns the record; None when there is none that can be read."""
        try:
            return cls.model_validate_json(_file(root, name).read_bytes())
        except (OSError, ValidationError):
            return None

    @classmethod
    def begin(cls, root: Path, name: str, notification: NotificationConfig | None = None) -> None:
        """Notes that the schedule fires from now on, and who is told of it. None: who was told before."""
        now = datetime.now(UTC)
        record = (cls.load(root, name) or cls(since=now)).model_copy(update={"since": now})
        record.remember(notification)
        record.save(root, name)

    def remember(self, notification: NotificationConfig | None) -> None:
        """Keeps who is to be told. None: it is not known now."""
        if notification is not None:
            self.notification = notification.model_dump(mode="json")

    def save(self, root: Path, name: str) -> None:
        file = _file(root, name)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        temporary.replace(file)

    @staticmethod
    def remove(root: Path, name: str) -> None:
        _file(root, name).unlink(missing_ok=True)


def last_firing(entry: LocalEntry, *, enabled: bool, now: datetime) -> LastFiring | None:
    """Returns what became of the last firing, also of one that left nothing; None when there was none to be.

    Args:
      entry: The schedule.
      enabled: Whether it fires.
      now: Time zone aware.
    """
    store = RunStore(entry.root)
    record = FiringRecord.load(store.root, entry.name)
    if record is None:
        return None
    heard = max(time for time in (record.since, record.skipped, record.last and record.last.started) if time)
    due = previous_firing(Cron.parse(entry.cron), entry.time_zone, now - _STARTING)
    if enabled and due > heard:
        return LastFiring(
            time=due,
            outcome=FiringOutcome.MISSING,
            reason=f"no firing is recorded since {heard.astimezone(due.tzinfo):%Y-%m-%d %H:%M %z}; was the machine "
            "off, or can its scheduler not start the command?",
        )
    if record.last is None:
        if record.skipped is None:
            return None
        return LastFiring(time=record.skipped, outcome=FiringOutcome.SKIPPED, reason="another run went on")
    started, code = record.last.started, record.last.exit_code
    if record.last.ended is not None:
        outcome = FiringOutcome.FAILED if code is None else _OUTCOMES.get(code, FiringOutcome.FAILED)
        return LastFiring(time=started, outcome=outcome, reason=record.last.reason, not_told=record.last.not_told)
    if store.active_run() is not None or now - started < _STARTING:
        return LastFiring(time=started, outcome=FiringOutcome.RUNNING, reason="")
    died = "its process died without a word: was it killed, its memory used up, or the machine switched off?"
    return LastFiring(time=started, outcome=FiringOutcome.FAILED, reason=died)


class FiringLog:
    """The log of a pipeline root, to which goes what this process and its children write from now on.

    A firing that finds the log full puts it aside, in the place of the one that was put aside before. So the newest
    MiB at least is always there, and not much more than two are ever kept. Firings of several schedules may write at
    the same time: each line goes to the end of the file that its firing began with, and only one at a time looks
    whether that is full.
    """

    def __init__(self, root: Path, name: str) -> None:
        """Opens the log.

        Args:
          root: Pipeline root; there.
          name: Of the schedule that fires.
        """
        self._name = name
        self._descriptor = _open_at_end(root)
        self._start = os.fstat(self._descriptor).st_size
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(self._descriptor, stream.fileno())

    def write(self, what: str) -> None:
        """Adds a line about the firing."""
        print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} schedule {self._name}: {what}", flush=True)

    def last_error(self) -> str:
        """Returns the last error that was printed since the log was opened, as one line; empty where none was."""
        written = os.pread(self._descriptor, os.fstat(self._descriptor).st_size - self._start, self._start)
        lines = written.decode(errors="replace").splitlines()
        errors = [line.partition(": ")[2] for line in lines if line.lower().startswith("error: ")]
        return errors[-1] if errors else ""


def _open_at_end(root: Path) -> int:
    """Returns a descriptor of the log, a new one where the present one was full."""
    log = root / LOG_NAME
    while True:
        descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            return descriptor  # a file system without locks, of which the run will complain
        opened = os.fstat(descriptor)
        try:
            is_the_log = os.path.samestat(log.stat(), opened)
        except FileNotFoundError:
            is_the_log = False  # another firing has just put it aside
        is_full = opened.st_size >= FULL_LOG_BYTES
        if is_the_log and not is_full:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # children share the lock
            return descriptor
        if is_the_log:
            log.replace(root / FORMER_LOG_NAME)
        os.close(descriptor)


def _file(root: Path, name: str) -> Path:
    return root / f"schedule-{name}.json"
