"""What the container of every component runs: TFX's own executor runner, in terms of Kubeflow Pipelines.

    python -P -m petseg.run_module pipeline.kubeflow.entrypoint --component ID --code_modules MODULES
        --code_digest DIGEST --outputs KEYS --executor_class_path CLASS
        --json_serialized_invocation_args EXECUTOR_INPUT --json_serialized_inputs_spec_args INPUTS_SPEC BEAM_ARGS…

KEYS are the artifacts that the component declares; what the server lists beside them, as the log that it publishes, is
left alone. With `--driver` instead of a class it does the work of a component's driver (`pipeline.nodes.Driver`): it
identifies the data, or the model that is served.

A failure that may pass, as of the network, is tried again as often as `pipeline.kubeflow.attempts` says, each time in a
fresh process in the place of this one: what the failed one held is given back, and the container goes on.

Exit codes: 0 done, 1 failure, 2 what the package says cannot be used, 143 terminated, as when the node goes away.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from pipeline.beam.arguments import runs_elsewhere
from pipeline.beam.notices import heard_by
from pipeline.beam.preflight import check_services
from pipeline.kubeflow import pod_output
from pipeline.kubeflow.artifacts import StoredArtifact, StoredOutputs
from pipeline.kubeflow.attempts import Attempt
from pipeline.kubeflow.findings import Findings
from pipeline.kubeflow.package import DIGEST_FLAG, MODULES_FLAG, check_image
from pipeline.kubeflow.pod_output import heartbeat, local_path, say, workers_path
from pipeline.kubeflow.run_end import tell_of_end
from pipeline.nodes import COMPONENTS, RUN_REPORT, TRAINER
from pipeline.runs.outputs import Outputs, node_facts
from pipeline.runs.progress import PROGRESS_FILE_VARIABLE
from pipeline.terminal.streams import TERMINATED, leave, start_anew
from pipeline.tracking.address import URI_VARIABLE
from pipeline.tracking.pods import failure_told, training_told
from trainer_module.errors import ConfigError, PetsegError

FAILURE: Final = 1
UNUSABLE: Final = 2
DRIVER_FLAG: Final = "--driver"
COMPONENT_FLAG: Final = "--component"
OUTPUTS_FLAG: Final = "--outputs"

_CUSTOM_CONFIG: Final = "custom_config"
_OF_TFX: Final = ".executor"
"""Ends the name of the directory, beside an output, of the files that TFX needs where Beam's workers reach them."""

_TEMPORARY: Final = ".temp"
"""What TFX calls the directory of Beam's temporary files, beside its output file."""


def main(argv: list[str]) -> int:
    """Runs one component; what fails is said in the log's last line."""
    environment = dict(os.environ)
    arguments, beam_args = _parser().parse_known_args(argv)
    component = arguments.component
    signal.signal(signal.SIGTERM, _terminate)
    try:
        attempt = Attempt.of(environment)
        try:
            found = _run(component, arguments, beam_args)
        except Exception as error:
            if not _is_worth_another_try(attempt, error):
                raise
            _pause(component, attempt, error)
            start_anew(environment | attempt.next_environment)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (whatever a component raises)
        code = _explain(component, error)
        _tell_failure(arguments, error)
        return code
    say(component, found)
    say(component, "done")
    return 0


def _run(component: str, arguments: argparse.Namespace, beam_args: list[str]) -> str:
    """Runs the component; returns what it found, for the log."""
    check_image(arguments.code_modules, arguments.code_digest)
    with heartbeat(component), heard_by(lambda text: say(component, text) if text else None):
        say(component, "starting")
        if arguments.driver:
            return _run_driver(arguments)
        with _training_told(arguments):
            return _run_executor(arguments, beam_args)


