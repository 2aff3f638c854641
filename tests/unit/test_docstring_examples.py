"""The examples in docstrings, each run with the names of its module: what they show is what comes."""

import ast
import doctest
import functools
import importlib
from collections.abc import Iterator

import pytest

import petseg


def examples() -> Iterator[tuple[str, str]]:
    """Module and name in it of everything whose docstring has an example. The sources are read, not imported."""
    for file in sorted(path for package in petseg.PACKAGES for path in (petseg.ROOT / package).rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if ">>> " in source:
            module = ".".join(file.relative_to(petseg.ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield from ((module, name) for name in _with_examples(ast.parse(source)))


def _with_examples(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[str]:
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef):
            if ">>> " in (ast.get_docstring(inner) or ""):
                yield prefix + inner.name
            if isinstance(inner, ast.ClassDef):
                yield from _with_examples(inner, f"{prefix}{inner.name}.")


EXAMPLES = [pytest.param(module, name, id=f"{module}.{name}") for module, name in examples()]


@pytest.mark.parametrize(("module", "name"), EXAMPLES, ids=".".join)
def test_an_example_gives_what_it_shows(module, name):
    loaded = importlib.import_module(module)
    documented = functools.reduce(getattr, name.split("."), loaded)
    [example] = doctest.DocTestFinder(recurse=False).find(documented, name, loaded)
    said: list[str] = []
    failed, attempted = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert attempted
    assert not failed, "".join(said)


def test_every_package_shows_how_it_is_called():
    assert {example.values[0].partition(".")[0] for example in EXAMPLES} == {*petseg.PACKAGES}
    assert len(EXAMPLES) >= 15


def test_an_example_that_is_wrong_is_told(tmp_path, monkeypatch):
    (tmp_path / "wrong_example.py").write_text(
        'def two():\n    """Two.\n\n    >>> two()\n    3\n    """\n    return 2\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(AssertionError, match=r"Expected:\s+3\s+Got:\s+2"):
        test_an_example_gives_what_it_shows("wrong_example", "two")
