"""What the scheduler of this machine starts: `petseg run`, unless a run goes on, with its output in a log file.

    python -P -m petseg.run_module pipeline.scheduling.scheduled_run --name NAME --directory DIR --root DIR
        -- ARGUMENTS OF petseg run

A firing that finds a run of the pipeline root going on is skipped: a line in the log says so, and the exit code is 0.
What became of the firing is recorded for `petseg schedule list` and `show`. With `--check FILE` nothing is run.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from pipeline.process_exit import leave
from pipeline.run_store import RunStore
from pipeline.scheduling.firing_record import Firing, FiringRecord
from trainer_module.errors import PetsegError

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
        from pipeline.scheduling.firing_check import check_firing

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
