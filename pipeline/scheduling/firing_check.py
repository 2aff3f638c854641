"""Tries, before a schedule is installed on this machine, whether its firings find what they need.

The very command that the scheduler is to start is started once in the environment that the scheduler gives, with an
option that makes it look at everything and run nothing: the configuration, the pipeline root, the modules of builders,
the data set with its features and splits, and where data and models are written to.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from petseg.surroundings import can_be_made
from pipeline.config import Config
from pipeline.scheduling.asked_variables import asked_variables
from pipeline.scheduling.carried_variables import holds_secret
from pipeline.scheduling.local_entry import LocalEntry
from trainer_module.errors import ConfigError, PetsegError

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
