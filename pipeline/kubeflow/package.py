"""A compiled pipeline: one YAML file with the specification of Kubeflow Pipelines and what Kubernetes adds to it.

The first document is a `PipelineSpec`, the second a `PlatformSpec`
(https://www.kubeflow.org/docs/components/pipelines/reference/pipeline-spec-yaml/).
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from trainer_module.errors import ConfigError

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
    def task_ids(self) -> list[str]:
        """The tasks in an order in which they can run: after all they depend on, else by name."""
        tasks = self.pipeline_spec.get("root", {}).get("dag", {}).get("tasks", {})
        ordered: list[str] = []
        while len(ordered) < len(tasks):
            ready = [
                task_id
                for task_id in sorted(tasks)
                if task_id not in ordered and set(tasks[task_id].get("dependentTasks", [])) <= set(ordered)
            ]
            if not ready:
                raise ConfigError(f"the tasks {sorted(set(tasks) - set(ordered))} wait for each other or for no task")
            ordered += ready
        return ordered
