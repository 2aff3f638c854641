"""The values of the runtime parameters: what is given for a run, and the package's defaults."""

from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.package import Package, ParameterSpec
from pipeline.kubeflow.runtime_parameters import check_value
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError


def runtime_values(package: Package, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the value of every runtime parameter of a run.

    Args:
      package: The package, with the defaults.
      given: The values that are set for this run.

    Raises:
      ConfigError: A parameter is unknown, has neither value nor default, or a value of another type or out of range.
    """
    parameters = package.parameters
    for name, value in given.items():
        specification = _specification(name, parameters)
        if not specification.accepts(value):
            raise ConfigError(f"parameter {name} is a {specification.type}; {value!r} is none")
    values = {name: given.get(name, specification.default) for name, specification in parameters.items()}
    missing = sorted(name for name, value in values.items() if value is None)
    if missing:
        raise ConfigError(f"the package has no default for {', '.join(missing)}; give each with --parameter NAME=VALUE")
    for name, value in values.items():
        check_value(name, value)
    return values


def _specification(name: str, parameters: Mapping[str, ParameterSpec]) -> ParameterSpec:
    if name not in parameters:
        hint = f"; did you mean {nearest(name, parameters)!r}?" if parameters else ""
        raise ConfigError(f"the package has no parameter {name!r}{hint} It has {', '.join(parameters) or 'none'}")
    return parameters[name]
