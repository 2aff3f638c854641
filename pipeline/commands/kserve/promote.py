"""`petseg kserve promote`: all traffic to the canary."""

from pathlib import Path

import click

from components.kserve_deployer import rollout
from pipeline.commands.kserve.options import chosen_cluster, show_outcome
from pipeline.commands.options import config_options, json_option


@click.command("promote")
@config_options
@json_option("Print the outcome as JSON.")
def promote(preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Give all traffic to the canary, and wait until it has it.

    Without a canary, the version that was rolled back is served again; without either nothing changes.

    Exit codes: 0 done, 1 the cluster refuses or does not get there in time, 2 bad usage or configuration.
    """
    show_outcome(rollout.promote(chosen_cluster(preset, config_file, overrides)), as_json=as_json)
