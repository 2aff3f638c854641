"""Tries, before a schedule is installed on this machine, whether its firings find what they need.

The very command that the scheduler is to start is started once in the environment that the scheduler gives, with an
option that makes it look at everything and run nothing: the configuration, the pipeline root, the modules of builders,
the data set with its features and splits, and where data and models are written to.

Which environment variables a user's own code asks for: what a builder needs that no configuration names.

What a schedule of this machine carries along of the environment that it is applied in.

A scheduler starts its commands with next to nothing in their environment. What it writes down for them lies in the
crontab or in a unit, readable for others, so secrets are never carried along.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel

import petseg
from petseg.surroundings import CERTIFICATES, PROXIES, can_be_made
from pipeline.config.schema import Config
from pipeline.runs.session import CHECKPOINT_DIR_VARIABLE
from pipeline.schedules.local_entry import LocalEntry
from trainer_module.errors import ConfigError, PetsegError

_INSTALLED: Final = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    *(str(petseg.ROOT / name) for name in ("petseg", *petseg.PACKAGES)),
)
"""Where code lies that is not the user's own."""


@contextmanager
def asked_variables() -> Iterator[set[str]]:
    """Collects the names of the variables that code outside libraries looks up while the block runs."""
    environment: Any = type(os.environ)
    look_up, asked = environment.__getitem__, set[str]()

    def watched(self: Any, key: str) -> str:
        if _is_own(sys._getframe(1)):
            asked.add(key)
        value: str = look_up(self, key)
        return value

    environment.__getitem__ = watched
    try:
        yield asked
    finally:
        environment.__getitem__ = look_up


def _is_own(frame: FrameType | None) -> bool:
    """Returns whether the code that looks a variable up, by whatever function of `os`, is the user's own."""
    while frame is not None and frame.f_globals.get("__name__") in ("os", "posixpath", "collections.abc"):
        frame = frame.f_back
    file = frame.f_code.co_filename if frame else "<"
    return not file.startswith("<") and not any(Path(file).is_relative_to(place) for place in _INSTALLED)


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


_SECONDS: Final = 600


class Verdict(BaseModel):
    """What a firing found."""

    error: str = ""
    """Why it would fail; empty when it would not."""

    asked: tuple[str, ...] = ()
    """The environment variables that the user's own modules ask for, and that are not set where it runs."""


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
        command = entry.command_with("--check", str(file))
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


def check_firing(file: Path, directory: Path, root: str, run_arguments: Sequence[str]) -> None:
    """Looks at what a firing needs, in the process that stands for it, and leaves the verdict in a file."""
    with asked_variables() as asked:
        try:
            _require_writable("pipeline.root", root)
            os.chdir(directory)
            _check_needs(_config(run_arguments))
            error = ""
        except Exception as failure:  # noqa: BLE001 (whatever the user's own modules raise)
            error = str(failure) if isinstance(failure, PetsegError) else f"{type(failure).__name__}: {failure}"
    missing = sorted(name for name in asked if name not in os.environ)
    file.write_text(Verdict(error=error.rstrip("."), asked=tuple(missing)).model_dump_json(), encoding="utf-8")


def _config(run_arguments: Sequence[str]) -> Config:
    from pipeline.commands.options import resolve_config
    from pipeline.commands.run import run

    given = run.make_context("run", list(run_arguments)).params
    return resolve_config(*(given[name] for name in ("preset", "config_file", "overrides", "pipeline_root")))


def _check_needs(config: Config) -> None:
    from components.tfds_example_gen.source import NotPreparedError, TfdsSource, open_dataset

    _require_writable("push.destination", config.serving_model_dir)
    fields = config.data.model_dump(include=set(TfdsSource.model_fields))
    source = TfdsSource(**fields | {"data_dir": config.data_dir, "download": False})
    try:
        open_dataset(source, config.data.splits)
    except NotPreparedError:
        if not config.data.download:
            raise
        _require_writable("data.data_dir", config.data_dir)


def _require_writable(setting: str, place: str) -> None:
    if "://" not in place and not can_be_made(Path(place)):
        raise ConfigError(f"{setting}: cannot write to {place!r}")
