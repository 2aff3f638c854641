"""The digest follows imports and what code does, and nothing else."""

import pytest

from pipeline import code_digest as module_under_test
from pipeline.code_digest import code_digest


@pytest.fixture
def source_tree(tmp_path, monkeypatch):
    """A package that stands for petseg's: a imports b, b imports c; d stands alone."""
    package = tmp_path / "trainer_module"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("import os\nfrom trainer_module.b import x\n")
    (package / "b.py").write_text("def f():\n    from trainer_module import c\n")
    (package / "c.py").write_text("VALUE = 1\n")
    (package / "d.py").write_text("VALUE = 1\n")
    monkeypatch.setattr(module_under_test, "_ROOT", tmp_path)
    return package


@pytest.mark.parametrize(("edited", "changes"), [("a", True), ("b", True), ("c", True), ("d", False)])
def test_digest_changes_with_the_module_and_all_it_imports(source_tree, edited, changes):
    before = code_digest("trainer_module.a")
    with (source_tree / f"{edited}.py").open("a") as file:
        file.write("OTHER = 2\n")
    assert (code_digest("trainer_module.a") != before) == changes


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("VALUE = 1  # as ever\n", False),
        ('VALUE = (\n    1\n)\n"""What it is."""\n', False),
        ('"""A module."""\nVALUE = 1\n', False),
        ("VALUE = '1'\n", True),
        ("VALUE = 1\nOTHER = 1\n", True),
    ],
)
def test_what_changes_nothing_that_happens_changes_no_digest(source_tree, text, changes):
    before = code_digest("trainer_module.a")
    (source_tree / "c.py").write_text(text)
    assert (code_digest("trainer_module.a") != before) == changes


def test_a_docstring_that_is_mended_changes_nothing(source_tree):
    function = "class A:\n    def f(self):\n        {docstring!r}\n        return {value!r}\n"
    digests = []
    for docstring, value in (("Retruns.", "x"), ("Returns.", "x"), ("Returns.", "Returns.")):
        (source_tree / "c.py").write_text(function.format(docstring=docstring, value=value))
        digests.append(code_digest("trainer_module.a"))
    assert digests[0] == digests[1] != digests[2]


def test_each_python_takes_the_same_text():
    """A package is compiled by one Python and run by another: `ast.dump` has fields more in 3.12, and fewer in 3.13."""
    source = b"class A:\n    def f(self, x=None):\n        return (f'{x}'\n                f'')\n"
    assert module_under_test._behaviour(source) == (
        "Module(body=[ClassDef(name='A', body=[FunctionDef(name='f', args=arguments("
        "args=[arg(arg='self'), arg(arg='x')], defaults=[Constant()]), body=[Return(value=JoinedStr("
        "values=[FormattedValue(value=Name(id='x', ctx=Load()), conversion=-1)]))])])])"
    )


@pytest.mark.usefixtures("source_tree")
def test_unknown_module_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"trainer_module\.nothing"):
        code_digest("trainer_module.nothing")
