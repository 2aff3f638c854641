"""Schedules of this machine: by timers of the user's systemd where there is one, else by the user's crontab."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.config.cron import Cron
from pipeline.config.loading import load_config
from pipeline.config.schedule import LATEST
from pipeline.config.schema import Config
from pipeline.kubeflow.parameters import RUNTIME_PARAMETERS, RunOption, Setting, check_no_run_option
from pipeline.runs.store import RunStore
from pipeline.schedules.crontab import Crontab
from pipeline.schedules.environment import carried_variables, try_firing
from pipeline.schedules.firing_log import LOG_NAME
from pipeline.schedules.firings import FiringRecord, last_firing
from pipeline.schedules.local_entry import InstalledEntry, LocalEntry, LocalScheduler
from pipeline.schedules.notification import local_notes, secret_files
from pipeline.schedules.pace import firing_cautions, pace_caution
from pipeline.schedules.schedule import Action, Plan, Schedule, declared_cron, declared_name, differences
from pipeline.schedules.systemd import SystemdTimers
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError, PetsegError


@dataclass(frozen=True)
class RunOptions:
    """The options that the configuration was resolved from, to be repeated at each firing."""

    preset: str | None
    config_file: Path | None
    overrides: tuple[str, ...]


class LocalSchedules:
    """The schedules of this machine."""

    repeats = False

    def __init__(self, config: Config, options: RunOptions, tell: Callable[[str], None]) -> None:
        """Constructs the place.

        Args:
          config: Declares the schedule.
          options: What it was resolved from.
          tell: Is told what takes time.

        Raises:
          PetsegError: The machine has no scheduler that petseg can use.
        """
        self._schedulers = available_schedulers()
        if not self._schedulers:
            raise PetsegError(
                "this machine has no scheduler for you: systemctl --user does not answer, and there is no crontab; "
                "install cron, log in with a systemd session, or let Kubeflow Pipelines schedule (without --local)"
            )
        self.place = f"this machine ({socket.gethostname()})"
        self._config, self._options, self._tell = config, options, tell

    @property
    def clock_changes(self) -> tuple[str, str]:
        if isinstance(self._schedulers[0], SystemdTimers):
            return "systemd starts no run", "systemd starts one run"
        every, others = "where the line has * for minute or hour", "other cron daemons may differ"
        return (
            f"Debian's cron starts the run as soon as the clocks have changed, and none {every}; {others}",
            f"Debian's cron starts one run, and two {every}; {others}",
        )

    def plan(self) -> Plan:
        entry, scheduler = self._entry(), self._schedulers[0]
        scheduler.check(entry)
        self._tell("trying what a firing needs, in the environment that it will have")
        try_firing(entry, scheduler.environment(entry.name), scheduler.title)
        notes = [f"runs write to {str(Path(entry.root) / LOG_NAME)!r}; a firing that finds a run going on is skipped"]
        if self._config.schedule.version != LATEST:
            notes.append(
                f"schedule.version {self._config.schedule.version!r} means nothing on one machine: runs use the petseg "
                "that is installed"
            )
        too_fast = pace_caution(Cron.parse(entry.cron), entry.time_zone, RunStore(entry.root), entry.name)
        notes += [too_fast] if too_fast else []
        notes += scheduler.notes()
        there = scheduler.environment(entry.name) | entry.environment
        notes += local_notes(self._config.notification, there, scheduler.title)
        wanted = entry.settings(scheduler.title)
        holders = self._holders(entry.name)
        present: dict[str, str] = {}
        action = Action.CREATE
        if holders:
            holder, installed = holders[0]
            present = installed.entry.settings(holder.title)
            if not installed.enabled:
                notes.append("it is paused and stays so; `petseg schedule resume --local` lets it fire again")
            if len(holders) > 1:
                notes.append(f"a former one is removed from the {holders[1][0].title}")
            if present == wanted and not installed.is_current:
                notes.append("what is installed was written by another petseg, or changed by hand; it is written anew")
            unchanged = present == wanted and installed.is_current and len(holders) == 1
            action = Action.NONE if unchanged else Action.UPDATE
        changes = differences(present, wanted)
        return Plan(name=entry.name, place=self.place, action=action, differences=changes, notes=notes)

    def carry_out(self, plan: Plan) -> None:
        if plan.action is Action.NONE:
            return
        entry, scheduler = self._entry(), self._schedulers[0]
        RunStore(entry.root).prepare()
        holders = self._holders(entry.name)
        scheduler.install(entry, enabled=not holders or holders[0][1].enabled)
        for holder, installed in holders:
            if holder is not scheduler:
                holder.remove(installed.entry)
        FiringRecord.begin(Path(entry.root), entry.name, self._config.notification, entry)

    def schedules(self) -> list[Schedule]:
        return [
            Schedule(
                name=installed.entry.name,
                id=None,
                place=self.place,
                enabled=installed.enabled,
                cron=installed.entry.cron,
                time_zone=installed.entry.time_zone,
                settings=installed.entry.settings(scheduler.title),
                last_firing=last_firing(installed.entry, enabled=installed.enabled, now=datetime.now(UTC)),
                cautions=firing_cautions(installed.entry),
            )
            for scheduler in self._schedulers
            for installed in scheduler.entries()
        ]

    def pause(self, schedule: Schedule) -> None:
        scheduler, installed = self._holder(schedule)
        scheduler.switch(installed.entry, enabled=False)

    def resume(self, schedule: Schedule) -> None:
        scheduler, installed = self._holder(schedule)
        RunStore(installed.entry.root).prepare()
        scheduler.switch(installed.entry, enabled=True)
        FiringRecord.begin(Path(installed.entry.root), installed.entry.name, entry=installed.entry)

    def trigger(self, schedule: Schedule) -> str:
        scheduler, installed = self._holder(schedule)
        active = RunStore(installed.entry.root).active_run()
        if active is not None:
            raise PetsegError(
                f"the run {active} uses the pipeline root {installed.entry.root!r}; a run that is triggered now would "
                "be skipped; wait until it is done"
            )
        scheduler.start(installed.entry)
        root = Path(installed.entry.root)
        return f"started a run; its log is {str(root / LOG_NAME)!r}; see it with: petseg runs --pipeline-root {root}"

    def runs_going_on(self, schedule: Schedule) -> list[str]:
        return []

    def delete(self, schedule: Schedule) -> None:
        scheduler, installed = self._holder(schedule)
        scheduler.remove(installed.entry)
        FiringRecord.remove(Path(installed.entry.root), installed.entry.name)

    def _entry(self) -> LocalEntry:
        """Returns what the configuration declares.

        Raises:
          ConfigError: It declares what cannot be on one machine.
        """
        schedule, root = self._config.schedule, RunStore(self._config.pipeline.root).root
        if schedule.max_concurrency > 1:
            raise ConfigError(
                f"schedule.max_concurrency is {schedule.max_concurrency}, but on one machine runs never overlap: a "
                "firing that finds a run going on is skipped; set it to 1"
            )
        options = self._options
        overrides = [*options.overrides, *_parameter_overrides(schedule.parameters, self._config.data.dataset)]
        load_config(preset=options.preset, file=options.config_file, overrides=overrides)
        arguments = [f"--preset={options.preset}"] if options.preset else []
        arguments += [f"--config={options.config_file.resolve()}"] if options.config_file else []
        arguments += [f"--set={override}" for override in overrides]
        return LocalEntry(
            name=declared_name(self._config),
            cron=declared_cron(self._config).text,
            time_zone=schedule.time_zone,
            catch_up=schedule.catch_up,
            run_arguments=(*arguments, f"--pipeline-root={root}"),
            command="retrain" if schedule.only_if_needed else "run",
            directory=str(Path.cwd()),
            root=str(root),
            python=sys.executable,
            environment=carried_variables(schedule.environment, os.environ, secret_files(self._config.notification)),
        )

    def _holders(self, name: str) -> list[tuple[LocalScheduler, InstalledEntry]]:
        """Returns the schedulers that hold a schedule of that name, the preferred one first."""
        return [
            (scheduler, installed)
            for scheduler in self._schedulers
            for installed in scheduler.entries()
            if installed.entry.name == name
        ]

    def _holder(self, schedule: Schedule) -> tuple[LocalScheduler, InstalledEntry]:
        holders = self._holders(schedule.name)
        if not holders:
            raise PetsegError(f"the schedule {schedule.name!r} is gone from {self.place}")
        return holders[0]


def available_schedulers() -> list[LocalScheduler]:
    """Returns the schedulers that this machine has for the user, the preferred one first."""
    schedulers: list[LocalScheduler] = [SystemdTimers(), Crontab()]
    return [scheduler for scheduler in schedulers if scheduler.is_available()]


def _parameter_overrides(parameters: Mapping[str, Any], dataset: str) -> list[str]:
    """Returns the `key=value` texts for `--set` that stand for the parameters in a local run.

    Args:
      parameters: Of the schedule.
      dataset: `data.dataset`, whose version `dataset_version` replaces.

    Raises:
      ConfigError: A parameter stands for no setting.
    """
    check_no_run_option(parameters, "schedule.parameters")
    stand_for = {parameter.name: parameter.stands_for for parameter in RUNTIME_PARAMETERS}
    settings = {name: of.name for name, of in stand_for.items() if isinstance(of, Setting)}
    overrides = []
    for name, value in sorted(parameters.items()):
        if isinstance(stand_for.get(name), RunOption):
            continue
        if name not in settings:
            raise ConfigError(
                f"schedule.parameters.{name}: a local run has no such parameter; did you mean "
                f"{nearest(name, settings)!r}? Other settings go into the configuration itself"
            )
        if name == "dataset_version":
            value = ":".join(filter(None, [dataset.partition(":")[0], str(value)]))
        if name == "min_accuracy" and value == 0:
            value = "none"
        overrides.append(f"{settings[name]}={value}")
    return overrides
