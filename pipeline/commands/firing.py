"""One firing of a schedule of this machine: what its scheduler starts.

    python -P -m petseg schedule fire --name NAME --directory DIR --root DIR [--command retrain] -- ARGUMENTS

Without `--command` it is `petseg run` that gets the arguments, as in what earlier petsegs installed.
It is a command, though no one for people, because schedulers start it for years: a command keeps its name, a module
need not. With `--check FILE` it looks at everything that the run needs, and runs nothing: the configuration, the
pipeline root, the modules of builders, the data set with its features and splits, and where data and models are
written to. Heavy libraries are imported by that and by the run only.
"""

import os
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final, get_args

import click

import petseg
from petseg.processes import can_be_made
from pipeline.commands.notification import note_in_log
from pipeline.commands.options import FAILURE, FiredRun, exit_code, resolve_config
from pipeline.config.cron import Cron
from pipeline.config.notification import Outcome
from pipeline.config.schema import Config
from pipeline.housekeeping.cleaning import housekeeping
from pipeline.notifications.delivery import tell_of_run
from pipeline.runs.store import RootInUseError, RunStore
from pipeline.schedules.environment import Verdict
from pipeline.schedules.firing_log import LOG_NAME, FiringLog
from pipeline.schedules.firings import Firing, FiringRecord, lone_firing
from pipeline.schedules.local_entry import Command
from pipeline.schedules.notification import tell_of_firing
from pipeline.schedules.pace import has_trained, pace_caution
from pipeline.terminal.streams import INTERRUPTED
from trainer_module.errors import ConfigError, PetsegError

_NOT_THE_USERS: Final = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    *(str(petseg.ROOT / name) for name in ("petseg", *petseg.PACKAGES)),
)
"""Where code lies that is not the user's own."""

_ANOTHER_FIRING: Final = "another firing"


@click.command("fire", hidden=True)
@click.option("--name", required=True, help="Name of the schedule.")
@click.option("--directory", required=True, type=click.Path(path_type=Path), help="Working directory of the run.")
@click.option("--root", required=True, help="Pipeline root.")
@click.option("--command", type=click.Choice(get_args(Command)), default="run", help="What to start.")
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only look whether a run could start; say so there.",
)
@click.argument("run_arguments", nargs=-1, required=True, metavar="ARGUMENTS", type=click.UNPROCESSED)
@click.pass_context
def fire(
    ctx: click.Context,
    name: str,
    directory: Path,
    root: str,
    command: Command,
    check: Path | None,
    run_arguments: tuple[str, ...],
) -> None:
    """Start `petseg run`, or another command, with ARGUMENTS as the schedule NAME; its output goes into a log.

    A firing that finds a run of the pipeline root going on is skipped: a line in the log says so, and the exit code is
    0. What became of the firing is recorded for `petseg schedule list` and `show`.
    """
    petseg_command = ctx.find_root().command

    def petseg_run(fired: FiredRun) -> int:
        return exit_code(petseg_command, [command, *run_arguments], fired)

    if check is not None:
        check_firing(check, directory, root, run_arguments, command)
    else:
        ctx.exit(_fire(name, directory, root, petseg_run, lambda: _config_of(command, run_arguments)))


def check_firing(
    file: Path, directory: Path, root: str, run_arguments: Sequence[str], command: Command = "run"
) -> None:
    """Looks at what a firing needs, in the process that stands for it, and leaves the verdict in a file."""
    with asked_variables() as asked:
        try:
            _require_writable("pipeline.root", root)
            os.chdir(directory)
            _check_needs(command, run_arguments)
            error = ""
        except Exception as failure:  # noqa: BLE001 (whatever the user's own modules raise)
            error = str(failure) if isinstance(failure, PetsegError) else f"{type(failure).__name__}: {failure}"
    missing = sorted(name for name in asked if name not in os.environ)
    file.write_text(Verdict(error=error.rstrip("."), asked=tuple(missing)).model_dump_json(), encoding="utf-8")


