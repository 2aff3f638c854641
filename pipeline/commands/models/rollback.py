"""`petseg models rollback`: an earlier version, served again."""

from typing import Any

import click

from pipeline.commands.models.options import at_work, directory_options, resolve_directory
from pipeline.json_text import json_text


@click.command()
@click.argument("version", type=click.IntRange(min=0), required=False)
@directory_options
def rollback(version: int | None, as_json: bool, **options: Any) -> None:
    """Push VERSION again, under a new number, so that servers take it; without VERSION the one before the newest.

    The model that it replaces stays among the versions, and no run pushes it again before another one was pushed.
    """
    place = resolve_directory(**options)
    with at_work(place):
        from pipeline.pushed_versions import roll_back

        new, record = roll_back(place.directory, version)
    withdrawn = record.withdrawn.version if record.withdrawn else None
    if as_json:
        click.echo(json_text({"version": new, "copy_of": record.copy_of, "withdrawn": withdrawn}))
    else:
        click.echo(f"version {new}, the model of version {record.copy_of}, takes the place of {withdrawn}")
