"""One firing of a schedule of this machine: what its scheduler starts.

    python -P -m petseg schedule fire --name NAME --directory DIR --root DIR -- ARGUMENTS OF petseg run

It is a command, though no one for people, because schedulers start it for years: a command keeps its name, a module
need not. With `--check FILE` it looks at everything that the run needs, and runs nothing: the configuration, the
pipeline root, the modules of builders, the data set with its features and splits, and where data and models are
written to. Heavy libraries are imported by that and by the run only.
"""

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

import petseg
from petseg.processes import can_be_made
from pipeline.commands.notification import note_in_log
from pipeline.commands.options import FAILURE, FiredRun, exit_code, resolve_config
from pipeline.config.notification import Outcome
from pipeline.notifications.delivery import tell_of_run
from pipeline.runs.store import RunStore
from pipeline.schedules.environment import Verdict
from pipeline.schedules.firings import LOG_NAME, Firing, FiringLog, FiringRecord
from pipeline.schedules.notification import tell_of_firing
from pipeline.terminal.streams import INTERRUPTED
from trainer_module.errors import ConfigError, PetsegError

_NOT_THE_USERS: Final = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    *(str(petseg.ROOT / name) for name in ("petseg", *petseg.PACKAGES)),
)
"""Where code lies that is not the user's own."""


@click.command("fire", hidden=True)
@click.option("--name", required=True, help="Name of the schedule.")
@click.option("--directory", required=True, type=click.Path(path_type=Path), help="Working directory of the run.")
@click.option("--root", required=True, help="Pipeline root.")
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only look whether a run could start; say so there.",
)
@click.argument("run_arguments", nargs=-1, required=True, metavar="ARGUMENTS", type=click.UNPROCESSED)
@click.pass_context
def fire(
    ctx: click.Context, name: str, directory: Path, root: str, check: Path | None, run_arguments: tuple[str, ...]
) -> None:
    """Start `petseg run` with ARGUMENTS as the schedule NAME, unless a run goes on; its output goes into a log.

    A firing that finds a run of the pipeline root going on is skipped: a line in the log says so, and the exit code is
    0. What became of the firing is recorded for `petseg schedule list` and `show`.
    """

    def petseg_run(fired: FiredRun) -> int:
        return exit_code(ctx.find_root().command, ["run", *run_arguments], fired)

    if check is not None:
        check_firing(check, directory, root, run_arguments)
    else:
        ctx.exit(_fire(name, directory, root, petseg_run))


def check_firing(file: Path, directory: Path, root: str, run_arguments: Sequence[str]) -> None:
    """Looks at what a firing needs, in the process that stands for it, and leaves the verdict in a file."""
    with asked_variables() as asked:
        try:
            _require_writable("pipeline.root", root)
            os.chdir(directory)
            _check_needs(run_arguments)
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


def _check_needs(run_arguments: Sequence[str]) -> None:
    from components.tfds_example_gen.source import NotPreparedError
    from pipeline.commands.run import run
    from pipeline.data.readiness import open_unprepared

    given = run.make_context("run", list(run_arguments)).params
    config = resolve_config(*(given[name] for name in ("preset", "config_file", "overrides", "pipeline_root")))
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


def _fire(name: str, directory: Path, root: str, petseg_run: Callable[[FiredRun], int]) -> int:
    """Runs the pipeline once, with its output in the log, and returns the exit code of `petseg run`."""
    store, now = RunStore(root), datetime.now(UTC)
    record = FiringRecord.load(store.root, name) or FiringRecord(since=now)
    try:
        store.prepare()
    except PetsegError as error:
        print(f"schedule {name}: {error}", file=sys.stderr)
        for delivery in tell_of_firing(record.notification, name, "failed", str(error), store.root / LOG_NAME):
            print(f"schedule {name}: {delivery.line}", file=sys.stderr)
        return FAILURE
    log = FiringLog(store.root, name)
    active = store.active_run()
    if active is not None:
        _skip(name, store, log, record, active)
        return 0
    fired, firing = FiredRun(), Firing(started=now)
    record.model_copy(update={"last": firing}).save(store.root, name)
    try:
        log.write("started")
        try:
            os.chdir(directory)
        except OSError as error:
            click.echo(f"error: cannot enter the working directory {str(directory)!r}: {error.strerror}")
            code = FAILURE
        else:
            code = petseg_run(fired)
        log.write(f"ended with exit code {code}")
    except BaseException as error:
        firing = firing.ending(None, f"{type(error).__name__}: {error}")
        raise
    else:
        firing = firing.ending(code, log.last_error() if code else "")
    finally:
        try:
            record = _keep(name, store, firing, fired)
        finally:
            _tell(name, store, log, record, firing, fired)
    return code


def _skip(name: str, store: RunStore, log: FiringLog, record: FiringRecord, active: str) -> None:
    """Leaves a firing out since a run goes on, which is told once for that run."""
    why = f"the run {active} goes on"
    log.write(f"skipped, since {why}")
    is_news = record.skipped_for != active
    record.model_copy(update={"skipped": datetime.now(UTC), "skipped_for": active}).save(store.root, name)
    if is_news:
        for delivery in tell_of_firing(record.notification, name, "skipped", f"{why}.", store.root / LOG_NAME):
            log.write(delivery.line)


def _keep(name: str, store: RunStore, firing: Firing, fired: FiredRun) -> FiringRecord:
    """Records a firing; the record is read anew, since meanwhile firings may have been skipped."""
    record = FiringRecord.load(store.root, name) or FiringRecord(since=firing.started)
    record = record.model_copy(update={"last": firing})
    record.remember(fired.config.notification if fired.config else None)
    record.save(store.root, name)
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
