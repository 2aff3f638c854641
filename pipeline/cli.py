"""The console command `petseg`; every subcommand is imported only when it is called.

Exit codes: 0 done, 1 failure, or nobody read to the end what the command is there to print (`petseg runs | head -1`),
2 bad usage or configuration, 3 a run is done but its model was not blessed, an export would cost too much accuracy,
data drifted, or a cleaned root is still too large, 130 interrupted. A run is done whether or not somebody reads what it
shows.
"""

from collections.abc import Sequence
from typing import Final

import click

from pipeline.commands import options
from pipeline.terminal.streams import leave, prepare_standard_streams

_COMMANDS: Final = {
    "data": ("pipeline.commands.data:data", "Make, look at and compare data sets."),
    "run": ("pipeline.commands.run:run", "Run the pipeline on this machine, from data to pushed model."),
    "retrain": ("pipeline.commands.retrain:retrain", "Run the pipeline if there is a reason to train."),
    "runs": ("pipeline.commands.runs:runs", "List the runs so far, or show one."),
    "history": ("pipeline.commands.history:history", "Show what happened over time: metrics, pushes, rollbacks."),
    "report": ("pipeline.commands.runs:report", "Write the report of a run as a page, and its model card."),
    "pictures": ("pipeline.commands.runs:pictures", "Draw a run's learning curves and predictions as files."),
    "compare": ("pipeline.commands.runs:compare", "Compare two runs: settings, metrics, images."),
    "evaluate": ("pipeline.commands.evaluate:evaluate", "Evaluate an exported model on any data set."),
    "serve": ("pipeline.commands.serve:serve", "Serve a pushed model on this machine, with a page to try it."),
    "predict": ("pipeline.commands.evaluate:predict", "Write masks and overlays of image files."),
    "export": ("pipeline.commands.export:export", "Make a model smaller or quicker, and measure the cost."),
    "models": ("pipeline.commands.models:models", "Look after the versions that were pushed."),
    "freeze": ("pipeline.commands.retrain:freeze", "Push nothing from now on, while training goes on."),
    "unfreeze": ("pipeline.commands.retrain:unfreeze", "Push again what passes the gate."),
    "kubeflow": ("pipeline.commands.kubeflow:kubeflow", "Run it on Kubeflow Pipelines."),
    "kserve": ("pipeline.commands.kserve:kserve", "See, watch, promote and roll back what KServe serves."),
    "track": ("pipeline.commands.track:track", "Send to MLflow what it has not heard of runs."),
    "clean": ("pipeline.commands.clean:clean", "Remove what old runs left, and nothing that is in use."),
    "schedule": ("pipeline.commands.schedule:schedule", "Retrain at declared times."),
    "notify": ("pipeline.commands.notification:notify_command", "Tell people of a run, by webhook or mail."),
    "doctor": ("pipeline.commands.doctor:doctor", "Look whether everything is there, and say what to do."),
    "show-config": ("pipeline.commands.run:show_config", "Print the resolved configuration."),
}


@click.group(cls=options.LazyGroup, commands_table=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="petseg", prog_name="petseg", message="%(prog)s %(version)s")
def cli() -> None:
    """Train, gate and push a U-Net for semantic segmentation, as one TFX pipeline."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command line and exits."""
    leave(exit_code(args))


def exit_code(args: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    prepare_standard_streams()
    return options.exit_code(cli, args)
