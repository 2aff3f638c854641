"""A root of runs that never ran, in memory where Linux has a place for it, since ML Metadata waits for the disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from root_of_runs import RootOfRuns

IN_MEMORY = Path("/dev/shm")


@pytest.fixture
def root(tmp_path) -> Iterator[RootOfRuns]:
    if not os.access(IN_MEMORY, os.W_OK):
        yield RootOfRuns(tmp_path / "root")
        return
    directory = Path(tempfile.mkdtemp(dir=IN_MEMORY))
    yield RootOfRuns(directory / "root")
    shutil.rmtree(directory)
