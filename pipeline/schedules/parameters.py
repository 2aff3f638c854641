"""The runtime parameters of a schedule: checked before a server takes more than the runs can use, and as settings."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.package import Package
from pipeline.kubeflow.parameters import check_no_run_option, check_value
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError


def check_parameters(parameters: Mapping[str, Any], package: Package) -> None:
    """Checks the parameters of a schedule against those of the package that it runs.

    Raises:
      ConfigError: One is unknown, of the wrong type or out of range, or one that has no default is absent.
    """
    declared = package.parameters
    for name, value in parameters.items():
        if name not in declared:
            hint = f"did you mean {nearest(name, declared)!r}?" if declared else "it has none"
            raise ConfigError(f"schedule.parameters.{name}: the pipeline {package.name} has no such parameter; {hint}")
        wanted = declared[name].type
        if not declared[name].accepts(value):
            advice = _as_wanted(name, value, wanted)
            raise ConfigError(f"schedule.parameters.{name} is {value!r}, but the pipeline wants a {wanted}{advice}")
    check_ranges(parameters)
    missing = sorted(name for name, spec in declared.items() if spec.default is None and name not in parameters)
    if missing:
        raise ConfigError(
            f"schedule.parameters lacks {', '.join(missing)}: the pipeline {package.name} has no default for it"
        )


def check_ranges(parameters: Mapping[str, Any]) -> None:
    """Checks the parameters that petseg knows, whatever the package.

    Raises:
      ConfigError: No component could use a value, or it is for a single run.
    """
    check_no_run_option(parameters, "schedule.parameters")
    for name, value in parameters.items():
        try:
            check_value(name, value)
        except ConfigError as error:
            raise ConfigError(f"schedule.parameters: {error}") from None


def parameter_settings(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Returns the parameters as settings of a schedule, the same whether a number came from a file or from JSON."""
    written = {}
    for name, value in sorted(parameters.items()):
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        written[f"parameters.{name}"] = json.dumps(number, ensure_ascii=False)
    return written


def _as_wanted(name: str, value: Any, wanted: str) -> str:
    """Returns what to write for a value of another type, after a semicolon; nothing where that is not clear."""
    if wanted == "STRING":
        return f'; for text write schedule.parameters.{name} = "{value}", with the quotes'
    if wanted == "NUMBER_INTEGER" and isinstance(value, float) and value.is_integer():
        return f"; write schedule.parameters.{name} = {int(value)}, without the point"
    return ""
