"""`petseg schedule`: retraining at declared times."""

import click

from pipeline.commands.lazy_group import LazyGroup

_COMMANDS = {
    "apply": ("pipeline.commands.schedule.apply:apply", "Make the server or this machine follow [schedule]."),
    "list": ("pipeline.commands.schedule.list:list_schedules", "List the schedules."),
    "show": ("pipeline.commands.schedule.show:show", "Show a schedule and its next firing times."),
    "pause": ("pipeline.commands.schedule.pause:pause", "Stop a schedule from firing."),
    "resume": ("pipeline.commands.schedule.resume:resume", "Let a paused schedule fire again."),
    "trigger": ("pipeline.commands.schedule.trigger:trigger", "Start one run of a schedule now."),
    "delete": ("pipeline.commands.schedule.delete:delete", "Remove a schedule."),
}


@click.group(cls=LazyGroup, commands_table=_COMMANDS)
def schedule() -> None:
    """Retrain at declared times: on Kubeflow Pipelines, or on this machine by its own scheduler."""
