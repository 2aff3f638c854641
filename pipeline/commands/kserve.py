"""`petseg kserve`: the models that KServe serves.

What the commands of `petseg kserve` share: the InferenceService that they are about, and how they end.

`petseg kserve status`: what is served, with what share of the traffic, and how it is.

`petseg kserve promote`: all traffic to the canary.

`petseg kserve rollback`: back to the model before.
"""

from pathlib import Path

import click

from components.kserve_deployer import rollout
from components.kserve_deployer.cluster import Cluster
from components.kserve_deployer.rollout import Outcome, deployed
from pipeline.commands.options import LazyGroup, config_options, json_option, resolve_config
from pipeline.kserve.service import ServiceRecord, cluster_access, service_tables
from pipeline.terminal.streams import json_text, say
from pipeline.terminal.tables import print_table


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


@click.command("promote")
@config_options
@json_option("Print the outcome as JSON.")
def promote(preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Give all traffic to the canary, and wait until it has it.

    Without a canary, the version that was rolled back is served again; without either nothing changes.

    Exit codes: 0 done, 1 the cluster refuses or does not get there in time, 2 bad usage or configuration.
    """
    show_outcome(rollout.promote(chosen_cluster(preset, config_file, overrides)), as_json=as_json)


@click.command("rollback")
@config_options
@json_option("Print the outcome as JSON.")
def rollback(preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Take all traffic from the canary; without one, serve the version again that was served before.

    A version that was rolled back is not deployed again by a run; petseg kserve promote serves it again.

    Exit codes: 0 done, 1 the cluster refuses or does not get there in time, 2 bad usage or configuration.
    """
    show_outcome(rollout.rollback(chosen_cluster(preset, config_file, overrides)), as_json=as_json)


_COMMANDS = {
    "status": ("pipeline.commands.kserve:status", "Show models, traffic, conditions and pods."),
    "promote": ("pipeline.commands.kserve:promote", "Give the canary all traffic."),
    "rollback": ("pipeline.commands.kserve:rollback", "Go back to the model before."),
}


@click.group(cls=LazyGroup, commands_table=_COMMANDS)
def kserve() -> None:
    """See, promote and roll back what KServe serves; a run with push.kserve.enabled deploys it.

    The cluster, the namespace and the name of the InferenceService are settings of [push.kserve].
    """
