"""`petseg models`: the versions that were pushed."""

import click

from pipeline.commands.lazy_group import LazyGroup

_COMMANDS = {
    "list": ("pipeline.commands.models.list:list_models", "List the versions, the newest first."),
    "rollback": ("pipeline.commands.models.rollback:rollback", "Serve an earlier version again."),
    "remove": ("pipeline.commands.models.remove:remove", "Remove a version."),
    "verify": ("pipeline.commands.models.verify:verify", "Check that versions are as they were pushed."),
}


@click.group(cls=LazyGroup, commands_table=_COMMANDS)
def models() -> None:
    """Look after the versions that were pushed, of which servers take the highest."""
