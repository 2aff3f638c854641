"""The ways through the code that the documentation describes lead somewhere."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOW_IT_WORKS = (ROOT / "docs" / "how_it_works.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^\d+\. `(\S+\.py)`, `([\w.]+)`", HOW_IT_WORKS, re.MULTILINE)


def test_the_four_ways_have_their_steps():
    assert HOW_IT_WORKS.count("\n### ") >= 4
    assert len(STEPS) > 20


@pytest.mark.parametrize(("file", "name"), STEPS)
def test_a_step_is_where_it_says(file, name):
    scope: ast.Module | ast.ClassDef = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    for part in name.split("."):
        [scope] = [
            node for node in scope.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part
        ]


@pytest.mark.parametrize("document", sorted((ROOT / "docs").glob("*.md")), ids=lambda document: document.name)
def test_files_that_documents_name_are_there(document):
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:pipeline|components|trainer_module|petseg|benchmarks|tests)/[\w/]+\.\w+)`", text))
    assert [file for file in sorted(named) if not (ROOT / file).is_file()] == []