@contextmanager
def asked_variables() -> Iterator[set[str]]:
    """Collects the names of the variables that code outside libraries looks up while the block runs.

    So it is known what a builder needs that no configuration names.
    """
    environment: Any = type(os.environ)
    look_up, asked = environment.__getitem__, set[str]()

    def watched(self: Any, key: str) -> str:
        if _is_the_users(sys._getframe(1)):
            asked.add(key)
        value: str = look_up(self, key)
        return value

    environment.__getitem__ = watched
    try:
        yield asked
    finally:
        environment.__getitem__ = look_up


def _is_the_users(frame: FrameType | None) -> bool:
    """Returns whether the code that looks a variable up, by whatever function of `os`, is the user's own."""
    while frame is not None and frame.f_globals.get("__name__") in ("os", "posixpath", "collections.abc"):
        frame = frame.f_back
    file = frame.f_code.co_filename if frame else "<"
    return not file.startswith("<") and not any(Path(file).is_relative_to(place) for place in _NOT_THE_USERS)


def _config_of(command: Command, run_arguments: Sequence[str]) -> Config:
    from pipeline.commands.retrain import retrain
    from pipeline.commands.run import run

    started = {"run": run, "retrain": retrain}[command]
    given = started.make_context(command, list(run_arguments)).params
    return resolve_config(*(given[name] for name in ("preset", "config_file", "overrides", "pipeline_root")))


def _check_needs(command: Command, run_arguments: Sequence[str]) -> None:
    from components.tfds_example_gen.source import NotPreparedError
    from pipeline.data.readiness import open_unprepared

    config = _config_of(command, run_arguments)
    _require_writable("push.destination", config.serving_model_dir)
    try:
        open_unprepared(config)
    except NotPreparedError:
        if not config.data.download:
            raise
        _require_writable("data.data_dir", config.data_dir)


def _require_writable(setting: str, place: str) -> None:
    if "://" not in place and not can_be_made(Path(place)):
        raise ConfigError(f"{setting}: cannot write to {place!r}")


def _fire(
    name: str,
    directory: Path,
    root: str,
    petseg_run: Callable[[FiredRun], int],
    resolve: Callable[[], Config] | None = None,
) -> int:
    """Runs the pipeline once, with its output in the log, and returns the exit code of the command.

    Args:
      name: Of the schedule.
      directory: Working directory of the run.
      root: Pipeline root.
      petseg_run: Starts the command.
      resolve: Returns the configuration, to make room by it where the disk is full.
    """
    store = RunStore(root)
    try:
        _prepare(store, directory, resolve)
    except PetsegError as error:
        print(f"schedule {name}: {error}", file=sys.stderr)
        record = FiringRecord.load(store.root, name)
        remembered = record.notification if record else None
        for delivery in tell_of_firing(remembered, name, "failed", str(error), store.root / LOG_NAME):
            print(f"schedule {name}: {delivery.line}", file=sys.stderr)
        return FAILURE
    log, fired, code = FiringLog(store.root, name), FiredRun(), None
    with lone_firing(store.root) as is_alone:
        active = store.active_run()
        if is_alone and active is None:
            code = _run(name, directory, store, log, petseg_run, fired)
    if code is None:
        _skip(name, store, log, active)
        return 0
    if fired.config is not None and code != INTERRUPTED and not isinstance(fired.error, RootInUseError):
        with suppress(OSError):  # a full disk takes no more lines
            for line in housekeeping(fired.config, store):
                log.write(line)
    return code


def _prepare(store: RunStore, directory: Path, resolve: Callable[[], Config] | None) -> None:
    """Makes the root; where the disk is full, after `[housekeeping]` has had its way.

    Raises:
      PetsegError: It cannot be made or written to, or too little disk is free.
    """
    try:
        store.prepare()
    except PetsegError:
        if resolve is None:
            raise
        with suppress(PetsegError, OSError, click.ClickException):  # the firing says what is wrong with them
            os.chdir(directory)
            for line in housekeeping(resolve(), store):
                print(line, file=sys.stderr)
        store.prepare()


