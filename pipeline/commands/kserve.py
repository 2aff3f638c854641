"""`petseg kserve`: the models that KServe serves.

Whatever command moves the traffic, it ends in `_moved`.

What asks the cluster is imported by the commands that need it, so that help and mistakes are answered at once.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pipeline.commands.options import SuggestingGroup, config_options, json_option, resolve_config
from pipeline.config.schema import Config
from pipeline.terminal.streams import captured_output, json_text, notify, say
from pipeline.terminal.tables import progress_bar

if TYPE_CHECKING:
    from components.kserve_deployer.canary.watch import Progress, WatchReport, WatchTask
    from components.kserve_deployer.cluster import Cluster
    from components.kserve_deployer.rollout import Outcome

_NOT_READY: Final = 1
_ROLLED_BACK: Final = 3
_UNDECIDED: Final = 4
_WATCH: Final = "push.kserve.watch"


@click.group(cls=SuggestingGroup)
def kserve() -> None:
    """See, watch, promote and roll back what KServe serves; a run with push.kserve.enabled deploys it.

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

    cluster = _cluster(_config(preset, config_file, overrides))
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

    config = _config(preset, config_file, overrides)
    _moved(rollout.promote(_cluster(config)), config, as_json=as_json)


@kserve.command("rollback", short_help="Go back to the model before.")
@config_options
@json_option("Print the outcome as JSON.")
def rollback(preset: str | None, config_file: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Take all traffic from the canary; without one, serve the version again that was served before.

    A version that was rolled back is not deployed again by a run; petseg kserve promote serves it again.

    Exit codes: 0 done, 1 the cluster refuses or does not get there in time, 2 bad usage or configuration.
    """
    from components.kserve_deployer import rollout

    config = _config(preset, config_file, overrides)
    _moved(rollout.rollback(_cluster(config)), config, as_json=as_json)


@kserve.command("watch", short_help="Compare the canary with the stable version, and decide.")
@config_options
@click.option(
    "--images",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Ask about the JPEG and PNG files of this folder; without it about images of evaluation.split.",
)
@click.option("--requests", metavar="N", help=f"How many to send to each version, instead of {_WATCH}.requests.")
@click.option("--minutes", metavar="M", help=f"Longest time, instead of {_WATCH}.minutes.")
@click.option("--once", is_flag=True, help=f"Send them without pauses, instead of {_WATCH}.pause_seconds.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@json_option("Print what came of it, with all numbers, as JSON.")
@click.pass_context
def watch(
    ctx: click.Context,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    folder: Path | None,
    requests: str | None,
    minutes: str | None,
    once: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send the same images to canary and stable version; promote the canary, roll it back, or leave it as it is.

    Errors, times and masks are compared by the settings of [push.kserve.watch]. Ctrl-C leaves the canary as it is.

    Exit codes: 0 promoted, 1 failure, 2 bad usage or configuration, 3 rolled back, 4 left as it is (too few requests,
    no certainty, or somebody else has decided), 130 interrupted.
    """
    from components.kserve_deployer.canary import watch as watching

    given = {"requests": requests, "minutes": minutes, "pause_seconds": "0" if once else None}
    named = [f"{_WATCH}.{name}={value}" for name, value in given.items() if value is not None]
    config = _config(preset, config_file, (*overrides, *named))
    cluster = _cluster(config)
    task = _watch_task(cluster, config, folder, is_dry_run=dry_run)
    with progress_bar(sys.stderr) as progress:
        shown = progress.add_task("watching", total=task.settings.requests)

        def show(now: "Progress") -> None:
            failed, of_stable = now.failed[1], now.failed[0]
            line = f"version {now.canary} beside {now.stable}: {failed} failed, {of_stable} of the stable one"
            progress.update(shown, completed=now.pairs, description=f"{line}; {now.said}" if now.said else line)
            if now.said and progress.disable:
                notify(f"{now.pairs} requests: {now.said}")

        report = watching.watch(cluster, task, show)
    _end_watch(ctx, report, config, as_json=as_json)


def _watch_task(cluster: "Cluster", config: Config, folder: Path | None, *, is_dry_run: bool) -> "WatchTask":
    """Returns what a watch goes by, once it is known that there is a canary; images are read then."""
    from components.kserve_deployer.canary.expected import expected_difference
    from components.kserve_deployer.canary.watch import WatchTask, watched
    from pipeline.kserve.service import watch_settings
    from pipeline.models.images import images_of_folder, images_of_split

    settings, found = watch_settings(config), watched(cluster)
    expected = expected_difference(config.serving_model_dir, found.stable, found.canary, settings.max_difference)
    if expected.share is None:
        notify(f"notice: the canary cannot be promoted: {expected.why_unknown}", "yellow")
    if folder is not None:
        images = images_of_folder(folder, settings.images)
    else:
        with captured_output(Path(os.devnull)):
            images = images_of_split(config, settings.images)
    return WatchTask(settings, images, expected, is_dry_run)


def _end_watch(ctx: click.Context, report: "WatchReport", config: Config, *, as_json: bool) -> None:
    """Prints what came of a watch, and ends with its exit code."""
    from components.kserve_deployer.canary.watch import Ending

    if not as_json:
        for check in report.verdict.checks:
            say(f"{check.state:<6}  {check.text}")
        say(report.headline if report.verdict.checks else report.summary)
    if report.outcome is not None:
        _moved(report.outcome, config, as_json=as_json, report=report.as_json())
    elif as_json:
        click.echo(json_text(report.as_json()))
    ctx.exit({Ending.PROMOTED: 0, Ending.ROLLED_BACK: _ROLLED_BACK}.get(report.ending, _UNDECIDED))


def _config(preset: str | None, config_file: Path | None, overrides: tuple[str, ...]) -> Config:
    return resolve_config(preset, config_file, overrides, announce_default=False)


def _cluster(config: Config) -> "Cluster":
    """Returns the cluster with the InferenceService that the configuration names; nothing is asked yet."""
    from components.kserve_deployer.cluster import Cluster
    from pipeline.kserve.service import cluster_access

    return Cluster(cluster_access(config))


def _moved(outcome: "Outcome", config: Config, *, as_json: bool, report: dict[str, Any] | None = None) -> None:
    """Prints what came of a promotion or a rollback, by a person or at the end of a watch; MLflow hears of it, too."""
    from pipeline.tracking.rollouts import served_by_kserve

    if untold := served_by_kserve(config, outcome.state):
        notify(f"warning: {untold}", "yellow")
    if not as_json:
        say(outcome.summary)
        return
    if report is not None:
        click.echo(json_text(report))
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
