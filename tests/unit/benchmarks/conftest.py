"""The benchmarks are scripts in a folder of their own, which import each other from beside themselves."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _beside_the_scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
