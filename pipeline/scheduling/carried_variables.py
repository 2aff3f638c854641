"""What a schedule of this machine carries along of the environment that it is applied in.

A scheduler starts its commands with next to nothing in their environment. What it writes down for them lies in the
crontab or in a unit, readable for others, so secrets are never carried along.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pipeline.machine_variables import CERTIFICATES, PROXIES
from pipeline.recorded_run import CHECKPOINT_DIR_VARIABLE
from trainer_module.errors import ConfigError

PATHS: Final = (
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "TFDS_DATA_DIR",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    CHECKPOINT_DIR_VARIABLE,
    *CERTIFICATES,
)
"""Each names one place or several, which need not be absolute here."""

_SECRET: Final = re.compile(r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|(API|ACCESS|PRIVATE)_?KEY", re.IGNORECASE)


def carried_variables(chosen: Sequence[str], here: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that the runs of a schedule get, by name: those that petseg knows, and chosen ones.

    Args:
      chosen: Names of further variables.
      here: The environment that the schedule is applied in.

    Raises:
      ConfigError: A chosen one is not set, or is a secret.
    """
    known = {name: _absolute(here[name]) for name in PATHS if here.get(name)}
    known |= {name: here[name] for name in PROXIES if here.get(name) and not _has_password(here[name])}
    for name in chosen:
        if name not in here:
            raise ConfigError(f"schedule.environment names {name!r}, which is not set here; set it, or take it out")
        if holds_secret(name, here[name]):
            raise ConfigError(
                f"schedule.environment names {name!r}, which looks like a secret; its value would be written down "
                "where others can read it. Keep the secret in a file, and name that file's path in a variable"
            )
    return dict(sorted((known | {name: here[name] for name in chosen}).items()))


def holds_secret(name: str, value: str) -> bool:
    """Returns whether a variable seems to hold a secret itself; the path of a file that holds one is none."""
    return _has_password(value) or (bool(_SECRET.search(name)) and not Path(value).is_file())


def _has_password(value: str) -> bool:
    try:
        return bool(urlsplit(value).password)
    except ValueError:  # no address
        return False


def _absolute(value: str) -> str:
    """Returns a list of paths without the working directory's part in them; an address stays as it is."""
    return (
        value
        if "://" in value
        else os.pathsep.join(str(Path(path).expanduser().absolute()) for path in value.split(os.pathsep))
    )
