"""Values for a package's runtime parameters: as a command line gives them, and with the package's defaults."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.kubeflow.package import Package, ParameterSpec
from pipeline.kubeflow.parameters import check_value, expected_value
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError

_BOOLEANS: Final = {"true": True, "false": False}


def parse_arguments(package: Package, assignments: Sequence[str]) -> dict[str, Any]:
    """Returns the values by parameter, each of the type that the package declares.

    Args:
      package: Declares the parameters.
      assignments: Each `NAME=VALUE`.

    Raises:
      ConfigError: An assignment is malformed, names no parameter, names one twice, or its value is of another type or
        out of range.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--parameter {assignment!r}: expected NAME=VALUE, as in epochs=20")
        spec = _declared(name, package)
        if name in values:
            raise ConfigError(f"--parameter sets {name} more than once")
        try:
            values[name] = _parsed(text, spec)
        except (ValueError, KeyError):
            raise ConfigError(
                f"the parameter {name} is {text!r}; expected: {expected_value(name, spec.type)} ({spec.type}), such as "
                f"{spec.default!r}"
            ) from None
        check_value(name, values[name])
    return values


def gate_assignments(reset_baseline: bool, force_bless: str | None) -> list[str]:
    """Returns the assignments that options of the gate are short for.

    Args:
      reset_baseline: Whether to judge the model as if none were served.
      force_bless: Why to push it whatever the gate says; None to obey it.
    """
    assignments = ["reset_baseline=true"] if reset_baseline else []
    return assignments + ([] if force_bless is None else [f"force_bless={force_bless}"])


def runtime_values(package: Package, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the value of every runtime parameter of a run.

    Args:
      package: The package, with the defaults.
      given: The values that are set for this run.

    Raises:
      ConfigError: A parameter is unknown, has neither value nor default, or a value of another type or out of range.
    """
    for name, value in given.items():
        spec = _declared(name, package)
        if not spec.accepts(value):
            raise ConfigError(f"parameter {name} is a {spec.type}; {value!r} is none")
    values = {name: given.get(name, spec.default) for name, spec in package.parameters.items()}
    missing = sorted(name for name, value in values.items() if value is None)
    if missing:
        raise ConfigError(f"the package has no default for {', '.join(missing)}; give each with --parameter NAME=VALUE")
    for name, value in values.items():
        check_value(name, value)
    return values


def _declared(name: str, package: Package) -> ParameterSpec:
    """Returns what the package says of a parameter."""
    specs = package.parameters
    if name not in specs:
        hint = f"did you mean {nearest(name, specs)!r}? It has: {', '.join(specs)}" if specs else "it has none"
        raise ConfigError(f"the package has no parameter {name!r}; {hint}")
    return specs[name]


def _parsed(text: str, spec: ParameterSpec) -> Any:
    match spec.type:
        case "NUMBER_INTEGER":
            return int(text)
        case "NUMBER_DOUBLE":
            number = float(text)
            if not math.isfinite(number):
                raise ValueError(text)
            return number
        case "BOOLEAN":
            return _BOOLEANS[text.lower()]
        case _:
            return text
