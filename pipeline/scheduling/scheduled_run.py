"""The name that schedules of this machine start which an earlier petseg installed; `petseg schedule apply` renews them.

    python -P -m petseg.run_module pipeline.scheduling.scheduled_run OPTIONS
    python -m pipeline.scheduling.scheduled_run OPTIONS

Crontabs and units name this module, so a file has to lie here; nothing else does.
"""

import sys
from collections.abc import Sequence

from petseg.processes import prepare
from pipeline.cli import exit_code
from pipeline.terminal.streams import leave


def main(arguments: Sequence[str]) -> int:
    """Is `petseg schedule fire`."""
    return exit_code(["schedule", "fire", *arguments])


if __name__ == "__main__":
    prepare()
    leave(main(sys.argv[1:]))