def _run(
    name: str,
    directory: Path,
    store: RunStore,
    log: FiringLog,
    petseg_run: Callable[[FiredRun], int],
    fired: FiredRun,
) -> int:
    """Starts the command, records the firing, and tells people of it, whatever comes of it."""
    firing, began = Firing(started=datetime.now(UTC)), time.monotonic()
    with FiringRecord.changing(store.root, name) as record:
        former, record.last = record.last, firing
    try:
        code = _exit_code(directory, log, fired, petseg_run)
    except BaseException as error:
        failure = f"{type(error).__name__}: {error}"
        _end(name, store, log, record, firing.ending(None, failure, seconds=time.monotonic() - began), fired)
        raise
    if isinstance(fired.error, RootInUseError):  # a run was started by hand while this one imported its libraries
        with FiringRecord.changing(store.root, name) as record:
            record.last = former
        _skip(name, store, log, fired.error.run_id)
        return 0
    run = fired.record
    decision = run.decision if run else None
    is_needless = decision is not None and not decision.trains
    reason = log.last_error() if code else "; ".join(decision.notes) if decision and is_needless else ""
    ended = firing.ending(
        code,
        reason,
        seconds=time.monotonic() - began,
        trained=has_trained(run) if run else None,
        is_needless=is_needless,
    )
    _end(name, store, log, record, ended, fired)
    return code


def _exit_code(directory: Path, log: FiringLog, fired: FiredRun, petseg_run: Callable[[FiredRun], int]) -> int:
    """Starts the command in the working directory of its runs, and returns its exit code."""
    log.write("started")
    try:
        os.chdir(directory)
    except OSError as error:
        click.echo(f"error: cannot enter the working directory {str(directory)!r}: {error.strerror}")
        code = FAILURE
    else:
        code = petseg_run(fired)
    if not isinstance(fired.error, RootInUseError):
        log.write(f"ended with exit code {code}")
    return code


def _skip(name: str, store: RunStore, log: FiringLog, active: str | None) -> None:
    """Leaves a firing out since a run goes on, which is told once for that run.

    Args:
      name: Of the schedule.
      store: The pipeline root.
      log: Of the firings.
      active: Id of the run. None: it has none yet, as the firing that starts it has just begun.
    """
    why = f"the run {active} goes on" if active else "another firing has just begun"
    log.write(f"skipped, since {why}")
    with FiringRecord.changing(store.root, name) as record:
        is_news = record.skipped_for != (active or _ANOTHER_FIRING)
        record.skipped, record.skipped_for = datetime.now(UTC), active or _ANOTHER_FIRING
    caution = pace_caution(Cron.parse(record.cron), record.time_zone, store, name) if record.cron else None
    if caution:
        log.write(f"warning: {caution}")
    if is_news:
        reason = ". ".join(filter(None, (why, caution)))
        for delivery in tell_of_firing(record.notification, name, "skipped", f"{reason}.", store.root / LOG_NAME):
            log.write(delivery.line)


def _end(name: str, store: RunStore, log: FiringLog, record: FiringRecord, firing: Firing, fired: FiredRun) -> None:
    """Records a firing that has ended, and tells people of it even where it cannot be recorded."""
    try:
        record = _keep(name, store, firing, fired)
    finally:
        _tell(name, store, log, record, firing, fired)


def _keep(name: str, store: RunStore, firing: Firing, fired: FiredRun) -> FiringRecord:
    """Records a firing; the record is read anew, since meanwhile firings may have been skipped."""
    with FiringRecord.changing(store.root, name) as record:
        record.add(firing)
        record.remember(fired.config.notification if fired.config else None)
    return record


def _tell(name: str, store: RunStore, log: FiringLog, record: FiringRecord, firing: Firing, fired: FiredRun) -> None:
    """Tells people of a firing that has ended; that nobody could be told is in the logs and in the firing's record."""
    if fired.config is not None and fired.record is not None:
        run = fired.record
        deliveries = tell_of_run(fired.config.notification, run, run.report, schedule=name)
        note_in_log(deliveries, Path(run.log))
    else:
        outcome: Outcome = "interrupted" if firing.exit_code == INTERRUPTED else "failed"
        deliveries = tell_of_firing(record.notification, name, outcome, firing.reason, store.root / LOG_NAME)
    with suppress(OSError):  # a full disk takes no more lines
        for delivery in deliveries:
            log.write(delivery.line)
        if not_told := "; ".join(delivery.line for delivery in deliveries if delivery.error):
            _keep(name, store, firing.model_copy(update={"not_told": not_told}), fired)
