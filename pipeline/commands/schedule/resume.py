"""`petseg schedule resume`: lets a paused schedule fire again."""

from typing import Any

import click

from pipeline.commands.schedule.options import chosen_schedule, name_argument, place_options, resolve_place


@click.command("resume")
@name_argument
@place_options
def resume(name: str | None, **options: Any) -> None:
    """Let a paused schedule fire again.

    NAME is a schedule's name or id; without it the one that the configuration declares.

    Kubeflow Pipelines makes up at once for the last firing that was missed meanwhile, with schedule.catch_up for all.
    """
    config, place = resolve_place(**options)
    schedule = chosen_schedule(config, place, name)
    if schedule.enabled:
        click.echo(f"the schedule {schedule.name} on {schedule.place} is enabled already")
        return
    place.resume(schedule)
    click.echo(f"resumed the schedule {schedule.name} on {schedule.place}")
