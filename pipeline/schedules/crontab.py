"""Schedules as lines of the user's crontab, each in a block of its own; no other line is ever touched."""

import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Final

from pipeline.schedules.local_entry import InstalledEntry, LocalEntry, completed, output_of
from pipeline.schedules.times import is_machine_time_zone
from trainer_module.errors import ConfigError, PetsegError

_BEGIN: Final = "# petseg schedule {name}: begin; change it with petseg schedule apply"
_END: Final = "# petseg schedule {name}: end"
_PAUSED: Final = "# paused: "
_BLOCK: Final = re.compile(
    r"^# petseg schedule (?P<name>[a-z0-9-]+): begin.*\n# (?P<entry>\{.*\})\n(?P<line>.*)\n"
    r"# petseg schedule (?P=name): end\n?",
    re.MULTILINE,
)
_MARKER: Final = re.compile(r"^# petseg schedule \S+: (begin|end)", re.MULTILINE)
_VARIABLE: Final = re.compile(r"^[ \t]*(?P<name>[A-Za-z_]\w*)[ \t]*=[ \t]*(?P<value>.*?)[ \t]*$", re.MULTILINE)
_LONGEST_COMMAND: Final = 998
_NO_CRONTAB: Final = re.compile(r"no crontab for", re.IGNORECASE)


class Crontab:
    """The user's crontab."""

    title = "crontab"

    def is_available(self) -> bool:
        return shutil.which("crontab") is not None

    def check(self, entry: LocalEntry) -> None:
        """Checks that cron can do what the entry says.

        Raises:
          ConfigError: It cannot.
        """
        if not is_machine_time_zone(entry.time_zone, datetime.now(UTC)):
            raise ConfigError(
                f"schedule.time_zone is {entry.time_zone!r}, but cron follows the time zone of this machine, and not "
                "all cron daemons know another; write schedule.cron in that zone, and name it in schedule.time_zone"
            )
        if entry.catch_up:
            raise ConfigError(
                "schedule.catch_up is true, but cron does not make up for firings that it missed; set it to false, or "
                "use a session with systemd user timers"
            )
        for argument in entry.argv():
            if not argument.isprintable():
                raise ConfigError(f"{argument!r} cannot be written into a crontab: it has control characters")
        length = len(_command(entry).encode())
        if length > _LONGEST_COMMAND:
            raise ConfigError(
                f"the command of the schedule has {length} bytes, and cron cuts commands after {_LONGEST_COMMAND}; "
                "keep the settings in a file and give that: --config FILE; it also carries the variables "
                f"{', '.join(entry.environment) or 'none'}"
            )

    def environment(self, name: str) -> dict[str, str]:
        """Returns what cron sets, and what the user's own lines set above the block of the schedule."""
        text = _read()
        own = next((match.start() for match in _BLOCK.finditer(text) if match["name"] == name), len(text))
        chosen = {match["name"]: match["value"].strip("\"'") for match in _VARIABLE.finditer(text[:own])}
        return {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())} | chosen | {"LOGNAME": getuser()}

    def entries(self) -> list[InstalledEntry]:
        entries = []
        for match in _BLOCK.finditer(_read()):
            entry, enabled = LocalEntry.read(match["entry"], "the crontab"), not match["line"].startswith(_PAUSED)
            entries.append(InstalledEntry(entry, enabled, match[0].rstrip("\n") == _block(entry, enabled).rstrip("\n")))
        return entries

    def install(self, entry: LocalEntry, *, enabled: bool) -> None:
        self._replace(entry.name, _block(entry, enabled))

    def switch(self, entry: LocalEntry, *, enabled: bool) -> None:
        self._replace(entry.name, _block(entry, enabled))

    def start(self, entry: LocalEntry) -> None:
        environment = self.environment(entry.name)
        subprocess.Popen(
            entry.argv(),
            env=environment,
            cwd=environment["HOME"],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def remove(self, entry: LocalEntry) -> None:
        self._replace(entry.name, "")

    def notes(self) -> list[str]:
        return ["cron tells nobody of a run that it could not start; `petseg schedule show --local` does"]

    def _replace(self, name: str, block: str) -> None:
        """Puts a block in the place of the one of that name, or at the end."""
        before = _read()
        found = next((match for match in _BLOCK.finditer(before) if match["name"] == name), None)
        if found is not None:
            after = before[: found.start()] + block + before[found.end() :]
        else:
            after = before + ("" if not before or before.endswith("\n") else "\n") + block
        if after != before:
            output_of(["crontab", "-"], after)


def _read() -> str:
    """Returns the crontab; empty when the user has none."""
    result = completed(["crontab", "-l"])
    if result.returncode and not _NO_CRONTAB.search(result.stderr):
        raise PetsegError(f"crontab -l failed: {' '.join(result.stderr.split()) or result.returncode}")
    text = "" if result.returncode else result.stdout
    if len(_MARKER.findall(text)) != 2 * len(_BLOCK.findall(text)):
        raise PetsegError(
            "the crontab has a block of petseg that was changed by hand; remove its lines from '# petseg schedule …: "
            "begin' to '…: end' with crontab -e, and apply again"
        )
    return text


def _command(entry: LocalEntry) -> str:
    """Returns the command as cron reads it, for which a plain % would end it."""
    return shlex.join(entry.argv()).replace("%", "\\%")


def _block(entry: LocalEntry, enabled: bool) -> str:
    line = f"{'' if enabled else _PAUSED}{entry.cron} {_command(entry)}"
    begin, end = _BEGIN.format(name=entry.name), _END.format(name=entry.name)
    return f"{begin}\n# {entry.line}\n{line}\n{end}\n"
