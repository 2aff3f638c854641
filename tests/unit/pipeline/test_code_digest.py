"""The digest follows imports and nothing else."""

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


@pytest.mark.usefixtures("source_tree")
def test_unknown_module_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"trainer_module\.nothing"):
        code_digest("trainer_module.nothing")
