"""What the arguments of Apache Beam ask for, and whether its workers reach what they are to read and write.

Where nothing else is asked for, components get Beam's FnApiRunner, which works inside the process. Its DirectRunner
would first download another runner, Prism, from GitHub, and use that where the download succeeds. Runners that work
through a job server are replaced by those of `pipeline.beam.job_runners`, which clean up after themselves.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from trainer_module.errors import ConfigError

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

_JOB_SERVER: Final = {"flink": "FlinkRunner", "spark": "SparkRunner", "portable": "PortableRunner"}
"""Short name to the name in `pipeline.beam.job_runners` of the runners that work through a job server."""

_WRONG: Final = {
    "dask": (
        "in Beam 2.77 it loses what a DoFn emits when a bundle ends, which is what writers and combiners do, mixes the "
        "tagged outputs of a DoFn, and reports success all the same"
    ),
}
"""Short name of a runner to what is wrong with it."""

_OURS: Final = "pipeline.beam"
_NO_PACKING: Final = "--sdk_container_image=none"
"""Keeps TFX from packing itself for workers elsewhere, 52 MB in the temporary directory for every component. Beam looks
at the name of the image for workers in containers alone."""

LOOPBACK: Final = "LOOPBACK"
EXTERNAL: Final = "EXTERNAL"
_NEED_NO_PACKAGE: Final = (LOOPBACK, EXTERNAL, "PROCESS")
"""Kinds of workers that have petseg's environment, or are not started by it."""

AUTO_MASTERS: Final = ("[auto]", "[local]")
"""Values of `--flink_master` that have the job server bring a Flink of its own."""

LOCAL_SPARK: Final = "local"
"""Begins the values of `--spark_master_url` that have the job server bring a Spark of its own."""


def option(arguments: Sequence[str], *names: str) -> str | None:
    """Returns what an option of Beam is set to, the last of several; None where it is not set.

    Args:
      arguments: Of Beam.
      *names: The option's name and its other names, without dashes.

    >>> option(["--runner=FlinkRunner", "--runner", "direct"], "runner")
    'direct'
    """
    found = None
    for position, argument in enumerate(arguments):
        name, equals, value = argument.removeprefix("--").partition("=")
        if name not in names or not argument.startswith("--"):
            continue
        if equals:
            found = value
        elif position + 1 < len(arguments):
            found = arguments[position + 1]
    return found


def is_set(arguments: Sequence[str], name: str) -> bool:
    """Returns whether an option of Beam that takes no value is given."""
    return f"--{name}" in arguments


def beam_runner(arguments: Sequence[str]) -> str:
    """Returns the runner's name; Beam's default when the arguments name none."""
    return option(arguments, "runner") or "DirectRunner"


def runs_elsewhere(arguments: Sequence[str]) -> bool:
    """Returns whether the work is done by other processes than the component's own and its children."""
    return _lower_name(arguments) not in _IN_PROCESS


def job_server_runner(arguments: Sequence[str]) -> str | None:
    """Returns the runner's name in `pipeline.beam.job_runners` where it works through a job server; else None.

    >>> job_server_runner(["--runner=flink"]), job_server_runner(["--runner=DataflowRunner"])
    ('FlinkRunner', None)
    """
    return _JOB_SERVER.get(_lower_name(arguments).removesuffix("runner"))


def worker_kind(arguments: Sequence[str]) -> str:
    """Returns how a runner that works through a job server gets its workers: Beam's `environment_type`."""
    given = option(arguments, "environment_type")
    if given:
        return given.upper()
    runner = job_server_runner(arguments)
    flink = runner == "FlinkRunner" and (option(arguments, "flink_master") or AUTO_MASTERS[0]) in AUTO_MASTERS
    spark = runner == "SparkRunner" and (option(arguments, "spark_master_url") or LOCAL_SPARK).startswith(LOCAL_SPARK)
    return LOOPBACK if flink or spark else "DOCKER"


def arguments_for_tfx(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments that components are to be given; those for workers of a cloud as they are."""
    runner = job_server_runner(arguments)
    if runner:
        packing = [_NO_PACKING] if worker_kind(arguments) in _NEED_NO_PACKAGE else []
        return [*packing, *arguments, f"--runner={_OURS}.job_runners.{runner}"]
    if runs_elsewhere(arguments):
        return list(arguments)
    is_ours = _lower_name(arguments) in (*_DIRECT, "fnapirunner")
    return [_NO_PACKING, *arguments, *([f"--runner={_OURS}.in_process.FnApiRunner"] if is_ours else [])]


def check_runner(arguments: Sequence[str]) -> None:
    """Checks that the runner is none that is known to give wrong results.

    Raises:
      ConfigError: It is.
    """
    reason = _WRONG.get(_lower_name(arguments).removesuffix("runner"))
    if reason:
        raise ConfigError(
            f"pipeline.beam_args ask for {beam_runner(arguments)}, which petseg refuses: {reason}. Leave the runner "
            "out (--direct_running_mode=multi_processing uses all processors), or see docs/beam_runners.md"
        )


def check_pods(arguments: Sequence[str], places: Mapping[str, str]) -> None:
    """Checks that workers reach what components in pods read and write.

    Args:
      arguments: Of Beam.
      places: Setting to the directory or URI that it names.

    Raises:
      ConfigError: The runner gives wrong results; or workers run elsewhere, and a place is not `gs://`, the one store
        that TensorFlow opens by itself.
    """
    check_runner(arguments)
    for setting, place in places.items():
        if runs_elsewhere(arguments) and not place.startswith("gs://"):
            raise ConfigError(
                f"pipeline.beam_args ask for {beam_runner(arguments)}, whose workers cannot reach {setting} = "
                f"{place!r}; set it to a gs:// URI"
            )


def check_machine(arguments: Sequence[str], root: str) -> None:
    """Checks that workers reach the pipeline root of a run on this machine.

    Raises:
      ConfigError: The runner gives wrong results, or its workers are machines of a cloud.
    """
    check_runner(arguments)
    if _lower_name(arguments) in _MANAGED:
        raise ConfigError(
            f"pipeline.beam_args ask for {beam_runner(arguments)}, whose workers cannot reach the pipeline root "
            f"{root!r} of this machine; run on Kubeflow with a pipeline root in gs://, or leave the runner out"
        )


def _lower_name(arguments: Sequence[str]) -> str:
    """Returns the runner's name in lower case, without the module where it has one."""
    return beam_runner(arguments).rpartition(".")[2].lower()
