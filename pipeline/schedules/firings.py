"""What the scheduler of this machine starts: `petseg run`, unless a run goes on, with its output in a log file.

    python -P -m petseg.run_module pipeline.schedules.firings --name NAME --directory DIR --root DIR
        -- ARGUMENTS OF petseg run

A firing that finds a run of the pipeline root going on is skipped: a line in the log says so, and the exit code is 0.
What became of the firing is recorded for `petseg schedule list` and `show`. With `--check FILE` nothing is run.

What became of the firings of a schedule of this machine: one small file a schedule, in the pipeline root.

A firing writes when it starts and when it ends. One that the scheduler could not start writes nothing; that is told
from the times at which the schedule should have fired since the file has been kept.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import click
from pydantic import AwareDatetime, BaseModel, ValidationError

from pipeline.config.cron import Cron
from pipeline.runs.store import RunStore
from pipeline.schedules.local_entry import LocalEntry
from pipeline.schedules.schedule import FiringOutcome, LastFiring
from pipeline.schedules.times import previous_firing
from pipeline.terminal.streams import leave
from trainer_module.errors import PetsegError

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

    @classmethod
    def load(cls, root: Path, name: str) -> Self | None:
        """Returns the record; None when there is none that can be read."""
        try:
            return cls.model_validate_json(_file(root, name).read_bytes())
        except (OSError, ValidationError):
            return None

    @classmethod
    def begin(cls, root: Path, name: str) -> None:
        """Notes that the schedule fires from now on."""
        now = datetime.now(UTC)
        record = cls.load(root, name)
        (record.model_copy(update={"since": now}) if record else cls(since=now)).save(root, name)

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
    if record.last is not None:
        return _as_it_ended(record.last, store, now)
    if record.skipped is not None:
        return LastFiring(time=record.skipped, outcome=FiringOutcome.SKIPPED, reason="another run went on")
    return None


def _as_it_ended(firing: Firing, store: RunStore, now: datetime) -> LastFiring:
    if firing.ended is not None:
        code = firing.exit_code
        outcome = FiringOutcome.FAILED if code is None else _OUTCOMES.get(code, FiringOutcome.FAILED)
        return LastFiring(time=firing.started, outcome=outcome, reason=firing.reason)
    if store.active_run() is not None or now - firing.started < _STARTING:
        return LastFiring(time=firing.started, outcome=FiringOutcome.RUNNING, reason="")
    died = "its process died without a word: was it killed, its memory used up, or the machine switched off?"
    return LastFiring(time=firing.started, outcome=FiringOutcome.FAILED, reason=died)


def _file(root: Path, name: str) -> Path:
    return root / f"schedule-{name}.json"


LOG_NAME: Final = "schedule.log"
"""Log of the scheduled runs, in the pipeline root."""


def main(arguments: Sequence[str]) -> int:
    """Runs the pipeline once and returns the exit code of `petseg run`."""
    parser = argparse.ArgumentParser(prog="scheduled_run", description="Starts a scheduled run of petseg.")
    parser.add_argument("--name", required=True, help="name of the schedule")
    parser.add_argument("--directory", required=True, type=Path, help="working directory of the run")
    parser.add_argument("--root", required=True, help="pipeline root")
    parser.add_argument("--check", type=Path, metavar="FILE", help="only look whether a run could start; say so there")
    parser.add_argument("run_arguments", nargs="+", metavar="ARGUMENT", help="of petseg run")
    options = parser.parse_args(arguments)
    if options.check is not None:
        from pipeline.schedules.firing_check import check_firing

        check_firing(options.check, options.directory, options.root, options.run_arguments)
        return 0
    store = RunStore(options.root)
    try:
        store.prepare()
    except PetsegError as error:
        print(f"schedule {options.name}: {error}", file=sys.stderr)
        return 1
    log, now = store.root / LOG_NAME, datetime.now(UTC)
    _write_to(log)
    record = FiringRecord.load(store.root, options.name) or FiringRecord(since=now)
    active = store.active_run()
    if active is not None:
        _say(options.name, f"skipped, since the run {active} goes on")
        record.model_copy(update={"skipped": now}).save(store.root, options.name)
        return 0
    firing = Firing(started=now)
    record.model_copy(update={"last": firing}).save(store.root, options.name)
    said = log.stat().st_size
    try:
        code = _run(options.name, options.directory, options.run_arguments)
    except BaseException as error:
        firing = firing.ending(None, f"{type(error).__name__}: {error}")
        raise
    else:
        firing = firing.ending(code, _reason(log, said) if code else "")
    finally:
        # Read anew: meanwhile firings may have been skipped.
        record = FiringRecord.load(store.root, options.name) or record
        record.model_copy(update={"last": firing}).save(store.root, options.name)
    return code


def _run(name: str, directory: Path, arguments: Sequence[str]) -> int:
    from pipeline.cli import exit_code

    _say(name, "started")
    try:
        os.chdir(directory)
    except OSError as error:
        click.echo(f"error: cannot enter the working directory {str(directory)!r}: {error.strerror}")
        code = 1
    else:
        code = exit_code(["run", *arguments])
    _say(name, f"ended with exit code {code}")
    return code


def _reason(log: Path, start: int) -> str:
    """Returns the last error that the run printed, as one line."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    errors = [line.partition(": ")[2] for line in lines if line.lower().startswith("error: ")]
    return errors[-1] if errors else ""


def _write_to(log: Path) -> None:
    """Sends what this process and its children write to the end of the log."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)


def _say(name: str, what: str) -> None:
    print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} schedule {name}: {what}", flush=True)


if __name__ == "__main__":  # as the schedules of an earlier petseg start it
    leave(main(sys.argv[1:]))
