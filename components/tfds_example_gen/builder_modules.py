"""The modules of one's own that hold builders of data sets; importing them makes TFDS know the builders."""

import importlib
import os
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

import petseg
from trainer_module.errors import ConfigError


def import_builder_modules(modules: Iterable[str]) -> None:
    """Imports modules by their dotted names.

    Raises:
      ConfigError: One cannot be found, or something that it imports.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            hint = _hint(module, (error.name or module).partition(".")[0])
            raise ConfigError(f"data.builder_modules: cannot import {module!r}: {error}{hint}") from error
        if module in petseg.PACKAGES:
            raise ConfigError(f"data.builder_modules: {module!r} is petseg's own and has no builder{_hidden(module)}")


def _hint(module: str, missing: str) -> str:
    """Returns what may be the reason that a top-level name, or what is asked of it, is missing."""
    if missing in petseg.PACKAGES:
        return _hidden(missing)
    if missing == module.partition(".")[0]:
        path = os.environ.get("PYTHONPATH")
        return f". It has to be installed, or its directory on PYTHONPATH, which is {repr(path) if path else 'not set'}"
    return ""


def _hidden(name: str) -> str:
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != petseg.ROOT]
    spec = PathFinder.find_spec(name, elsewhere)
    places = [spec.origin] if spec and spec.origin else [*((spec and spec.submodule_search_locations) or ())]
    yours = f"the one in {places[0]!r}" if places else "any other"
    return (
        f". petseg has a package {name!r} of its own, which hides {yours}: give yours another name, or keep what the "
        "builder needs of it in a module whose name is none of "
        f"{', '.join(petseg.PACKAGES)}"
    )
