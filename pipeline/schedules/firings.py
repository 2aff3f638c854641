"""What the firings of a schedule of this machine leave in the pipeline root, and what that tells of the last one.

One small file a schedule: a firing writes it when it starts and when it ends. One that the scheduler could not start
writes nothing; that is told from the times at which the schedule should have fired since the file has been kept. Of
firings that begin at the same moment one runs.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

_OUTCOMES: Final = {0: FiringOutcome.DONE, 3: FiringOutcome.NOT_BLESSED, 130: FiringOutcome.INTERRUPTED}
_STARTING: Final = timedelta(minutes=5)
"""How long a firing may take until it is recorded, or until its run holds the pipeline root."""

_CLOCK_ERROR: Final = timedelta(minutes=1)
"""By how much a clock may be set back without a word."""

_KEPT_FIRINGS: Final = 20
_LOCK_NAME: Final = ".firing"


class FiringTime(BaseModel):
    """How long a firing took that started a run and ended."""

    started: AwareDatetime
    seconds: float
    exit_code: int | None
    """As that of `Firing`."""

    trained: bool | None
    """As that of `Firing`."""


class Firing(BaseModel):
    """One firing that started a run."""

    started: AwareDatetime
    ended: AwareDatetime | None = None
    seconds: float | None = None
    """How long it took, by a clock that nobody sets; None when it has not ended."""

    exit_code: int | None = None
    """Of `petseg run` or `petseg retrain`; None when it has not ended, or ended with an exception."""

    trained: bool | None = None
    """Whether its run trained a model; None where no run ended."""

    is_needless: bool = False
    """Whether its run found no reason to train."""

    reason: str = ""
    """What it said of a failure, or why there was no reason to train."""

    not_told: str = ""
    """Why people were not told of it, as they should have been."""

    def ending(self, exit_code: int | None, reason: str, *, seconds: float | None = None, **details: Any) -> Self:
        """Returns the firing as it ended just now; details are fields that its run tells of."""
        ended = max(datetime.now(UTC), self.started)
        took = (ended - self.started).total_seconds() if seconds is None else seconds
        return self.model_copy(
            update={"ended": ended, "seconds": took, "exit_code": exit_code, "reason": reason, **details}
        )


class FiringRecord(BaseModel):
    """The firings of one schedule."""

    since: AwareDatetime
    """From when on the schedule, as it is, should have fired."""

    cron: str | None = None
    """Five fields, since then; None where an earlier petseg began the record."""

    time_zone: str = "UTC"

    last: Firing | None = None
    """The last one that started a run."""

    recent: list[FiringTime] = []
    """The latest ones that ended, the latest last."""

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
    @contextmanager
    def changing(cls, root: Path, name: str) -> Iterator[Self]:
        """Gives the record, which is written when the block ends; until then no other process changes one of the root.

        Times that are later than now, since the clock was set back, are taken for now.
        """
        now = datetime.now(UTC)
        with _held(root):
            record = cls.load(root, name) or cls(since=now)
            record.since = min(record.since, now)
            record.skipped = record.skipped and min(record.skipped, now)
            yield record
            record.save(root, name)

    @classmethod
    def begin(
        cls, root: Path, name: str, notification: NotificationConfig | None = None, entry: LocalEntry | None = None
    ) -> None:
        """Notes that the schedule fires from now on, as what, and who is told of it. None: as before."""
        with cls.changing(root, name) as record:
            record.since = datetime.now(UTC)
            record.remember(notification)
            if entry is not None:
                record.cron, record.time_zone = entry.cron, entry.time_zone

    def add(self, firing: Firing) -> None:
        """Keeps a firing as the last one; how long it took, once it has ended."""
        self.last = firing
        if firing.seconds is not None and all(past.started != firing.started for past in self.recent):
            took = FiringTime.model_validate(firing.model_dump(include=set(FiringTime.model_fields)))
            self.recent = [*self.recent, took][-_KEPT_FIRINGS:]

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
        return _at(record.skipped, now, FiringOutcome.SKIPPED, "another run went on")
    started, code = record.last.started, record.last.exit_code
    if record.last.ended is not None:
        outcome = FiringOutcome.FAILED if code is None else _OUTCOMES.get(code, FiringOutcome.FAILED)
        if record.last.is_needless and outcome is FiringOutcome.DONE:
            outcome = FiringOutcome.NOT_NEEDED
        return _at(started, now, outcome, record.last.reason, record.last.not_told)
    if store.active_run() is not None or abs(now - started) < _STARTING:
        return _at(started, now, FiringOutcome.RUNNING)
    died = "its process died without a word: was it killed, its memory used up, or the machine switched off?"
    return _at(started, now, FiringOutcome.FAILED, died)


@contextmanager
def lone_firing(root: Path) -> Iterator[bool]:
    """Holds the root for one firing until the block ends; gives whether no other firing does already."""
    descriptor = os.open(root / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        is_alone = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_alone = False
        except OSError:
            pass  # a file system without locks, of which the run will complain
        yield is_alone
        if is_alone:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # children share the lock
    finally:
        os.close(descriptor)


def _at(time: datetime, now: datetime, outcome: FiringOutcome, reason: str = "", not_told: str = "") -> LastFiring:
    """Returns a firing as of a time that was recorded."""
    if time - now > _CLOCK_ERROR:
        ahead = f"the clock said {time:%Y-%m-%d %H:%M %z} then, and was set back since"
        reason = "; ".join(filter(None, (reason, ahead)))
    return LastFiring(time=min(time, now), outcome=outcome, reason=reason, not_told=not_told)


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Waits until no other process holds a directory, and holds it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _file(root: Path, name: str) -> Path:
    return root / f"schedule-{name}.json"
