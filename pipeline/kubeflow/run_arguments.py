"""Values for a package's runtime parameters, as a command line gives them."""

import math
from collections.abc import Sequence
from typing import Any

from pipeline.kubeflow.package import Package, ParameterSpec
from pipeline.kubeflow.runtime_parameters import check_value, expected_value
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
