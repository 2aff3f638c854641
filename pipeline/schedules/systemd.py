"""Schedules as timers of the user's systemd (https://www.freedesktop.org/software/systemd/man/systemd.timer.html)."""

import os
import shutil
from getpass import getuser
from pathlib import Path
from typing import Final

from pipeline.config.cron import Cron
from pipeline.schedules.local_entry import InstalledEntry, LocalEntry, completed, output_of
from pipeline.schedules.times import in_words
from trainer_module.errors import PetsegError

_PREFIX: Final = "petseg-schedule-"
_MARK: Final = "# petseg schedule: "
_SYSTEMCTL: Final = ("systemctl", "--user")
_NOT_BLESSED: Final = 3


class SystemdTimers:
    """The user's systemd: one timer and one service a schedule."""

    title = "systemd user timer"

    def is_available(self) -> bool:
        """Returns whether the user's systemd answers, as it does in a login session and not in most containers."""
        return shutil.which("systemctl") is not None and not completed([*_SYSTEMCTL, "show-environment"]).returncode

    def check(self, entry: LocalEntry) -> None:
        """Takes every entry."""

    def environment(self, name: str) -> dict[str, str]:
        """Returns the environment of the user's systemd, which its units inherit."""
        return _read_environment(output_of([*_SYSTEMCTL, "show-environment"]))

    def entries(self) -> list[InstalledEntry]:
        entries = []
        for file in sorted(_directory().glob(f"{_PREFIX}*.timer")):
            text = file.read_text(encoding="utf-8")
            entry = LocalEntry.read("".join(text.splitlines()[:1]).removeprefix(_MARK), str(file))
            service = _files(entry)[0]
            is_current = (
                text == _timer_unit(entry) and service.is_file() and service.read_text() == _service_unit(entry)
            )
            enabled = completed([*_SYSTEMCTL, "is-enabled", file.name]).stdout.strip() == "enabled"
            entries.append(InstalledEntry(entry, enabled, is_current))
        return entries

    def install(self, entry: LocalEntry, *, enabled: bool) -> None:
        service, timer = _files(entry)
        former = {file: file.read_bytes() if file.is_file() else None for file in (service, timer)}
        try:
            _write(service, _service_unit(entry))
            _write(timer, _timer_unit(entry))
            output_of([*_SYSTEMCTL, "daemon-reload"])
            self.switch(entry, enabled=enabled)
            if enabled:
                output_of([*_SYSTEMCTL, "restart", timer.name])
        except PetsegError:
            _restore(former)
            completed([*_SYSTEMCTL, "daemon-reload"])
            raise

    def switch(self, entry: LocalEntry, *, enabled: bool) -> None:
        output_of([*_SYSTEMCTL, "enable" if enabled else "disable", "--now", _files(entry)[1].name])

    def start(self, entry: LocalEntry) -> None:
        output_of([*_SYSTEMCTL, "start", "--no-block", _files(entry)[0].name])

    def remove(self, entry: LocalEntry) -> None:
        self.switch(entry, enabled=False)
        _restore(dict.fromkeys(_files(entry)))
        output_of([*_SYSTEMCTL, "daemon-reload"])

    def notes(self) -> list[str]:
        if shutil.which("loginctl") is None:
            return []
        lingers = completed(["loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value"]).stdout.strip()
        if lingers != "no":
            return []
        return [
            "timers of a user rest while the user is not logged in, unless you allow it once: loginctl enable-linger"
        ]


def _read_environment(text: str) -> dict[str, str]:
    """Reads lines NAME=value; a value with characters that a shell would take is quoted as `$'…'`."""
    variables = {"HOME": str(Path.home()), "LOGNAME": getuser(), "PATH": os.defpath.lstrip(":")}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if value.startswith("$'") and value.endswith("'"):
            value = value[2:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")
        variables[name] = value
    return variables


def _directory() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "systemd" / "user"


def _files(entry: LocalEntry) -> tuple[Path, Path]:
    """Returns the files of the service and of the timer."""
    return _directory() / f"{_PREFIX}{entry.name}.service", _directory() / f"{_PREFIX}{entry.name}.timer"


def _service_unit(entry: LocalEntry) -> str:
    return f"""{_MARK}{entry.line}
[Unit]
Description=Run of the petseg schedule {entry.name}

[Service]
Type=oneshot
ExecStart={" ".join(map(_quoted, entry.argv()))}
SuccessExitStatus={_NOT_BLESSED}
"""


def _timer_unit(entry: LocalEntry) -> str:
    cron = Cron.parse(entry.cron)
    return f"""{_MARK}{entry.line}
[Unit]
Description=petseg schedule {entry.name}: {in_words(cron).replace("%", "%%")}

[Timer]
OnCalendar={cron.calendar_event(entry.time_zone)}
AccuracySec=1s
Persistent={"true" if entry.catch_up else "false"}

[Install]
WantedBy=timers.target
"""


def _quoted(word: str) -> str:
    """Quotes a word of ExecStart: a specifier, a variable or a quote in it stands for itself."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise PetsegError(f"cannot write {str(file)!r}: {error.strerror}") from error


def _restore(contents: dict[Path, bytes | None]) -> None:
    """Gives files their former content; those that had none are removed."""
    for file, content in contents.items():
        if content is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(content)
