"""A compiled pipeline: one YAML file with the specification of Kubeflow Pipelines and what Kubernetes adds to it.

The first document is a `PipelineSpec`, the second a `PlatformSpec`
(https://www.kubeflow.org/docs/components/pipelines/reference/pipeline-spec-yaml/).

A package names functions by dotted path; what they do comes with the image. The digest of the code that a component
runs is an argument of its container, so that an image that was not rebuilt is noticed before it computes anything. The
server's cache looks at the arguments, too: other code of one component does not make it forget the others.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.code_digest import code_digest
from pipeline.kubeflow.dags import container_tasks, find_task
from pipeline.nodes import COMPONENTS, EXAMPLE_GEN, TRAINER, TRANSFORM
from trainer_module.errors import ConfigError

MODULES_FLAG: Final = "--code_modules"
DIGEST_FLAG: Final = "--code_digest"

_CUSTOM_CONFIG: Final = "custom_config"
_INPUT_CONFIG: Final = "input_config"
_NO_SETTINGS: Final = ("code_digest",)
_OF_EVALUATION: Final = {
    "evaluation_split": "split",
    "reference": "reference",
    "reference_slice": "reference_split",
}
"""What TfdsExampleGen is told that are settings of `evaluation`."""

_PARAMETER_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (float, int),
    "BOOLEAN": (bool,),
}


@dataclass(frozen=True)
class ParameterSpec:
    """A runtime parameter of a package."""

    type: str
    """`STRING`, `NUMBER_INTEGER`, `NUMBER_DOUBLE` or `BOOLEAN`."""

    default: Any

    def accepts(self, value: Any) -> bool:
        """Returns whether the server would take the value."""
        if isinstance(value, bool) and self.type != "BOOLEAN":
            return False
        return isinstance(value, _PARAMETER_TYPES[self.type])


@dataclass(frozen=True)
class Package:
    """A compiled pipeline."""

    pipeline_spec: dict[str, Any]
    platform_spec: dict[str, Any]
    """Empty when the pods need nothing of Kubernetes that the specification cannot say."""

    @classmethod
    def load(cls, file: Path) -> "Package":
        """Reads a package.

        Raises:
          ConfigError: The file cannot be read, or holds no compiled pipeline.
        """
        try:
            documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        except OSError as error:
            raise ConfigError(f"cannot read the package {str(file)!r}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{str(file)!r} is no YAML file: {error}") from error
        if not 1 <= len(documents) <= 2 or not all(isinstance(document, dict) for document in documents):
            raise ConfigError(
                f"{str(file)!r} is no package of Kubeflow Pipelines: expected a pipeline document and at most one "
                f"platform document, found {len(documents)}; `petseg kubeflow compile` writes one"
            )
        if "pipelineInfo" not in documents[0]:
            raise ConfigError(
                f"{str(file)!r} is no package of Kubeflow Pipelines: its first document has no pipelineInfo; "
                "`petseg kubeflow compile` writes one"
            )
        return cls(documents[0], documents[1] if len(documents) == 2 else {})

    def save(self, file: Path) -> None:
        """Writes the package in one step; equal packages make equal files."""
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            temporary.write_text(self.text, encoding="utf-8")
            temporary.replace(file)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise ConfigError(f"cannot write the package {str(file)!r}: {error.strerror}") from error

    @cached_property
    def text(self) -> str:
        """The file's content: both documents with sorted keys."""
        documents = [self.pipeline_spec, self.platform_spec] if self.platform_spec else [self.pipeline_spec]
        return str(yaml.safe_dump_all(documents, sort_keys=True, allow_unicode=True, width=120))

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.pipeline_spec["pipelineInfo"]["name"])

    @property
    def digest(self) -> str:
        """Identifies the content, whatever the file's formatting: 12 hexadecimal digits of its SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @property
    def parameters(self) -> dict[str, ParameterSpec]:
        """The runtime parameters by name."""
        definitions = self.pipeline_spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
        return {
            name: ParameterSpec(definition.get("parameterType", "STRING"), definition.get("defaultValue"))
            for name, definition in definitions.items()
        }

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """The tasks that run a container, with the path of the DAG of each, in an order in which they can run."""
        return container_tasks(self.pipeline_spec)

    @property
    def task_ids(self) -> list[str]:
        """The names of these tasks, each after all it depends on, else in the order of letters."""
        return list(self.tasks)


def package_settings(package: Package) -> dict[str, Any]:
    """Returns the settings of data, training and evaluation, as far as the package's components are given them."""
    settings: dict[str, Any] = {}
    source = json.loads(_constant(package, EXAMPLE_GEN, _CUSTOM_CONFIG).get(_CUSTOM_CONFIG, {}).get("value", "{}"))
    if source:
        splits = _constant(package, EXAMPLE_GEN, _INPUT_CONFIG).get("splits", [])
        data = {name: value for name, value in source.items() if name not in (*_NO_SETTINGS, *_OF_EVALUATION)}
        own = {} if "hash_split" in data else {"splits": {split["name"]: split["pattern"] for split in splits}}
        settings["data"] = data | own
        settings["evaluation"] = {of: source[name] for name, of in _OF_EVALUATION.items() if name in source}
    for task_id in (TRANSFORM, TRAINER):
        for name, section in _constant(package, task_id, _CUSTOM_CONFIG).items():
            if isinstance(section, dict):
                settings[name] = settings.get(name, {}) | section
    return settings


