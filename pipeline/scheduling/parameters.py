"""The parameters of a schedule: checked against a package, or as settings of a local run."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pipeline.kubeflow.package import Package
from pipeline.kubeflow.runtime_parameters import RUNTIME_PARAMETERS, check_value
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError

_SETTINGS: Final = {parameter.name: parameter.setting for parameter in RUNTIME_PARAMETERS}
"""Runtime parameter to the setting of a local run that it is."""


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
            hint = (
                f'; for text write schedule.parameters.{name} = "{value}", with the quotes'
                if wanted == "STRING"
                else ""
            )
            raise ConfigError(f"schedule.parameters.{name} is {value!r}, but the pipeline wants a {wanted}{hint}")
    check_ranges(parameters)
    missing = sorted(name for name, spec in declared.items() if spec.default is None and name not in parameters)
    if missing:
        raise ConfigError(
            f"schedule.parameters lacks {', '.join(missing)}: the pipeline {package.name} has no default for it"
        )


def check_ranges(parameters: Mapping[str, Any]) -> None:
    """Checks the parameters that petseg knows, whatever the package.

    Raises:
      ConfigError: No component could use a value.
    """
    for name, value in parameters.items():
        try:
            check_value(name, value)
        except ConfigError as error:
            raise ConfigError(f"schedule.parameters: {error}") from None


def parameter_settings(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Returns the parameters as settings of a schedule, the same whether a number came from a file or from JSON."""
    return {f"parameters.{name}": _written(value) for name, value in sorted(parameters.items())}


def run_overrides(parameters: Mapping[str, Any], dataset: str) -> list[str]:
    """Returns the `key=value` texts for `--set` that stand for the parameters in a local run.

    Args:
      parameters: Of the schedule.
      dataset: `data.dataset`, whose version `dataset_version` replaces.

    Raises:
      ConfigError: A parameter stands for no setting.
    """
    overrides = []
    for name, value in sorted(parameters.items()):
        if name not in _SETTINGS:
            raise ConfigError(
                f"schedule.parameters.{name}: a local run has no such parameter; did you mean "
                f"{nearest(name, _SETTINGS)!r}? Other settings go into the configuration itself"
            )
        if name == "dataset_version":
            value = ":".join(filter(None, [dataset.partition(":")[0], str(value)]))
        if name == "min_accuracy" and value == 0:
            value = "none"
        overrides.append(f"{_SETTINGS[name]}={value}")
    return overrides


def _written(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)
