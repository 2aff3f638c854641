"""A schedule of this machine, and the two schedulers that can hold it."""

import json
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.config.cron import Cron
from trainer_module.errors import PetsegError

_COMMAND_SECONDS: Final = 30
_ENV: Final = "/usr/bin/env"

Command = Literal["run", "retrain"]
"""What a firing starts: `petseg run`, which trains, or `petseg retrain`, which trains where there is a reason."""

_FIRE: Final = ("-P", "-m", "petseg", "schedule", "fire")
"""What follows the interpreter. It is written down outside petseg and read by every later one, so it stays."""


class LocalEntry(BaseModel):
    """What the scheduler of this machine is to do; it is kept beside what the scheduler reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    cron: str
    """Five fields."""

    time_zone: str
    catch_up: bool
    run_arguments: tuple[str, ...]
    """Of the command."""

    command: Command = "run"
    """`run` where none is written down, as by earlier petsegs."""

    directory: str
    """Working directory of the runs."""

    root: str
    """Pipeline root."""

    python: str
    """The interpreter that petseg is installed for."""

    environment: dict[str, str] = Field(default_factory=dict)
    """What is carried along of the environment that the schedule was applied in, by name."""

    def argv(self, *further: str) -> list[str]:
        """Returns what the scheduler starts, with further options of `petseg schedule fire`."""
        carried = [f"{name}={value}" for name, value in self.environment.items()]
        command = [] if self.command == "run" else ["--command", self.command]
        options = ["--name", self.name, "--directory", self.directory, "--root", self.root, *command, *further]
        return [
            *([_ENV, *carried] if carried else ()),
            *(self.python, *_FIRE, *options, "--", *self.run_arguments),
        ]

    def settings(self, scheduler: str) -> dict[str, str]:
        """Returns the entry's settings for people and for comparison."""
        return {
            "cron": self.cron,
            "time zone": self.time_zone,
            "catch up": "yes" if self.catch_up else "no",
            "runs": shlex.join(["petseg", self.command, *self.run_arguments]),
            "directory": self.directory,
            "pipeline root": self.root,
            "interpreter": self.python,
            **(
                {"environment": shlex.join(f"{k}={v}" for k, v in self.environment.items())} if self.environment else {}
            ),
            "scheduler": scheduler,
        }

    @property
    def line(self) -> str:
        """The entry in one line of JSON, as `read` reads it."""
        return self.model_dump_json()

    @classmethod
    def read(cls, line: str, where: str) -> "LocalEntry":
        """Reads an entry.

        Raises:
          PetsegError: It was changed by hand, or by another version of petseg.
        """
        try:
            entry = cls.model_validate_json(line)
            Cron.parse(entry.cron)
        except (ValidationError, ValueError) as error:
            raise PetsegError(
                f"{where} holds a schedule that this version of petseg did not write ({json.dumps(line)[:80]}); remove "
                "it there and apply again"
            ) from error
        return entry


@dataclass(frozen=True)
class InstalledEntry:
    """An entry that a scheduler holds."""

    entry: LocalEntry
    enabled: bool
    is_current: bool
    """Whether it is written there as this version of petseg writes it."""


class LocalScheduler(Protocol):
    """The scheduler of this machine."""

    @property
    def title(self) -> str:
        """Its name for people."""

    def is_available(self) -> bool: ...

    def check(self, entry: LocalEntry) -> None:
        """Raises ConfigError when the scheduler cannot do what the entry says."""

    def environment(self, name: str) -> dict[str, str]:
        """Returns the environment that the schedule of that name is started in."""

    def entries(self) -> list[InstalledEntry]: ...

    def install(self, entry: LocalEntry, *, enabled: bool) -> None:
        """Adds the entry, or puts it in the place of the one of that name."""

    def switch(self, entry: LocalEntry, *, enabled: bool) -> None: ...

    def start(self, entry: LocalEntry) -> None:
        """Starts one run now and does not wait for it."""

    def remove(self, entry: LocalEntry) -> None: ...

    def notes(self) -> list[str]:
        """Returns what the user should know of it, one sentence each."""


def output_of(command: Sequence[str], text: str | None = None) -> str:
    """Returns what a program of this machine's scheduler writes.

    Args:
      command: The program and its arguments.
      text: What it reads.

    Raises:
      PetsegError: It failed, or does not end.
    """
    result = completed(command, text)
    if result.returncode:
        said = " ".join(result.stderr.split()) or f"exit code {result.returncode}"
        raise PetsegError(f"{shlex.join(command)} failed: {said}")
    return result.stdout


def completed(command: Sequence[str], text: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Returns how a program ended and what it wrote.

    Raises:
      PetsegError: It cannot be started, or does not end.
    """
    try:
        return subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except OSError as error:
        raise PetsegError(f"cannot start {command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise PetsegError(f"{shlex.join(command)} did not end within {_COMMAND_SECONDS} s") from error
