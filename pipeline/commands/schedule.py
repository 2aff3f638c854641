"""`petseg schedule`: retraining at declared times, on Kubeflow Pipelines or by the scheduler of this machine."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from pipeline.commands.firing import fire
from pipeline.commands.options import SuggestingGroup, config_options, json_option, resolve_config
from pipeline.config.cron import Cron
from pipeline.config.loading import DEFAULT_PRESET
from pipeline.config.schema import Config
from pipeline.schedules.schedule import Schedule, SchedulePlace, declared_cron, declared_name, find_schedule
from pipeline.schedules.tables import NEXT_FIRINGS, firing_lines, plan_lines, schedule_lines, schedules_table
from pipeline.schedules.times import next_firings
from pipeline.terminal.streams import json_text, notify
from pipeline.terminal.tables import console

_Command = Callable[..., Any]


def _place_options(command: _Command) -> _Command:
    """Adds the options that say which schedules are meant: those of the configuration, and `--local`."""
    local = click.option(
        "--local", is_flag=True, help="This machine's own scheduler (systemd or cron) instead of Kubeflow Pipelines."
    )
    return config_options(local(command))


def _name_argument(command: _Command) -> _Command:
    """Adds the schedule's name."""
    return click.argument("name", metavar="[NAME]", required=False)(command)


@click.group(cls=SuggestingGroup)
def schedule() -> None:
    """Retrain at declared times: on Kubeflow Pipelines, or on this machine by its own scheduler."""


