"""`petseg schedule trigger`: one run of a schedule, now."""

from typing import Any

import click

from pipeline.commands.schedule.options import chosen_schedule, name_argument, place_options, resolve_place


@click.command("trigger")
@name_argument
@place_options
def trigger(name: str | None, **options: Any) -> None:
    """Start one run of a schedule now, with the schedule's own parameters; also of a paused one.

    NAME is a schedule's name or id; without it the one that the configuration declares.
    """
    config, place = resolve_place(**options)
    click.echo(place.trigger(chosen_schedule(config, place, name)))
