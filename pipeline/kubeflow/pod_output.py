"""What goes in and out of a component's pod, between the launcher of Kubeflow Pipelines and TFX's executor runner.

Both speak JSON of the messages `ExecutorInput` and `ExecutorOutput`
(https://github.com/kubeflow/pipelines/blob/master/api/v2alpha1/pipeline_spec.proto). They differ in:

- the type of an input artifact, which the server leaves empty and TFX needs: it is taken from the component's inputs;
- lists and structs in the metadata of an artifact, which come back wrapped in `{"list": …}` and `{"struct": …}`;
- nulls in the metadata, on which the launcher fails;
- URIs, which TFX opens as they are, and TensorFlow knows neither `s3://` nor `minio://`. The launcher downloads every
  input to a path before the component starts (`gs://b/k` is at `/gcs/b/k`, and so on), and uploads what is at the paths
  of the outputs afterwards; so TFX is given the paths, and the server is told the URIs;
- runtime parameters, which TFX knows no place for: see `pipeline.kubeflow.parameters`;
- output parameters, which TFX takes for artifacts of its own kind: they are left out there, and written here;
- the run's id, which TFX is not told, and which the URIs of the outputs hold;
- artifacts that the pages show (`components.run_report.artifact`): TFX would import their types by the server's names,
  and takes a directory for each, while the pages read the one file of a page or text that the URI names;
- outputs that the component does not declare: servers from 2.5 on add `executor-logs`, which they write themselves, and
  TFX would take it for the component's.

Meanwhile the pod's log says that the component is alive, and how training goes.
"""

import copy
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from components.run_report.report import MODEL_CARD_FILE, REPORT_FILE
from pipeline.kubeflow.parameters import apply_runtime_parameters
from pipeline.runs.progress import PROGRESS_FILE_VARIABLE, ProgressFollower, TrainingProgress
from trainer_module.errors import PetsegError

LAUNCHER_ROOT_VARIABLE: Final = "PETSEG_LAUNCHER_ROOT"
"""Environment variable with the directory that stands for `/`, where no pod is at hand."""

_DIRECTORY_BY_SCHEME: Final = {"gs": "gcs", "s3": "s3", "minio": "minio"}
_REMOTE: Final = re.compile(rf"^({'|'.join(_DIRECTORY_BY_SCHEME)})://")
_WRAPPERS: Final = ("list", "struct")
_PUSHED: Final = "pushed"
"""Property of the Pusher's model: whether it was pushed."""

_RUN_ID: Final = "run_id"
"""Parameter of a component that is to be told the run's id."""

SYSTEM_TYPES: Final = "system."
"""Begins the names of the server's own artifact types."""

_TYPES_IN_PODS: Final = "components.run_report.artifact."
_SHOWN_FILES: Final = {f"{SYSTEM_TYPES}HTML": REPORT_FILE, f"{SYSTEM_TYPES}Markdown": MODEL_CARD_FILE}
"""Type of an artifact that is one file to the server, to the file in its directory."""

_TFX_VERSION: Final = "tfx_version"
"""Property that TFX gives every artifact; the pages would list it among the metrics."""

_EXECUTION: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_POLL_SECONDS: Final = 2.0
_HEARTBEAT_SECONDS: Final = 60.0

Message = dict[str, Any]


def local_path(uri: str) -> str:
    """Returns the path of an artifact in the pod; another text as it is."""
    return _REMOTE.sub(lambda match: f"{_root()}/{_DIRECTORY_BY_SCHEME[match[1]]}/", uri)


def workers_path(uri: str) -> str:
    """Returns a `gs://` URI as it is, for workers of Beam that share no disk with the pod; else as `local_path`."""
    return uri if uri.startswith("gs://") else local_path(uri)


def remote_uri(text: str) -> str:
    """Returns the URI of a path that `local_path` returned; another text as it is."""
    for scheme, directory in _DIRECTORY_BY_SCHEME.items():
        prefix = f"{_root()}/{directory}/"
        if text.startswith(prefix):
            return f"{scheme}://{text.removeprefix(prefix)}"
    return text


