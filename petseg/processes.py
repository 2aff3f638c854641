"""How petseg's processes start: the command of those that it starts itself, and what their surroundings must have.

A pod, a service or a batch system does not always give what libraries expect. A user id without an entry in /etc/passwd
has no name, and without HOME no home directory; a home may be read-only, as with HOME=/. TFX, TFDS, kfp and Keras cope
with a home that they cannot write to, but not with none at all; matplotlib makes a directory of its own, in the run's
place for temporary files, and trips over its absence at exit.
"""

import atexit
import getpass
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

OPTIONS: Final = ("-P", "-m", "petseg.run_module")
"""What follows the interpreter; the name of a module comes after it. With -P Python does not look into the working
directory for modules, where other projects keep theirs."""

PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""How a machine reaches the network and whom it trusts: what all its programs have in common."""

_MATPLOTLIB: Final = "MPLCONFIGDIR"
_made: list[str] = []


def command(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs the `main` of a module with this interpreter."""
    return [sys.executable, *OPTIONS, module, *arguments]


def prepare() -> None:
    """Completes the environment of this process and its children with what is missing; imports nothing heavy."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"  # as container runtimes have it
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())
    if not all(can_be_made(directory) for directory in _matplotlib_directories()):
        try:
            os.environ[_MATPLOTLIB] = tempfile.mkdtemp(prefix="petseg-matplotlib-")
        except OSError:
            return  # there is no place for temporary files; whoever needs one will say so
        _made.append(os.environ[_MATPLOTLIB])
        atexit.register(tidy_up)


def tidy_up() -> None:
    """Removes what `prepare` made; for processes that end without Python's exit functions."""
    while _made:
        shutil.rmtree(_made.pop(), ignore_errors=True)


def can_be_made(directory: Path) -> bool:
    """Returns whether a directory is there, or could be made, for this user to write to."""
    there = next(path for path in (directory, *directory.absolute().parents) if os.access(path, os.F_OK))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _matplotlib_directories() -> list[Path]:
    """Returns where matplotlib keeps its settings and its cache of fonts."""
    if chosen := os.environ.get(_MATPLOTLIB):
        return [Path(chosen)]
    bases = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache"}
    return [Path(os.environ.get(variable) or Path.home() / name, "matplotlib") for variable, name in bases.items()]
