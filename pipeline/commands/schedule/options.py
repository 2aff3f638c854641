"""Options that the schedule commands share, and the place that they name."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from pipeline.commands.options import config_options, resolve_config
from pipeline.config import Config
from pipeline.config_loading import DEFAULT_PRESET
from pipeline.output_streams import notify
from pipeline.scheduling.schedule import Schedule, SchedulePlace, declared_name, find_schedule
from pipeline.tables import console

_Command = Callable[..., Any]


def place_options(command: _Command) -> _Command:
    """Adds the options that say which schedules are meant: those of the configuration, and `--local`."""
    local = click.option(
        "--local", is_flag=True, help="This machine's own scheduler (systemd or cron) instead of Kubeflow Pipelines."
    )
    return config_options(local(command))


def name_argument(command: _Command) -> _Command:
    """Adds the schedule's name."""
    return click.argument("name", metavar="[NAME]", required=False)(command)


def resolve_place(
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
        from pipeline.scheduling.local_schedule import RunOptions, open_local_schedules

        started_from = preset if preset or config_file else DEFAULT_PRESET
        return config, open_local_schedules(config, RunOptions(started_from, config_file, overrides), notify)
    from pipeline.kubeflow.client import connect
    from pipeline.kubeflow.package import Package
    from pipeline.scheduling.kubeflow_schedule import KubeflowSchedules

    package = None if package_file is None else Package.load(package_file)
    return config, KubeflowSchedules(connect(config.kubeflow), config, package, notify)


def chosen_schedule(config: Config, place: SchedulePlace, name: str | None) -> Schedule:
    """Returns the schedule of that name or id; without a name, the one that the configuration declares.

    Raises:
      PetsegError: There is no such schedule.
    """
    return find_schedule(place.schedules(), name or declared_name(config), place.place)


def print_lines(lines: Iterable[RenderableType]) -> None:
    """Prints on standard output, each on a line, which is never wrapped."""
    out = console()
    for line in lines:
        out.print(line, soft_wrap=True)