@schedule.command("apply", short_help="Make the server or this machine follow [schedule].")
@_place_options
@click.option(
    "--package",
    "package_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Upload this compiled package first; without it the pipeline has to be on the server.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@json_option("Print the changes as JSON.")
def apply(package_file: Path | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Make the server, or with --local this machine, follow [schedule] of the configuration.

    Prints what differs, then creates or changes the schedule, or leaves it alone when it is as declared. A paused
    schedule stays paused. Ctrl-C at any time is safe: the next apply finishes or undoes what was begun.
    """
    if package_file is not None and options["local"]:
        raise click.UsageError("--package is for Kubeflow Pipelines; with --local the installed petseg runs")
    config, place = _open_place(**options, package_file=package_file)
    plan = place.plan()
    if as_json:
        click.echo(json_text(plan.model_dump(mode="json") | {"dry_run": dry_run}))
    else:
        _print_lines(plan_lines(plan))
        _print_lines(firing_lines(declared_cron(config), config.schedule.time_zone, place))
    if not dry_run:
        place.carry_out(plan)
    if not as_json:
        click.echo("nothing was changed (--dry-run)" if dry_run else "done")


@schedule.command("list", short_help="List the schedules.")
@_place_options
@json_option("Print the schedules as JSON.")
def list_schedules(as_json: bool, **options: Any) -> None:
    """List the schedules of the server's namespace, or with --local those of this machine."""
    _, place = _open_place(**options)
    schedules = place.schedules()
    if as_json:
        click.echo(json_text([schedule.model_dump(mode="json") for schedule in schedules]))
    elif schedules:
        _print_lines([schedules_table(schedules)])
    else:
        click.echo(f"no schedules on {place.place}; `petseg schedule apply` makes one")


@schedule.command("show", short_help="Show a schedule and its next firing times.")
@_name_argument
@_place_options
@json_option("Print the schedule as JSON.")
def show(name: str | None, as_json: bool, **options: Any) -> None:
    """Show a schedule as it is, and its next firing times.

    NAME is a schedule's name or id; without it the one that the configuration declares.
    """
    place, schedule = _open_schedule(name, **options)
    cron = Cron.parse(schedule.cron) if schedule.cron else None
    if as_json:
        now = datetime.now(UTC)
        firings = next_firings(cron, schedule.time_zone, now, NEXT_FIRINGS, repeats=place.repeats) if cron else []
        times = [firing.isoformat() for firing in firings]
        click.echo(json_text(schedule.model_dump(mode="json") | {"next_firings": times}))
        return
    _print_lines(schedule_lines(schedule))
    if cron is None:
        click.echo("its firing times are not known here: its trigger is none that petseg writes")
    else:
        _print_lines(firing_lines(cron, schedule.time_zone, place))


@schedule.command("pause", short_help="Stop a schedule from firing.")
@_name_argument
@_place_options
def pause(name: str | None, **options: Any) -> None:
    """Stop a schedule from firing until it is resumed; runs that go on are not touched.

    NAME is a schedule's name or id; without it the one that the configuration declares.
    """
    place, schedule = _open_schedule(name, **options)
    if not schedule.enabled:
        click.echo(f"the schedule {schedule.name} on {schedule.place} is paused already")
        return
    place.pause(schedule)
    click.echo(f"paused the schedule {schedule.name} on {schedule.place}")


@schedule.command("resume", short_help="Let a paused schedule fire again.")
@_name_argument
@_place_options
def resume(name: str | None, **options: Any) -> None:
    """Let a paused schedule fire again.

    NAME is a schedule's name or id; without it the one that the configuration declares.

    Kubeflow Pipelines makes up at once for the last firing that was missed meanwhile, with schedule.catch_up for all.
    """
    place, schedule = _open_schedule(name, **options)
    if schedule.enabled:
        click.echo(f"the schedule {schedule.name} on {schedule.place} is enabled already")
        return
    place.resume(schedule)
    click.echo(f"resumed the schedule {schedule.name} on {schedule.place}")


@schedule.command("trigger", short_help="Start one run of a schedule now.")
@_name_argument
@_place_options
def trigger(name: str | None, **options: Any) -> None:
    """Start one run of a schedule now, with the schedule's own parameters; also of a paused one.

    NAME is a schedule's name or id; without it the one that the configuration declares.
    """
    place, schedule = _open_schedule(name, **options)
    click.echo(place.trigger(schedule))


@schedule.command("delete", short_help="Remove a schedule.")
@_name_argument
@_place_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str | None, yes: bool, **options: Any) -> None:
    """Remove a schedule; the runs that it started and the models that they pushed stay.

    NAME is a schedule's name or id; without it the one that the configuration declares. On Kubeflow Pipelines runs of
    the schedule that go on are stopped with it.
    """
    place, schedule = _open_schedule(name, **options)
    going_on = place.runs_going_on(schedule)
    stopped = f" and stop its runs that go on ({', '.join(going_on)})" if going_on else ""
    if not yes:
        click.confirm(f"delete the schedule {schedule.name} on {schedule.place}{stopped}?", abort=True, err=True)
    place.delete(schedule)
    click.echo(f"deleted the schedule {schedule.name} on {schedule.place}")


schedule.add_command(fire)


def _open_place(
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    local: bool,
    package_file: Path | None = None,
) -> tuple[Config, SchedulePlace]:
    """Returns the configuration that the options describe, and the place that they name.

    Raises:
      PetsegError: The configuration or the package cannot be used, or the place cannot be reached.
    """
    config = resolve_config(preset, config_file, overrides)
    if local:
        from pipeline.schedules.local import LocalSchedules, RunOptions

        started_from = preset if preset or config_file else DEFAULT_PRESET
        return config, LocalSchedules(config, RunOptions(started_from, config_file, overrides), notify)
    from pipeline.kubeflow.client import connect
    from pipeline.kubeflow.package import Package
    from pipeline.schedules.kubeflow import KubeflowSchedules

    package = None if package_file is None else Package.load(package_file)
    return config, KubeflowSchedules(connect(config.kubeflow), config, package, notify)


def _open_schedule(name: str | None, **options: Any) -> tuple[SchedulePlace, Schedule]:
    """Returns the place that the options name, and its schedule of that name or id.

    Without a name it is the schedule that the configuration declares.

    Raises:
      PetsegError: As `_open_place`, or there is no such schedule.
    """
    config, place = _open_place(**options)
    return place, find_schedule(place.schedules(), name or declared_name(config), place.place)


def _print_lines(lines: Iterable[RenderableType]) -> None:
    """Prints on standard output, each on a line, which is never wrapped."""
    out = console()
    for line in lines:
        out.print(line, soft_wrap=True)
