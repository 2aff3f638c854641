"""Where a component leaves what it found in data that it refuses: TFX removes the artifacts of one that fails."""

from typing import Final

REFUSED_DIRECTORY: Final = "refused"
"""Beside a component's artifacts: what it found, in a directory with the id of the run."""


def refused_directory(uri: str, run: str) -> str:
    """Returns the directory for what a run found.

    Args:
      uri: Of the output that would have it, were the data not refused.
      run: Id of the run.

    Example:
      >>> refused_directory("/artifacts/pets/DriftDetector/drift/7", "20260102-030405-000001")
      '/artifacts/pets/DriftDetector/refused/20260102-030405-000001'
    """
    return f"{uri.rsplit('/', 2)[0]}/{REFUSED_DIRECTORY}/{run}"