def with_declared_outputs(executor_input: Message, declared: Collection[str]) -> Message:
    """Returns the launcher's `ExecutorInput` without the output artifacts that are none of the component's."""
    outputs = executor_input.get("outputs", {})
    artifacts = {key: channel for key, channel in outputs.get("artifacts", {}).items() if key in declared}
    return executor_input | {"outputs": outputs | {"artifacts": artifacts}}


def to_tfx(executor_input: Message, inputs_spec: Message, path: Callable[[str], str] = local_path) -> Message:
    """Returns the launcher's `ExecutorInput` as TFX's executor runner wants it.

    Args:
      executor_input: From the launcher, with declared outputs only.
      inputs_spec: The `ComponentInputsSpec` that the package gives each component.
      path: Returns where TFX is to look for a URI.

    Raises:
      ConfigError: A runtime parameter cannot be used.
    """
    message = copy.deepcopy(executor_input)
    inputs, outputs = message.setdefault("inputs", {}), message.setdefault("outputs", {})
    outputs.pop("parameters", None)
    for key, artifact in _artifacts(inputs):
        artifact["type"] = inputs_spec["artifacts"][key]["artifactType"]
    for key, artifact in _artifacts(outputs):
        artifact["name"] = artifact.get("name") or key
        if title := _system_type(artifact):
            artifact["type"] = {"schemaTitle": title.replace(SYSTEM_TYPES, _TYPES_IN_PODS, 1)}
    for _, artifact in [*_artifacts(inputs), *_artifacts(outputs)]:
        artifact["uri"] = path(artifact["uri"])
        artifact["metadata"] = _mapped(_plain(artifact.get("metadata", {})), path)
    if "parameterValues" in inputs:
        values = apply_runtime_parameters(inputs["parameterValues"])
        inputs["parameterValues"] = values | ({_RUN_ID: run_id_of(executor_input)} if _RUN_ID in values else {})
    if "outputFile" in outputs:
        outputs["outputFile"] = local_path(outputs["outputFile"])
    return message


def from_tfx(executor_output: Message, executor_input: Message) -> Message:
    """Returns TFX's `ExecutorOutput` as the launcher wants it.

    Args:
      executor_output: From TFX's executor runner.
      executor_input: What `to_tfx` was given, for the URIs where it will look for the outputs.

    Raises:
      PetsegError: An output is elsewhere than the launcher will look, or an output parameter has no value.
    """
    message = copy.deepcopy(executor_output)
    asked_for = dict(_artifacts(executor_input.get("outputs", {})))
    if names := executor_input.get("outputs", {}).get("parameters", {}):
        message["parameterValues"] = {name: _truth(message, name) for name in names}
    for key, artifact in _artifacts(message):
        artifact["uri"] = remote_uri(artifact["uri"])
        expected = asked_for.get(key, {})
        if artifact["uri"] != expected.get("uri"):
            raise PetsegError(
                f"the output {key!r} is at {artifact['uri']!r}, but it was to be written to {expected.get('uri')!r}, "
                "where it will be looked for"
            )
        artifact["metadata"] = _mapped(_without_nulls(artifact.get("metadata", {})), remote_uri)
        if title := _system_type(expected):
            artifact["metadata"].pop(_TFX_VERSION, None)
            artifact["uri"] += f"/{_SHOWN_FILES[title]}" if title in _SHOWN_FILES else ""
    return message


def run_id_of(executor_input: Message) -> str:
    """Returns the id of the run that a component belongs to, from where its outputs are to be.

    Kubeflow Pipelines keeps them under `<root>/<pipeline>/<run id>/<task>/<execution>/<output>`, and where an execution
    has no id, as on Vertex AI, without that part.

    Raises:
      PetsegError: The component has no outputs, or they are elsewhere.

    Example:
      >>> artifact = {"uri": "s3://b/pets/my-run/Trainer/00000000-0000-0000-0000-000000000001/model"}
      >>> run_id_of({"outputs": {"artifacts": {"model": {"artifacts": [artifact]}}}})
      'my-run'
    """
    uri = next(iter(output_uris(executor_input)), "")
    parts = uri.split("/")[2:-1]
    above = parts[:-1] if parts and _EXECUTION.fullmatch(parts[-1]) else parts
    if len(above) < 2:
        raise PetsegError(f"expected an output under <root>/<pipeline>/<run id>/<task>, found {uri!r}")
    return above[-2]


