"""`petseg schedule pause`: stops a schedule from firing."""

from typing import Any

import click

from pipeline.commands.schedule.options import chosen_schedule, name_argument, place_options, resolve_place


@click.command("pause")
@name_argument
@place_options
def pause(name: str | None, **options: Any) -> None:
    """Stop a schedule from firing until it is resumed; runs that go on are not touched.

    NAME is a schedule's name or id; without it the one that the configuration declares.
    """
    config, place = resolve_place(**options)
    schedule = chosen_schedule(config, place, name)
    if not schedule.enabled:
        click.echo(f"the schedule {schedule.name} on {schedule.place} is paused already")
        return
    place.pause(schedule)
    click.echo(f"paused the schedule {schedule.name} on {schedule.place}")
