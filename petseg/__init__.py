"""The name that petseg is started by: the command `petseg`, `python -m petseg`, and its child processes.

petseg's code lies in top-level packages whose names other projects use, too. Importing this package imports the three
from beside it, whatever else of that name Python would find first: in the working directory or on PYTHONPATH. So it has
to be the first that a process of petseg imports. Only these names are settled; `sys.path` stays as it is, and a data
set's builder finds the modules that it would find without petseg.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Final

PACKAGES: Final = ("pipeline", "components", "trainer_module")
"""The top-level packages of petseg's code."""

ROOT: Final = Path(__file__).resolve().parent.parent
"""The directory that holds them: a checkout, or the site-packages that the wheel was installed into."""


def _import_own(name: str) -> None:
    spec = PathFinder.find_spec(name, [str(ROOT)])
    if spec is None or spec.loader is None or spec.origin is None:
        raise ImportError(f"petseg's package {name!r} is missing from {str(ROOT)!r}; install petseg again", name=name)
    present = sys.modules.get(name)
    if present is None:
        sys.modules[name] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
    elif not present.__file__ or not Path(present.__file__).samefile(spec.origin):
        raise ImportError(
            f"this process has loaded another {name!r} ({present.__file__}) than petseg's ({spec.origin}); import "
            "petseg first",
            name=name,
        )


for _name in PACKAGES:
    _import_own(_name)