def output_uris(executor_input: Message) -> list[str]:
    """Returns where the outputs are to be."""
    return [artifact["uri"] for _, artifact in _artifacts(executor_input.get("outputs", {}))]


def input_paths(executor_input: Message) -> dict[str, str]:
    """Returns the paths of the inputs in the pod, by input; a pushed model that was not pushed has no files."""
    artifacts = _artifacts(executor_input.get("inputs", {}))
    return {
        key: local_path(artifact["uri"])
        for key, artifact in artifacts
        if _plain(artifact.get("metadata", {})).get(_PUSHED, True)
    }


@contextmanager
def heartbeat(component: str) -> Iterator[None]:
    """Prints a line a minute while the block runs, and one for each epoch of a training in it."""
    with tempfile.TemporaryDirectory() as directory, _progress_file(Path(directory) / "progress.jsonl") as file:
        stop = threading.Event()
        follower = ProgressFollower(file)
        thread = threading.Thread(target=_beat, args=(component, follower, stop), name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            _print_epochs(component, follower.poll(training_ended=True))


def say(component: str, text: str) -> None:
    """Prints a line of the pod's log."""
    print(f"petseg {time.strftime('%H:%M:%S', time.gmtime())} {component}: {text}", flush=True)


def _root() -> str:
    return os.environ.get(LAUNCHER_ROOT_VARIABLE, "").rstrip("/")


def _artifacts(side: Mapping[str, Any]) -> Iterator[tuple[str, Message]]:
    for key, channel in side.get("artifacts", {}).items():
        for artifact in channel.get("artifacts", []):
            yield key, artifact


def _truth(executor_output: Message, name: str) -> bool:
    """Returns an output parameter, which is a truth value: the property of an output artifact that has its name.

    Raises:
      PetsegError: None has.
    """
    for _, artifact in _artifacts(executor_output):
        if name in artifact.get("metadata", {}):
            return bool(artifact["metadata"][name])
    raise PetsegError(f"the output parameter {name!r} has no value: no output of the component has such a property")


def _system_type(artifact: Message) -> str:
    """Returns the name of an output's type where it is one of the server's own, else nothing."""
    title = str(artifact.get("type", {}).get("schemaTitle", ""))
    return title if title.startswith(SYSTEM_TYPES) else ""


def _plain(value: Any) -> Any:
    """Takes lists and structs out of the wrappers that they come back in from ML Metadata."""
    if isinstance(value, dict):
        if len(value) == 1 and (wrapper := next(iter(value))) in _WRAPPERS and isinstance(value[wrapper], list | dict):
            return _plain(value[wrapper])
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def _mapped(value: Any, convert: Any) -> Any:
    """Converts every text in a value."""
    if isinstance(value, dict):
        return {key: _mapped(inner, convert) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, convert) for inner in value]
    return convert(value) if isinstance(value, str) else value


@contextmanager
def _progress_file(default: Path) -> Iterator[Path]:
    """Tells the Trainer where to write its progress, unless somebody did."""
    given = os.environ.get(PROGRESS_FILE_VARIABLE)
    os.environ[PROGRESS_FILE_VARIABLE] = given or str(default)
    try:
        yield Path(os.environ[PROGRESS_FILE_VARIABLE])
    finally:
        if given is None:
            del os.environ[PROGRESS_FILE_VARIABLE]


def _beat(component: str, follower: ProgressFollower, stop: threading.Event) -> None:
    started = last = time.monotonic()
    while not stop.wait(_POLL_SECONDS):
        _print_epochs(component, follower.poll())
        if time.monotonic() - last >= _HEARTBEAT_SECONDS:
            last = time.monotonic()
            say(component, f"running for {(last - started) / 60:.0f} min{_position(follower.latest)}")


def _print_epochs(component: str, ended: list[TrainingProgress]) -> None:
    for progress in ended:
        say(component, f"epoch {progress.epoch}/{progress.epochs}, {progress.describe()}")


def _position(progress: TrainingProgress | None) -> str:
    if progress is None:
        return ""
    place = f"epoch {progress.epoch}/{progress.epochs}, step {progress.step}/{progress.steps}"
    return f", {place}, {progress.describe()}"