def _constant(package: Package, task_id: str, parameter: str) -> dict[str, Any]:
    """Returns the JSON object that a task is given; empty where there is none, as in a package of other components."""
    inputs = find_task(package.pipeline_spec, task_id).get("inputs", {}).get("parameters", {})
    constant = inputs.get(parameter, {}).get("runtimeValue", {}).get("constant")
    found = json.loads(constant) if isinstance(constant, str) else {}
    return found if isinstance(found, dict) else {}


_ENTRYPOINT: Final = (
    "petseg",
    "petseg.processes",
    "petseg.run_module",
    "pipeline.beam",
    "pipeline.beam.arguments",
    "pipeline.beam.bound_process",
    "pipeline.beam.failures",
    "pipeline.beam.flink",
    "pipeline.beam.in_process",
    "pipeline.beam.jars",
    "pipeline.beam.job_runners",
    "pipeline.beam.job_servers",
    "pipeline.beam.notices",
    "pipeline.beam.preflight",
    "pipeline.kubeflow.entrypoint",
    "pipeline.kubeflow.pod_output",
    "pipeline.kubeflow.parameters",
)


def code_arguments(task_id: str) -> list[str]:
    """Returns the arguments that bind a component to the code that is installed here."""
    modules = ",".join(COMPONENTS[task_id].code) if task_id in COMPONENTS else ""
    return [MODULES_FLAG, modules, DIGEST_FLAG, _digest(modules)]


def check_compiled_by_this_code(pipeline_spec: dict[str, Any]) -> None:
    """Checks that every component of a package expects the code that is installed here.

    Raises:
      ConfigError: One expects other code, or does not say.
    """
    executors = pipeline_spec.get("deploymentSpec", {}).get("executors", {})
    for label, executor in sorted(executors.items()):
        command = executor.get("container", {}).get("command", [])
        modules, expected = _argument(command, MODULES_FLAG), _argument(command, DIGEST_FLAG)
        if modules is None or expected is None or expected != _installed(modules):
            raise ConfigError(
                f"the package was compiled by another version of petseg: {label} expects other code than is installed "
                "here; compile it again"
            )


def check_image(modules: str, expected: str) -> None:
    """Checks in a pod that the image has the code that the package was compiled from.

    Raises:
      ConfigError: It has other code.
    """
    here = _installed(modules)
    if expected != here:
        raise ConfigError(
            f"this image holds other code than the package was compiled from: the package expects {expected}, the "
            f"image has {here}; build and push the image from the same commit, or compile the package again"
        )


def _installed(modules: str) -> str | None:
    """Returns the digest of modules as they are here; None when one is not."""
    try:
        return _digest(modules)
    except ModuleNotFoundError:
        return None


def _digest(modules: str) -> str:
    return code_digest(*filter(None, modules.split(",")), alone=_ENTRYPOINT)


def _argument(command: list[str], flag: str) -> str | None:
    return command[command.index(flag) + 1] if flag in command[:-1] else None
