"""What the commands of `petseg kserve` share: the InferenceService that they are about, and how they end."""

from pathlib import Path

import click

from components.kserve_deployer.cluster import Cluster
from components.kserve_deployer.rollout import Outcome
from pipeline.commands.options import resolve_config
from pipeline.json_text import json_text
from pipeline.kserve.inference_service import cluster_access
from pipeline.output_streams import say


def chosen_cluster(preset: str | None, config_file: Path | None, overrides: tuple[str, ...]) -> Cluster:
    """Returns the cluster with the InferenceService that the configuration names; nothing is asked yet."""
    return Cluster(cluster_access(resolve_config(preset, config_file, overrides, announce_default=False)))


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Prints what came of a change."""
    if not as_json:
        say(outcome.summary)
        return
    state = outcome.state
    click.echo(
        json_text(
            {
                "changed": outcome.changed,
                "url": outcome.url,
                "stable": state.stable,
                "canary": state.canary,
                "canary_percent": state.percent if state.canary else None,
                "previous": state.previous,
            }
        )
    )
