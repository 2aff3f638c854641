"""`petseg kserve status`: what is served, with what share of the traffic, and how it is."""

from pathlib import Path

import click

from components.kserve_deployer.rollout import deployed
from pipeline.commands.kserve.options import chosen_cluster
from pipeline.commands.options import config_options, json_option
from pipeline.json_text import json_text
from pipeline.kserve.status import ServiceRecord, service_tables
from pipeline.tables import print_table

NOT_READY = 1


@click.command("status")
@config_options
@json_option("Print the record as JSON.")
@click.pass_context
def status(
    ctx: click.Context, preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Show the InferenceService: its URL, models, traffic, conditions and pods.

    Exit codes: 0 it is ready, 1 it is not or cannot be read, 2 bad usage or configuration.
    """
    cluster = chosen_cluster(preset, config_file, overrides)
    service, state = deployed(cluster)
    record = ServiceRecord.of(service, state, cluster.pods())
    if as_json:
        click.echo(json_text(record))
    else:
        print_table(service_tables(record))
    ctx.exit(0 if record.ready else NOT_READY)
