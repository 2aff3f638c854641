"""`petseg models remove`: a version less."""

from typing import Any

import click

from pipeline.commands.models.options import at_work, directory_options, resolve_directory
from pipeline.json_text import json_text


@click.command()
@click.argument("version", type=click.IntRange(min=0))
@click.option("--force", is_flag=True, help="Remove it even if it is the newest, which servers hold, or pinned.")
@directory_options
def remove(version: int, force: bool, as_json: bool, **options: Any) -> None:
    """Remove VERSION; the newest only with --force."""
    place = resolve_directory(**options)
    with at_work(place):
        from components.model_pusher.push import remove_version

        newest = remove_version(place.directory, version, force=force, pinned=place.pinned)
    if as_json:
        click.echo(json_text({"removed": version, "newest": newest}))
    else:
        following = "nothing is served any more" if newest is None else f"servers take version {newest}"
        click.echo(f"removed version {version}; {following}")
