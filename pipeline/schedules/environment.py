"""The environment that a schedule of this machine fires in: what it carries along, and whether that is enough.

A scheduler starts its commands with next to nothing in their environment. What it writes down for them lies in the
crontab or in a unit, readable for others, so secrets are never carried along.

Before a schedule is installed, the very command that the scheduler is to start is started once in the environment that
the scheduler gives, with the option by which it looks at everything and runs nothing.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel

from petseg.processes import CERTIFICATES, PROXIES
from pipeline.schedules.local_entry import LocalEntry
from trainer_module.errors import ConfigError

PATHS: Final = (
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "TFDS_DATA_DIR",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "PETSEG_CHECKPOINT_DIR",
    *CERTIFICATES,
)
"""Each names one place or several, which need not be absolute here."""

_SECRET: Final = re.compile(r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|(API|ACCESS|PRIVATE)_?KEY", re.IGNORECASE)
_SECONDS: Final = 600


class Verdict(BaseModel):
    """What a firing found."""

    error: str = ""
    """Why it would fail; empty when it would not."""

    asked: tuple[str, ...] = ()
    """The environment variables that the user's own modules ask for, and that are not set where it runs."""


def carried_variables(chosen: Sequence[str], here: Mapping[str, str], paths: Sequence[str] = ()) -> dict[str, str]:
    """Returns the variables that the runs of a schedule get, by name: those that petseg knows, and chosen ones.

    Args:
      chosen: Names of further variables.
      here: The environment that the schedule is applied in.
      paths: Names of variables that name files, beside those that petseg knows.

    Raises:
      ConfigError: A chosen one is not set, or is a secret.
    """
    known = {name: _absolute(here[name]) for name in (*PATHS, *paths) if here.get(name)}
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


def try_firing(entry: LocalEntry, environment: Mapping[str, str], scheduler: str) -> None:
    """Has a firing look whether it could run.

    Args:
      entry: The schedule.
      environment: What the scheduler gives.
      scheduler: Its name.

    Raises:
      ConfigError: It could not, or a variable that is set here is asked for there.
    """
    verdict = _verdict(entry, environment)
    names = [*environment, *(name for name in entry.environment if name not in environment)]
    where = f"Tried in the environment that the {scheduler} gives, with {', '.join(sorted(names))}"
    wanted = sorted(name for name in verdict.asked if name in os.environ)
    if wanted:
        secrets = [name for name in wanted if holds_secret(name, os.environ[name])]
        others = ", ".join(f'"{name}"' for name in wanted if name not in secrets)
        advice = [
            *([f"To carry the present value along: schedule.environment = [{others}]"] if others else ()),
            *(
                [f"{', '.join(secrets)}: secrets are not carried along, have the builder read a file"]
                if secrets
                else ()
            ),
            "What is not needed, unset here",
            *([f"As it is, a firing would fail: {verdict.error}"] if verdict.error else ()),
            where,
        ]
        raise ConfigError(
            f"the builder asks for {', '.join(wanted)}, set in this shell, but not where the schedule runs. "
            + ". ".join(advice)
        )
    if verdict.error:
        raise ConfigError(f"a firing of the schedule would fail: {verdict.error}. {where}")


def _verdict(entry: LocalEntry, environment: Mapping[str, str]) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="petseg-firing-") as directory:
        file, log = Path(directory) / "verdict.json", Path(directory) / "log"
        command = entry.argv("--check", str(file))
        with log.open("wb") as stream:
            try:
                ended = subprocess.run(
                    command,
                    env=dict(environment),
                    cwd=environment.get("HOME", "/"),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    timeout=_SECONDS,
                    check=False,
                ).returncode
            except OSError as error:
                return Verdict(error=f"cannot start {command[0]!r} in {environment.get('HOME')!r}: {error.strerror}")
            except subprocess.TimeoutExpired:
                return Verdict(error=f"what it needs was not there after {_SECONDS} s")
        if file.is_file():
            return Verdict.model_validate_json(file.read_bytes())
        said = " ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])
        return Verdict(error=f"its process ended with exit code {ended}: {said}")


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
