"""`petseg kserve rollback`: back to the model before."""

from pathlib import Path

import click

from components.kserve_deployer import rollout
from pipeline.commands.kserve.options import chosen_cluster, show_outcome
from pipeline.commands.options import config_options, json_option


@click.command("rollback")
@config_options
@json_option("Print the outcome as JSON.")
def rollback(preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Take all traffic from the canary; without one, serve the version again that was served before.

    A version that was rolled back is not deployed again by a run; petseg kserve promote serves it again.

    Exit codes: 0 done, 1 the cluster refuses or does not get there in time, 2 bad usage or configuration.
    """
    show_outcome(rollout.rollback(chosen_cluster(preset, config_file, overrides)), as_json=as_json)
