"""The versions of what is installed, whichever distribution brings it."""

from importlib import metadata
from typing import Final

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
