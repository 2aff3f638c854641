"""The values of the runtime parameters, from the command line and the package's defaults."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.kubeflow.package import Package, ParameterSpec
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError

_TRUTH = {"true": True, "false": False}


def parse_parameters(assignments: Iterable[str], parameters: Mapping[str, ParameterSpec]) -> dict[str, Any]:
    """Reads `NAME=VALUE` by the types of the package.

    Raises:
      ConfigError: There is no such parameter, or its type has no such value.
    """
    values = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise ConfigError(f"--parameter {assignment}: expected NAME=VALUE")
        values[name] = _parse(name, text, _specification(name, parameters))
    return values


def runtime_values(package: Package, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the value of every runtime parameter of a run.

    Args:
      package: The package, with the defaults.
      given: The values that are set for this run.

    Raises:
      ConfigError: A parameter is unknown, has a value of another type, or has neither value nor default.
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
    return values


def _specification(name: str, parameters: Mapping[str, ParameterSpec]) -> ParameterSpec:
    if name not in parameters:
        hint = f"; did you mean {nearest(name, parameters)!r}?" if parameters else ""
        raise ConfigError(f"the package has no parameter {name!r}{hint} It has {', '.join(parameters) or 'none'}")
    return parameters[name]


def _parse(name: str, text: str, specification: ParameterSpec) -> Any:
    try:
        match specification.type:
            case "NUMBER_INTEGER":
                return int(text)
            case "NUMBER_DOUBLE":
                return float(text)
            case "BOOLEAN":
                return _TRUTH[text.lower()]
            case _:
                return text
    except (KeyError, ValueError) as error:
        raise ConfigError(f"parameter {name} is a {specification.type}; {text!r} is none") from error
