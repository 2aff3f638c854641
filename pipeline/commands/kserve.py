"""`petseg kserve`: the models that KServe serves.

What asks the cluster is imported by the commands that need it, so that help and mistakes are answered at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pipeline.commands.options import SuggestingGroup, config_options, json_option, resolve_config
from pipeline.config.schema import Config
from pipeline.terminal.streams import json_text, notify, say

if TYPE_CHECKING:
    from components.kserve_deployer.cluster import Cluster
    from components.kserve_deployer.rollout import Outcome

_NOT_READY: Final = 1


@click.group(cls=SuggestingGroup)
def kserve() -> None:
    """See, promote and roll back what KServe serves; a run with push.kserve.enabled deploys it.

    The cluster, the namespace and the name of the InferenceService are settings of [push.kserve].
    """


@kserve.command("status", short_help="Show models, traffic, conditions and pods.")
@config_options
@json_option("Print the record as JSON.")
@click.pass_context
def status(
    ctx: click.Context, preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Show the InferenceService: its URL, models, traffic, conditions and pods.

    Exit codes: 0 it is ready, 1 it is not or cannot be read, 2 bad usage or configuration.
    """
    from components.kserve_deployer.rollout import deployed
    from pipeline.kserve.service import ServiceRecord, service_tables
    from pipeline.terminal.tables import print_table

    cluster = _cluster_of(resolve_config(preset, config_file, overrides, announce_default=False))
    record = ServiceRecord.of(deployed(cluster), cluster.pods())
    if as_json:
        click.echo(json_text(record))
    else:
        print_table(service_tables(record))
    ctx.exit(0 if record.ready else _NOT_READY)


@kserve.command("promote", short_help="Give the canary all traffic.")
@config_options
@json_option("Print the outcome as JSON.")
def promote(preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Give all traffic to the canary, and wait until it has it.

    Without a canary, the version that was rolled back is served again; without either nothing changes.

    Exit codes: 0 done, 1 the cluster refuses or does not get there in time, 2 bad usage or configuration.
    """
    from components.kserve_deployer import rollout

    config = resolve_config(preset, config_file, overrides, announce_default=False)
    _show(rollout.promote(_cluster_of(config)), config, as_json=as_json)


@kserve.command("rollback", short_help="Go back to the model before.")
@config_options
@json_option("Print the outcome as JSON.")
def rollback(preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Take all traffic from the canary; without one, serve the version again that was served before.

    A version that was rolled back is not deployed again by a run; petseg kserve promote serves it again.

    Exit codes: 0 done, 1 the cluster refuses or does not get there in time, 2 bad usage or configuration.
    """
    from components.kserve_deployer import rollout

    config = resolve_config(preset, config_file, overrides, announce_default=False)
    _show(rollout.rollback(_cluster_of(config)), config, as_json=as_json)


def _cluster_of(config: Config) -> "Cluster":
    """Returns the cluster with the InferenceService that the configuration names; nothing is asked yet."""
    from components.kserve_deployer.cluster import Cluster
    from pipeline.kserve.service import cluster_access

    return Cluster(cluster_access(config))


def _show(outcome: "Outcome", config: Config, *, as_json: bool) -> None:
    """Prints what came of a change, of which MLflow hears too."""
    from pipeline.tracking.rollouts import served_by_kserve

    if untold := served_by_kserve(config, outcome.state):
        notify(f"warning: {untold}", "yellow")
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
                "traffic": outcome.traffic,
            }
        )
    )
