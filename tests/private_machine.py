"""A machine for the real daemons of schedulers: this one, but for some directories that only its processes see.

So they find no crontab and no units but those of the test, and leave none behind.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from petseg import ROOT

SETTINGS = ("--local", "--config", "pets.toml")

_PETSEG = """
import json, sys
from pathlib import Path
from pipeline.cli import exit_code
from pipeline.schedules import local, times

local.try_firing = lambda *_: None  # it starts TensorFlow
times.MACHINE_TIME_ZONE = Path("/absent")  # UTC
sys.exit(max(exit_code(arguments) for arguments in json.loads(sys.argv[1])))
"""


def missing_programs(*programs: str) -> str:
    """Returns why there can be no such machine here that has the programs; nothing where there can."""
    absent = [program for program in ("unshare", "nsenter", *programs) if shutil.which(program) is None]
    if absent:
        return f"there is no {', no '.join(absent)}"
    if os.geteuid() or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "this process may not mount anything"
    return ""


class PrivateMachine:
    """The machine, while the block runs."""

    def __init__(self, home: Path, mounts: str, environment: Mapping[str, str] | None = None) -> None:
        """Constructs the machine.

        Args:
          home: Home directory, and working directory of its processes.
          mounts: Shell commands that mount what is private.
          environment: Further variables of its processes.
        """
        self.home = home
        self._mounts = mounts
        self._environment = {
            "HOME": str(home),
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(environment or {}),
        }
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        script = f"set -e\n{self._mounts}\necho ready\nexec cat"
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for daemon in self._daemons:
            self.stop(daemon)
        self._holder.communicate()

    def start(self, *command: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Starts a daemon, which ends with the machine at the latest."""
        daemon = subprocess.Popen(self._inside(command), env=self._environment | environment, stdin=subprocess.DEVNULL)
        self._daemons.append(daemon)
        return daemon

    @staticmethod
    def stop(daemon: "subprocess.Popen[bytes]") -> None:
        daemon.terminate()
        daemon.wait(30)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self._inside(command), env=self._environment, capture_output=True, text=True, check=False)

    def petseg(self, *commands: Sequence[str]) -> str:
        """Runs commands of `petseg schedule` one after the other in one process, and returns what they print."""
        every = [["schedule", verb, *SETTINGS, *options] for verb, *options in commands]
        result = self.run(sys.executable, "-P", "-c", _PETSEG, json.dumps(every))
        assert result.returncode == 0, result.stderr
        return result.stdout

    def show(self, name: str) -> Any:
        return json.loads(self.petseg(["show", name, "--json"]))

    def _inside(self, command: Sequence[str]) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--wd={self.home}", *command]
