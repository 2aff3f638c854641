"""A digest of the code that a step depends on, and the versions of what is installed.

TFX's cache sees a dotted function's name, not its code: without the digest, an edited `run_fn` would not run again.
"""

import ast
import functools
import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import petseg

_ROOT: Final = petseg.ROOT
_PACKAGES: Final = ("petseg", *petseg.PACKAGES)
_DISTRIBUTIONS: Final = ("tensorflow", "keras", "tfx", "tensorflow-transform")
_STAND_INS: Final = {"tensorflow": "tensorflow-cpu"}
"""The CPU image has TensorFlow without GPU kernels: a distribution of another name and the same version."""

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def code_digest(*modules: str, alone: Sequence[str] = ()) -> str:
    """Returns a digest of the modules, of all petseg modules they import, and of the versions of what they stand on.

    The modules are read, not imported. What they do counts; comments, docstrings, formatting, path and time do not.

    Args:
      *modules: Dotted names.
      alone: Further modules, whose imports do not count.

    Raises:
      ModuleNotFoundError: petseg has no module of one of the names.
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
        digest.update(f"{module}:{_behaviour(sources[module])}".encode())
    for distribution in _DISTRIBUTIONS:
        digest.update(f"{distribution}=={installed_version(distribution)};".encode())
    return digest.hexdigest()[:16]


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


@functools.cache
def _behaviour(source: bytes) -> str:
    """Returns the syntax tree of a module as text, without what nothing happens by: docstrings, also of constants."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _Documented):
            node.body = [statement for statement in node.body if not _is_string(statement)] or [ast.Pass()]
        elif isinstance(node, ast.JoinedStr):  # Python 3.12 puts an empty string after an expression
            node.values = [
                value for value in node.values if not (isinstance(value, ast.Constant) and value.value == "")
            ]
    return _tree_text(tree)


def _tree_text(node: object) -> str:
    """Returns what `ast.dump` does, but the same in each Python: without empty fields, as some are new.

    A package is compiled by one Python and may be run by another.
    """
    if isinstance(node, ast.AST):
        values = ((name, getattr(node, name, None)) for name in node._fields)
        fields = (f"{name}={_tree_text(value)}" for name, value in values if value is not None and value != [])
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_tree_text, node))}]"
    return ascii(node)


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


@functools.cache
def _imported_modules(source: bytes) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if name.split(".")[0] in _PACKAGES and _candidate_path(name).is_file())


def _source_path(module: str) -> Path:
    path = _candidate_path(module)
    if not path.is_file():
        raise ModuleNotFoundError(f"no petseg module {module!r} to take the digest of: {path} does not exist")
    return path


def _candidate_path(name: str) -> Path:
    path = _ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
