"""`petseg models list`: the versions in the push destination."""

from typing import Any

import click

from pipeline.commands.models.options import at_work, directory_options, resolve_directory
from pipeline.json_text import json_text


@click.command("list")
@directory_options
def list_models(as_json: bool, **options: Any) -> None:
    """List the versions, the newest, which servers take, first; every file is read to tell damaged ones."""
    place = resolve_directory(**options)
    with at_work(place):
        from pipeline.pushed_versions import pushed_versions, versions_table

        versions = pushed_versions(place.directory)
    if as_json:
        click.echo(json_text([version.model_dump(mode="json") for version in versions]))
    elif versions:
        from pipeline.tables import print_table

        print_table(versions_table(versions))
    else:
        click.echo(f"no versions in {place.directory!r}; `petseg run` pushes one")
