"""A run's own place for temporary files: TensorFlow and Beam leave theirs behind where a process ends early."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_VARIABLE: Final = "TMPDIR"


@contextmanager
def temporary_directory(directory: Path) -> Iterator[None]:
    """Makes a directory that of temporary files, for this process and its children, and removes it in the end.

    Args:
      directory: The directory; emptied first of what a killed process left.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    variable, chosen = os.environ.get(_VARIABLE), tempfile.tempdir
    os.environ[_VARIABLE] = tempfile.tempdir = str(directory)
    try:
        yield
    finally:
        tempfile.tempdir = chosen
        os.environ.pop(_VARIABLE)
        if variable is not None:
            os.environ[_VARIABLE] = variable
        shutil.rmtree(directory, ignore_errors=True)
