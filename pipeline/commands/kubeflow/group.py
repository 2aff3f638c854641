"""`petseg kubeflow`: the pipeline on Kubeflow Pipelines v2."""

import click

from pipeline.commands.lazy_group import LazyGroup

_COMMANDS = {
    "compile": ("pipeline.commands.kubeflow.compile:compile_package", "Compile the pipeline to one file."),
    "dry-run": ("pipeline.commands.kubeflow.dry_run:dry_run", "Execute a compiled file on this machine."),
    "submit": ("pipeline.commands.kubeflow.submit:submit", "Upload a compiled file, run it, and follow the run."),
    "status": ("pipeline.commands.kubeflow.status:status", "Show a run on the server."),
    "logs": ("pipeline.commands.kubeflow.logs:logs", "Print the log of a component of a run."),
    "cancel": ("pipeline.commands.kubeflow.cancel:cancel", "Stop a run on the server."),
}


@click.group(cls=LazyGroup, commands_table=_COMMANDS)
def kubeflow() -> None:
    """Compile, try, submit and follow the pipeline on Kubeflow Pipelines v2."""
