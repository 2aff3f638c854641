"""What the scheduler of this machine starts: `petseg run`, unless a run goes on, with its output in a log file.

    python -P -m petseg.run_module pipeline.scheduling.scheduled_run --name NAME --directory DIR --root DIR
        -- ARGUMENTS OF petseg run

A firing that finds a run of the pipeline root going on is skipped: a line in the log says so, and the exit code is 0.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pipeline.process_exit import leave
from pipeline.run_store import RunStore
from trainer_module.errors import PetsegError

LOG_NAME: Final = "schedule.log"
"""Log of the scheduled runs, in the pipeline root."""


def main(arguments: Sequence[str]) -> int:
    """Runs the pipeline once and returns the exit code of `petseg run`."""
    parser = argparse.ArgumentParser(prog="scheduled_run", description="Starts a scheduled run of petseg.")
    parser.add_argument("--name", required=True, help="name of the schedule")
    parser.add_argument("--directory", required=True, type=Path, help="working directory of the run")
    parser.add_argument("--root", required=True, help="pipeline root")
    parser.add_argument("run_arguments", nargs="+", metavar="ARGUMENT", help="of petseg run")
    options = parser.parse_args(arguments)
    store = RunStore(options.root)
    try:
        store.prepare()
    except PetsegError as error:
        print(f"schedule {options.name}: {error}", file=sys.stderr)
        return 1
    _write_to(store.root / LOG_NAME)
    active = store.active_run()
    if active is not None:
        _say(options.name, f"skipped, since the run {active} goes on")
        return 0
    return _run(options.name, options.directory, options.run_arguments)


def _run(name: str, directory: Path, arguments: Sequence[str]) -> int:
    from pipeline.cli import exit_code

    try:
        os.chdir(directory)
    except OSError as error:
        _say(name, f"failed: cannot enter the working directory {str(directory)!r}: {error.strerror}")
        return 1
    _say(name, "started")
    code = exit_code(["run", *arguments])
    _say(name, f"ended with exit code {code}")
    return code


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
