"""A digest of the code that a step depends on.

TFX's cache sees a dotted function's name, not its code: without the digest, an edited `run_fn` would not run again.

The versions of what is installed, whichever distribution brings it.
"""

import ast
import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import petseg

_STAND_INS: Final = {"tensorflow": "tensorflow-cpu"}
"""The CPU image has TensorFlow without GPU kernels: a distribution of another name and the same version."""


def installed_version(distribution: str) -> str:
    """Returns the version of a distribution, or of the one that stands in for it.

    Raises:
      importlib.metadata.PackageNotFoundError: Neither is installed.
    """
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        if distribution not in _STAND_INS:
            raise
        return metadata.version(_STAND_INS[distribution])


_ROOT = petseg.ROOT
_PACKAGES = ("petseg", *petseg.PACKAGES)
_DISTRIBUTIONS = ("tensorflow", "keras", "tfx", "tensorflow-transform")


def code_digest(*modules: str, alone: Sequence[str] = ()) -> str:
    """Returns a digest of the modules, of all petseg modules they import, and of the versions of what they stand on.

    The modules are read, not imported. Comments and formatting count; another path or time does not.

    Args:
      *modules: Dotted names.
      alone: Further modules, whose imports do not count.
    """
    sources = {module: _source_path(module).read_bytes() for module in alone}
    pending = list(modules)
    while pending:
        module = pending.pop()
        if module not in sources:
            sources[module] = _source_path(module).read_bytes()
            pending.extend(_imported_modules(sources[module]))
    digest = hashlib.sha256()
    for module in sorted(sources):
        digest.update(f"{module}:".encode() + sources[module])
    for distribution in _DISTRIBUTIONS:
        digest.update(f"{distribution}=={installed_version(distribution)};".encode())
    return digest.hexdigest()[:16]


def _imported_modules(source: bytes) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in found if name.split(".")[0] in _PACKAGES and _candidate_path(name).is_file()}


def _source_path(module: str) -> Path:
    path = _candidate_path(module)
    if not path.is_file():
        raise ModuleNotFoundError(f"no petseg module {module!r} to take the digest of: {path} does not exist")
    return path


def _candidate_path(name: str) -> Path:
    path = _ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
