"""`petseg kubeflow logs`: what a component of a run has written."""

from pathlib import Path

import click

from pipeline.commands.options import config_options, resolve_config
from pipeline.kubeflow.client import connect
from pipeline.kubeflow.remote_log import ComponentLog
from pipeline.kubeflow.remote_run import RemoteRun
from pipeline.process_exit import INTERRUPTED


@click.command("logs")
@click.argument("run")
@click.argument("component")
@config_options
@click.option("--follow", is_flag=True, help="Go on until the component has ended; Ctrl-C leaves it alone.")
@click.pass_context
def logs(
    ctx: click.Context,
    run: str,
    component: str,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    follow: bool,
) -> None:
    """Print the log of COMPONENT, such as Trainer, of the run with the id RUN; of several attempts the latest one's.

    The server can read a log while its pod is there, or from its archive if it has one. Where it cannot, the command
    for kubectl is named.
    """
    client = connect(resolve_config(preset, config_file, overrides, announce_default=False).kubeflow)
    log = ComponentLog(client, RemoteRun.load(client, run), component)
    try:
        for text in log.follow() if follow else [log.read()]:
            click.echo(text, nl=False)
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)
