"""What the arguments of Apache Beam ask for, and whether its workers reach what they are to read and write.

Where nothing else is asked for, components get Beam's FnApiRunner, which works inside the process. Its DirectRunner
would first download another runner, Prism, from GitHub, and use that where the download succeeds.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from petseg.processes import command
from trainer_module.errors import ConfigError

if TYPE_CHECKING:
    from apache_beam.runners.portability import fn_api_runner

_DIRECT: Final = ("directrunner", "direct")
_IN_PROCESS: Final = (
    *_DIRECT,
    "fnapirunner",
    "prismrunner",
    "prism",
    "bundlebaseddirectrunner",
    "switchingdirectrunner",
)
_MANAGED: Final = ("dataflowrunner", "dataflow")
"""Their workers are machines of a cloud, which share no disk with anybody."""

_NO_PACKING: Final = "--sdk_container_image=none"
"""Keeps TFX from packing itself for workers elsewhere, 52 MB in the temporary directory for every component. Beam looks
at the name of the image for such workers alone."""

_WORKER: Final = "apache_beam.runners.worker.sdk_worker_main"


def beam_runner(arguments: Sequence[str]) -> str:
    """Returns the runner's name, the last of several; Beam's default when the arguments name none.

    >>> beam_runner(["--runner=FlinkRunner", "--runner", "direct"])
    'direct'
    """
    for position, argument in reversed([*enumerate(arguments)]):
        if argument.startswith("--runner="):
            return argument.partition("=")[2]
        if argument == "--runner" and position + 1 < len(arguments):
            return arguments[position + 1]
    return "DirectRunner"


def runs_elsewhere(arguments: Sequence[str]) -> bool:
    """Returns whether the work is done by other processes than the component's own and its children."""
    return _short_name(arguments) not in _IN_PROCESS


def arguments_for_tfx(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments that components are to be given; those for workers elsewhere as they are."""
    if runs_elsewhere(arguments):
        return list(arguments)
    is_ours = _short_name(arguments) in (*_DIRECT, "fnapirunner")
    return [_NO_PACKING, *arguments, *([f"--runner={__name__}.{FnApiRunner.__name__}"] if is_ours else [])]


def FnApiRunner() -> "fn_api_runner.FnApiRunner":  # noqa: N802 (Beam calls what it is told the name of)
    """Returns Beam's own, but for how it starts workers with `--direct_running_mode=multi_processing`.

    Beam starts them in the working directory, which Python would search first for what they are to run.
    """
    from apache_beam.portability import python_urns
    from apache_beam.runners.portability import fn_api_runner

    class Runner(fn_api_runner.FnApiRunner):
        def run_via_runner_api(self, pipeline_proto: Any, options: Any) -> Any:
            for environment in pipeline_proto.components.environments.values():
                if environment.urn == python_urns.SUBPROCESS_SDK:
                    environment.payload = shlex.join(command(_WORKER)).encode()
            return super().run_via_runner_api(pipeline_proto, options)

    return Runner()


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
    if _short_name(arguments) in _MANAGED:
        raise ConfigError(
            f"pipeline.beam_args ask for {beam_runner(arguments)}, whose workers cannot reach the pipeline root "
            f"{root!r} of this machine; run on Kubeflow with a pipeline root in gs://, or leave the runner out"
        )


def _short_name(arguments: Sequence[str]) -> str:
    """Returns the runner's name in lower case, without the module where it has one."""
    return beam_runner(arguments).rpartition(".")[2].lower()
