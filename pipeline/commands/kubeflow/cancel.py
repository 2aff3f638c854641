"""`petseg kubeflow cancel`: stops a run on the server."""

from pathlib import Path

import click

from pipeline.commands.options import config_options, resolve_config
from pipeline.kubeflow.cancellation import cancel_run
from pipeline.kubeflow.client import connect


@click.command("cancel")
@click.argument("run")
@config_options
def cancel(run: str, preset: str | None, config_file: Path | None, overrides: tuple[str, ...]) -> None:
    """Stop the run with the id RUN; what its components have finished stays, and later runs may use it.

    A run that has ended, or is being cancelled, is left as it is.
    """
    click.echo(
        cancel_run(connect(resolve_config(preset, config_file, overrides, announce_default=False).kubeflow), run)
    )
