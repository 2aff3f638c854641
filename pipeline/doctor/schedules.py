"""The schedules of this machine: whether something fires them, and what became of the last firings."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pipeline.config.cron import Cron
from pipeline.config.schema import Config
from pipeline.doctor.findings import Finding, not_used, ok, problem, warning
from pipeline.schedules.crontab import Crontab
from pipeline.schedules.firing_log import LOG_NAME
from pipeline.schedules.firings import last_firing
from pipeline.schedules.local import available_schedulers
from pipeline.schedules.local_entry import InstalledEntry, LocalScheduler
from pipeline.schedules.schedule import FiringOutcome
from pipeline.schedules.times import next_firings

PROCESSES: Final = Path("/proc")

_CRON_DAEMONS: Final = {"cron", "crond", "dcron", "fcron"}
_START_CRON: Final = "start it: systemctl enable --now cron, or crond; in a container: cron"
_BAD: Final = (FiringOutcome.FAILED, FiringOutcome.MISSING, FiringOutcome.INTERRUPTED)


def look_at_schedules(config: Config) -> list[Finding]:
    """Tells of the machine's schedulers, of each schedule that petseg has given them, and of one that is declared."""
    schedulers = available_schedulers()
    installed = [(scheduler, entry) for scheduler in schedulers for entry in scheduler.entries()]
    declared = _of_declared(config, {entry.entry.name for _, entry in installed})
    if not installed and config.schedule.cron is None:
        return [not_used("schedules", "schedule.cron is not set, and this machine has none")]
    holders = [scheduler for scheduler in schedulers if any(holder is scheduler for holder, _ in installed)]
    of_schedulers = [_of_scheduler(each, installed) for each in holders or schedulers[:1]] or [_of_none(config)]
    return [*of_schedulers, *(_of_entry(entry) for _, entry in installed), *declared]


def _of_scheduler(scheduler: LocalScheduler, installed: list[tuple[LocalScheduler, InstalledEntry]]) -> Finding:
    active = sum(holder is scheduler and entry.enabled for holder, entry in installed)
    found = f"{scheduler.title}, which has {active} active schedule{'' if active == 1 else 's'} of petseg"
    if scheduler.title == Crontab.title:
        if _runs_cron():
            return ok("scheduler", found)
        tell = problem if active else warning
        return tell("scheduler", f"{found}; no cron daemon runs, so nothing is fired", _START_CRON)
    if notes := scheduler.notes():
        return warning("scheduler", f"{found}; {'; '.join(notes)}")
    return ok("scheduler", found)


def _of_none(config: Config) -> Finding:
    found = "systemctl --user does not answer, and there is no crontab"
    if config.kubeflow.host is not None:
        return not_used("scheduler of this machine", found)
    remedy = "install cron, log in with a systemd session, or let Kubeflow Pipelines schedule (kubeflow.host)"
    return problem("scheduler", f"this machine has none for you: {found}", remedy)


def _of_entry(installed: InstalledEntry) -> Finding:
    entry, now = installed.entry, datetime.now(UTC)
    subject = f"schedule {entry.name}"
    absent = [place for place in (entry.python, entry.directory) if not Path(place).exists()]
    if absent:
        return problem(
            subject,
            f"what it starts is gone: {', '.join(map(repr, absent))}",
            "apply it again from where petseg is now: petseg schedule apply --local; or petseg schedule delete --local "
            f"{entry.name}",
        )
    if not installed.enabled:
        return warning(subject, "it is paused", f"petseg schedule resume --local {entry.name}")
    upcoming = next_firings(Cron.parse(entry.cron), entry.time_zone, now, 1)
    found = f"fires next {upcoming[0]:%a %Y-%m-%d %H:%M %Z}" if upcoming else "never fires again"
    if not os.access(entry.root, os.W_OK | os.X_OK) and Path(entry.root).exists():
        return problem(subject, f"{found}; its root {entry.root!r} cannot be written to", "see to its permissions")
    last = last_firing(entry, enabled=True, now=now)
    if last is None:
        return ok(subject, f"{found}; no firing is recorded yet")
    why = f": {last.reason}" if last.reason else ""
    found = f"{found}; the last, {last.time.astimezone():%Y-%m-%d %H:%M}, {last.outcome}{why}"
    if last.outcome in _BAD:
        return warning(subject, found, f"read {str(Path(entry.root) / LOG_NAME)!r}, and petseg schedule show --local")
    if last.not_told:
        return warning(subject, f"{found}; nobody was told of it: {last.not_told}", "petseg notify --test")
    if not installed.is_current:
        return warning(subject, f"{found}; it was written by another petseg, or changed by hand", "apply it again")
    return ok(subject, found)


def _of_declared(config: Config, names: set[str]) -> list[Finding]:
    name = config.schedule.name or config.pipeline.name
    if config.schedule.cron is None or config.kubeflow.host is not None or name in names:
        return []
    apply = "petseg schedule apply --local, or without --local on Kubeflow Pipelines (kubeflow.host)"
    return [warning(f"schedule {name}", "schedule.cron is set, and nothing fires it on this machine", apply)]


def _runs_cron() -> bool:
    """Returns whether a cron daemon runs; in doubt, as where others' processes are hidden, that it does."""
    if not (PROCESSES / "1" / "comm").exists():
        return True
    names = set()
    for file in PROCESSES.glob("[0-9]*/comm"):
        with suppress(OSError):  # it has ended
            names.add(file.read_text(encoding="utf-8", errors="replace").strip())
    return bool(names & _CRON_DAEMONS)
