"""`petseg schedule delete`: removes a schedule."""

from typing import Any

import click

from pipeline.commands.schedule.options import chosen_schedule, name_argument, place_options, resolve_place


@click.command("delete")
@name_argument
@place_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str | None, yes: bool, **options: Any) -> None:
    """Remove a schedule; the runs that it started and the models that they pushed stay.

    NAME is a schedule's name or id; without it the one that the configuration declares. On Kubeflow Pipelines runs of
    the schedule that go on are stopped with it.
    """
    config, place = resolve_place(**options)
    schedule = chosen_schedule(config, place, name)
    going_on = place.runs_going_on(schedule)
    stopped = f" and stop its runs that go on ({', '.join(going_on)})" if going_on else ""
    if not yes:
        click.confirm(f"delete the schedule {schedule.name} on {schedule.place}{stopped}?", abort=True, err=True)
    place.delete(schedule)
    click.echo(f"deleted the schedule {schedule.name} on {schedule.place}")
