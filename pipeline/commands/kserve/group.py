"""`petseg kserve`: the models that KServe serves."""

import click

from pipeline.commands.lazy_group import LazyGroup

_COMMANDS = {
    "status": ("pipeline.commands.kserve.status:status", "Show models, traffic, conditions and pods."),
    "promote": ("pipeline.commands.kserve.promote:promote", "Give the canary all traffic."),
    "rollback": ("pipeline.commands.kserve.rollback:rollback", "Go back to the model before."),
}


@click.group(cls=LazyGroup, commands_table=_COMMANDS)
def kserve() -> None:
    """See, promote and roll back what KServe serves; a run with push.kserve.enabled deploys it.

    The cluster, the namespace and the name of the InferenceService are settings of [push.kserve].
    """
