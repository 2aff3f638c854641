"""`petseg data`: data sets, from the files that people have to what a model was trained on."""

from typing import Final

import click

from pipeline.commands.options import LazyGroup

_COMMANDS: Final = {
    "import": ("pipeline.commands.data_import:import_data", "Make a data set of images and masks, or add to it."),
    "describe": ("pipeline.commands.data_describe:describe", "Say what a data set holds, and propose a configuration."),
    "show": ("pipeline.commands.data_describe:show", "Draw pages of images with their masks."),
    "drift": ("pipeline.commands.data_drift:drift", "Compare a data set with what a model was trained on."),
}


@click.group(cls=LazyGroup, commands_table=_COMMANDS)
def data() -> None:
    """Make, look at and compare data sets."""
