"""How petseg starts processes of its own: the one form of the command, for children and containers."""

import sys
from typing import Final

OPTIONS: Final = ("-P", "-m", "petseg.run_module")
"""What follows the interpreter; the name of a module comes after it. With -P Python does not look into the working
directory for modules, where other projects keep theirs."""


def command(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs the `main` of a module with this interpreter."""
    return [sys.executable, *OPTIONS, module, *arguments]
