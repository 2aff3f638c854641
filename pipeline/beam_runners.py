"""What the arguments of Apache Beam ask for, and whether its workers reach what they are to read and write."""

from collections.abc import Mapping, Sequence
from typing import Final

from trainer_module.errors import ConfigError

_IN_PROCESS: Final = ("directrunner", "direct", "prismrunner", "prism", "bundlebaseddirectrunner")
_MANAGED: Final = ("dataflowrunner", "dataflow")
"""Their workers are machines of a cloud, which share no disk with anybody."""


def beam_runner(arguments: Sequence[str]) -> str:
    """Returns the runner's name; Beam's default when the arguments name none."""
    for position, argument in enumerate(arguments):
        if argument.startswith("--runner="):
            return argument.partition("=")[2]
        if argument == "--runner" and position + 1 < len(arguments):
            return arguments[position + 1]
    return "DirectRunner"


def runs_elsewhere(arguments: Sequence[str]) -> bool:
    """Returns whether the work is done by other processes than the component's own and its children."""
    return beam_runner(arguments).lower() not in _IN_PROCESS


def check_pods(arguments: Sequence[str], places: Mapping[str, str]) -> None:
    """Checks that workers reach what components in pods read and write.

    Args:
      arguments: Of Beam.
      places: Setting to the directory or URI that it names.

    Raises:
      ConfigError: Workers run elsewhere, and a place is not `gs://`, the one store that TensorFlow opens by itself.
    """
    for setting, place in places.items():
        if runs_elsewhere(arguments) and not place.startswith("gs://"):
            raise ConfigError(
                f"pipeline.beam_args ask for {beam_runner(arguments)}, whose workers cannot reach {setting} = "
                f"{place!r}; set it to a gs:// URI"
            )


def check_machine(arguments: Sequence[str], root: str) -> None:
    """Checks that workers reach the pipeline root of a run on this machine.

    Raises:
      ConfigError: The workers are machines of a cloud.
    """
    if beam_runner(arguments).lower() in _MANAGED:
        raise ConfigError(
            f"pipeline.beam_args ask for {beam_runner(arguments)}, whose workers cannot reach the pipeline root "
            f"{root!r} of this machine; run on Kubeflow with a pipeline root in gs://, or leave the runner out"
        )
