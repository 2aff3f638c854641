"""`petseg schedule list`: the schedules of the server or of this machine."""

from typing import Any

import click

from pipeline.commands.options import json_option
from pipeline.commands.schedule.options import place_options, print_lines, resolve_place
from pipeline.json_text import json_text


@click.command("list")
@place_options
@json_option("Print the schedules as JSON.")
def list_schedules(as_json: bool, **options: Any) -> None:
    """List the schedules of the server's namespace, or with --local those of this machine."""
    _, place = resolve_place(**options)
    schedules = place.schedules()
    if as_json:
        click.echo(json_text([schedule.model_dump(mode="json") for schedule in schedules]))
    elif schedules:
        from pipeline.scheduling.schedule_tables import schedules_table

        print_lines([schedules_table(schedules)])
    else:
        click.echo(f"no schedules on {place.place}; `petseg schedule apply` makes one")
