"""`petseg schedule show`: one schedule, and when it fires next."""

from datetime import UTC, datetime
from typing import Any

import click

from pipeline.commands.options import json_option
from pipeline.commands.schedule.options import (
    chosen_schedule,
    name_argument,
    place_options,
    print_lines,
    resolve_place,
)
from pipeline.json_text import json_text
from pipeline.scheduling.cron import Cron

_FIRINGS = 5


@click.command("show")
@name_argument
@place_options
@json_option("Print the schedule as JSON.")
def show(name: str | None, as_json: bool, **options: Any) -> None:
    """Show a schedule as it is, and its next firing times.

    NAME is a schedule's name or id; without it the one that the configuration declares.
    """
    config, place = resolve_place(**options)
    schedule = chosen_schedule(config, place, name)
    cron = Cron.parse(schedule.cron) if schedule.cron else None
    if as_json:
        from pipeline.scheduling.firing_times import next_firings

        now = datetime.now(UTC)
        firings = next_firings(cron, schedule.time_zone, now, _FIRINGS, repeats=place.repeats) if cron else []
        times = [firing.isoformat() for firing in firings]
        click.echo(json_text(schedule.model_dump(mode="json") | {"next_firings": times}))
        return
    from pipeline.scheduling.schedule_tables import firing_lines, schedule_lines

    print_lines(schedule_lines(schedule))
    if cron is None:
        click.echo("its firing times are not known here: its trigger is none that petseg writes")
    else:
        print_lines(firing_lines(cron, schedule.time_zone, place))
