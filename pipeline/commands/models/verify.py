"""`petseg models verify`: whether versions are as they were pushed."""

from typing import Any

import click

from pipeline.commands.models.options import at_work, directory_options, resolve_directory
from pipeline.json_text import json_text
from pipeline.output_streams import say

_DAMAGED = 1


@click.command()
@click.argument("version", type=click.IntRange(min=0), required=False)
@click.option("--all", "every", is_flag=True, help="Verify all versions.")
@directory_options
@click.pass_context
def verify(ctx: click.Context, /, version: int | None, every: bool, as_json: bool, **options: Any) -> None:
    """Compare the files of VERSION with the checksums of its push; without VERSION those of the newest.

    Exit codes: 0 all is as it was pushed, 1 something differs, and is named, 2 bad usage or configuration.
    """
    if every and version is not None:
        raise click.UsageError(f"--all takes no version; did you mean: petseg models verify {version}")
    place = resolve_directory(**options)
    with at_work(place):
        from pipeline.pushed_versions import damages

        found = damages(place.directory, version, every=every)
    if as_json:
        click.echo(json_text(found))
    else:
        for number, lines in found.items():
            for line in lines or ["as it was pushed"]:
                say(f"{number}: {line}")
    ctx.exit(_DAMAGED if any(found.values()) else 0)
