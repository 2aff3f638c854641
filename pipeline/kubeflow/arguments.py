"""The values of the runtime parameters: what is given for a run, and the package's defaults.

Values for a package's runtime parameters, as a command line gives them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.kubeflow.package import Package, ParameterSpec
from pipeline.kubeflow.parameters import check_value, expected_value
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError

_BOOLEANS = {"true": True, "false": False}


def parse_arguments(package: Package, assignments: Sequence[str]) -> dict[str, Any]:
    """Returns the values by parameter, each of the type that the package declares.

    Args:
      package: Declares the parameters.
      assignments: Each `NAME=VALUE`.

    Raises:
      ConfigError: An assignment is malformed, names no parameter, names one twice, or its value is of another type or
        out of range.
    """
    specs = package.parameters
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--parameter {assignment!r}: expected NAME=VALUE, as in epochs=20")
        if name not in specs:
            raise ConfigError(f"the package has no parameter {name!r}; {_suggestion(name, package)}")
        if name in values:
            raise ConfigError(f"--parameter sets {name} more than once")
        values[name] = _value(name, text, specs[name])
        check_value(name, values[name])
    return values


def _value(name: str, text: str, spec: ParameterSpec) -> Any:
    try:
        match spec.type:
            case "NUMBER_INTEGER":
                return int(text)
            case "NUMBER_DOUBLE":
                return _finite(text)
            case "BOOLEAN":
                return _BOOLEANS[text.lower()]
            case _:
                return text
    except (ValueError, KeyError):
        raise ConfigError(
            f"the parameter {name} is {text!r}; expected: {expected_value(name, spec.type)} ({spec.type}), such as "
            f"{spec.default!r}"
        ) from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _suggestion(name: str, package: Package) -> str:
    names = list(package.parameters)
    return f"did you mean {nearest(name, names)!r}? It has: {', '.join(names)}" if names else "it has none"


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
