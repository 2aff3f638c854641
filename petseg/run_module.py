"""Runs a module of petseg, or of a library, as a process of its own: its `main`, with the arguments that follow.

python -P -m petseg.run_module pipeline.kubeflow.self_test --gpu
"""

import importlib
import sys

from petseg.processes import prepare


def main() -> None:
    """Runs the module that the first argument names and exits with what its `main` returns."""
    prepare()
    from pipeline.terminal.streams import leave

    module, *arguments = sys.argv[1:]
    leave(importlib.import_module(module).main(arguments) or 0)


if __name__ == "__main__":
    main()
