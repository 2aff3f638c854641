"""`petseg schedule apply`: makes the server or this machine follow the declared schedule."""

from pathlib import Path
from typing import Any

import click

from pipeline.commands.options import json_option
from pipeline.commands.schedule.options import place_options, print_lines, resolve_place
from pipeline.json_text import json_text
from pipeline.scheduling.schedule import declared_cron


@click.command("apply")
@place_options
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
    config, place = resolve_place(**options, package_file=package_file)
    plan = place.plan()
    if as_json:
        click.echo(json_text(plan.model_dump(mode="json") | {"dry_run": dry_run}))
    else:
        from pipeline.scheduling.schedule_tables import firing_lines, plan_lines

        print_lines(plan_lines(plan))
        print_lines(firing_lines(declared_cron(config), config.schedule.time_zone, place))
    if not dry_run:
        place.carry_out(plan)
    if not as_json:
        click.echo("nothing was changed (--dry-run)" if dry_run else "done")