def _training_told(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """Has a tracker hear of the epochs of a training, where the pod's environment names one."""
    run_id = _tracked_run(arguments) if arguments.component == TRAINER else None
    return training_told(run_id, Path(os.environ[PROGRESS_FILE_VARIABLE])) if run_id else nullcontext()


def _tell_failure(arguments: argparse.Namespace, error: BaseException) -> None:
    """Has a tracker hear that the run has failed, where the pod's environment names one."""
    if run_id := _tracked_run(arguments):
        failure_told(run_id, arguments.component, error)


def _tracked_run(arguments: argparse.Namespace) -> str | None:
    """Returns the id of the run, where a tracker is named; even a component without outputs has a log there."""
    if URI_VARIABLE not in os.environ:
        return None
    try:
        return pod_output.run_id_of(json.loads(arguments.json_serialized_invocation_args))
    except (PetsegError, ValueError) as error:
        say(arguments.component, f"no tracker hears of it: {error}")
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pipeline.kubeflow.entrypoint", allow_abbrev=False)
    parser.add_argument(COMPONENT_FLAG, required=True)
    parser.add_argument(MODULES_FLAG, required=True)
    parser.add_argument(DIGEST_FLAG, required=True)
    parser.add_argument(OUTPUTS_FLAG, required=True, help="artifacts that the component declares, with commas")
    work = parser.add_mutually_exclusive_group(required=True)
    work.add_argument("--executor_class_path")
    work.add_argument(DRIVER_FLAG, action="store_true")
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", default="{}")
    return parser


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """Turns SIGTERM into the exception that TFX and Keras let through, and that leaves a checkpoint on its way."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _run_driver(arguments: argparse.Namespace) -> str:
    driver = COMPONENTS[arguments.component].driver
    if driver is None:
        raise ConfigError(f"{arguments.component} is no driver, so the package was compiled by another petseg")
    message = pod_output.to_tfx(_executor_input(arguments), {})
    found = driver.added_properties(message["inputs"]["parameterValues"])
    _write(message["outputs"]["outputFile"], {"parameterValues": found})
    return _findings(arguments, {name: [StoredArtifact.of_parameter(value)] for name, value in found.items()}).line()


def _run_executor(arguments: argparse.Namespace, beam_args: list[str]) -> str:
    from tfx.dsl.io import fileio
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    executor_input = _executor_input(arguments)
    inputs_spec = json.loads(arguments.json_serialized_inputs_spec_args)
    _check_inputs(executor_input)
    on_workers = _runs_on_workers(arguments.executor_class_path, beam_args)
    if on_workers:
        check_services(beam_args)
    path = workers_path if on_workers else local_path
    message = pod_output.to_tfx(executor_input, inputs_spec, path)
    output_file = message["outputs"]["outputFile"]
    if on_workers:
        # Beside its output file TFX keeps Beam's temporary files, which workers must reach.
        [first, *_] = pod_output.output_uris(executor_input)
        message["outputs"]["outputFile"] = f"{path(first)}{_OF_TFX}/output.json"
    _make_place(executor_input, output_file, path)
    arguments.json_serialized_invocation_args = json.dumps(message)
    kubeflow_v2_run_executor._run_executor(arguments, beam_args)
    with fileio.open(message["outputs"]["outputFile"]) as file:
        executor_output = json.load(file)
    outputs = {
        name: [StoredArtifact(artifact["uri"], artifact.get("metadata", {})) for artifact in channel["artifacts"]]
        for name, channel in executor_output.get("artifacts", {}).items()
    }
    found = _told(arguments, outputs, executor_output)
    answer = pod_output.from_tfx(executor_output, executor_input)
    _write(output_file, answer)
    if arguments.component == RUN_REPORT:
        model_run = pod_output.input_paths(executor_input).get("model_run")
        report = answer["artifacts"]["report"]["artifacts"][0]["uri"]
        tell_of_end(outputs, Path(model_run) if model_run else None, report, partial(say, arguments.component))
    return found


def _told(arguments: argparse.Namespace, outputs: StoredOutputs, executor_output: dict[str, Any]) -> str:
    """Returns what the component found, for whoever follows the run; where that cannot be read, why not.

    Args:
      arguments: Of the component.
      outputs: What it left.
      executor_output: TFX's; what was found is written on an artifact of it, too: of RunReport's on that of which
        Kubeflow's pages show no properties.
    """
    try:
        findings = _findings(arguments, outputs)
    except PetsegError as error:
        return str(error)
    findings.write_on(executor_output, "report" if arguments.component == RUN_REPORT else None)
    return findings.line()


def _findings(arguments: argparse.Namespace, outputs: Outputs) -> Findings:
    """Returns what the component found.

    Raises:
      ModelError: It cannot be read.
    """
    message = pod_output.to_tfx(_executor_input(arguments), json.loads(arguments.json_serialized_inputs_spec_args))
    try:
        settings = json.loads(message["inputs"].get("parameterValues", {}).get(_CUSTOM_CONFIG) or "{}")
    except ValueError:
        settings = {}
    facts = node_facts(arguments.component, outputs, settings)
    if arguments.component == RUN_REPORT:
        return Findings.of_report(facts.summary, Path(outputs["metrics"][0].uri))
    return Findings.of(facts)


def _make_place(executor_input: dict[str, Any], output_file: str, path: Callable[[str], str]) -> None:
    """Makes the directories of the outputs, empty ones: what an earlier try left in them is not of this one."""
    from tfx.dsl.io import fileio

    for uri in pod_output.output_uris(executor_input):
        for left in (path(uri), f"{path(uri)}{_OF_TFX}"):
            if fileio.exists(left):
                fileio.rmtree(left)
        fileio.makedirs(path(uri))
    shutil.rmtree(Path(output_file).with_name(_TEMPORARY), ignore_errors=True)
    Path(output_file).unlink(missing_ok=True)


def _executor_input(arguments: argparse.Namespace) -> dict[str, Any]:
    message = json.loads(arguments.json_serialized_invocation_args)
    return pod_output.with_declared_outputs(message, arguments.outputs.split(","))


def _runs_on_workers(executor_class_path: str, beam_args: list[str]) -> bool:
    from tfx.dsl.components.base import base_beam_executor
    from tfx.utils import import_utils

    executor = import_utils.import_class_by_path(executor_class_path)
    return runs_elsewhere(beam_args) and issubclass(executor, base_beam_executor.BaseBeamExecutor)


def _check_inputs(executor_input: dict[str, Any]) -> None:
    for key, path in pod_output.input_paths(executor_input).items():
        if not Path(path).exists():
            raise PetsegError(
                f"the input {key!r} was not downloaded to {path}: its artifact is gone from the object store, or the "
                "launcher knows no way to it; run the pipeline again without cache"
            )


def _write(file: str, message: dict[str, Any]) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(json.dumps(message, sort_keys=True), encoding="utf-8")


def _is_worth_another_try(attempt: Attempt, error: Exception) -> bool:
    from pipeline.runs.temporary_failures import is_temporary

    return not attempt.is_last and is_temporary(error)


def _pause(component: str, attempt: Attempt, error: Exception) -> None:
    """Says that there will be another try, and waits for it."""
    what = f"attempt {attempt.number} of {attempt.count} failed: {_message(error)}"
    say(component, f"{what}; next in {attempt.pause_seconds:g} s")
    time.sleep(attempt.pause_seconds)


def _explain(component: str, error: BaseException) -> int:
    """Prints what went wrong, and all of it when nobody foresaw it; returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        say(
            component,
            "terminated before it was done; Kubeflow Pipelines from 2.17 on starts a lost pod again, as often as "
            "kubeflow.retry says",
        )
        return TERMINATED
    say(component, f"failed: {_message(error)}")
    return UNUSABLE if isinstance(error, ConfigError) else FAILURE


def _message(error: BaseException) -> str:
    """Returns what went wrong; prints all of it when nobody foresaw it."""
    import traceback

    from pipeline.runs.failures import explain_failure

    failure = explain_failure(error, None)
    if not failure.is_foreseen:
        traceback.print_exception(error)
    return failure.message


if __name__ == "__main__":  # as packages of an earlier petseg start it, which are refused
    leave(main(sys.argv[1:]))
