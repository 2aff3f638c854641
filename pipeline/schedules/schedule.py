"""A schedule, the plan to make it as declared, and what all places have in common where schedules can live.

A place is a Kubeflow Pipelines server (`kubeflow.KubeflowSchedules`) or this machine (`local.LocalSchedules`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from pipeline.config.cron import Cron
from pipeline.config.schema import Config
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError, PetsegError


class Action(StrEnum):
    """What `apply` does to a schedule."""

    CREATE = "create"
    UPDATE = "update"
    NONE = "none"


class FiringOutcome(StrEnum):
    """What became of a firing on this machine."""

    DONE = "done"
    NOT_NEEDED = "done, no reason to train"
    NOT_BLESSED = "done, not blessed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    RUNNING = "running"
    MISSING = "missing"
    """The schedule should have fired, and nothing is recorded."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LastFiring(_Model):
    """The last firing of a schedule of this machine."""

    time: datetime
    """When it started, or should have; now where a clock that was set back since tells a later time."""

    outcome: FiringOutcome
    reason: str
    """Of a failure, or why nothing was trained; empty when there is none to give."""

    not_told: str = ""
    """Why people were not told of it, as they should have been; empty when they were."""


class Schedule(_Model):
    """A schedule as it is."""

    name: str
    id: str | None
    """The server's id. None on this machine, where names are unique."""

    place: str
    """Where it is, for people."""

    enabled: bool
    cron: str | None
    """Five fields. None: it has another kind of trigger."""

    time_zone: str
    """That the fields are read in."""

    settings: dict[str, str]
    """What it runs and how, by setting; the values are for people and for comparison."""

    last_firing: LastFiring | None = None
    """On this machine; None where there was none, or none is known. The server knows its runs by itself."""

    cautions: list[str] = Field(default_factory=list)
    """What its firings so far show to be wrong with it, one sentence each."""


class Difference(_Model):
    """A setting that is to change."""

    setting: str
    old: str | None
    """None: it is not set."""

    new: str | None


class Plan(_Model):
    """What `apply` is about to do."""

    name: str
    place: str
    action: Action
    differences: list[Difference] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    """What else the user should know, one sentence each."""


class SchedulePlace(Protocol):
    """Where schedules live."""

    place: str
    """The place, for people."""

    @property
    def repeats(self) -> bool:
        """Whether a wall time that the clocks go through twice fires twice."""

    @property
    def clock_changes(self) -> tuple[str, str]:
        """What becomes of a firing at a wall time that the clocks skip, and at one that they go through twice."""

    def plan(self) -> Plan:
        """Compares the declared schedule with what is there, and changes nothing."""

    def carry_out(self, plan: Plan) -> None:
        """Makes the schedule as declared."""

    def schedules(self) -> list[Schedule]:
        """Returns all schedules of the place, by name."""

    def pause(self, schedule: Schedule) -> None: ...

    def resume(self, schedule: Schedule) -> None: ...

    def trigger(self, schedule: Schedule) -> str:
        """Starts one run now and returns what to tell the user of it."""

    def runs_going_on(self, schedule: Schedule) -> list[str]:
        """Returns the ids of the runs that the removal of the schedule would stop."""

    def delete(self, schedule: Schedule) -> None: ...


def declared_name(config: Config) -> str:
    """Returns the name of the schedule that a configuration declares."""
    return config.schedule.name or config.pipeline.name


def declared_cron(config: Config) -> Cron:
    """Returns the cron line of a configuration.

    Raises:
      ConfigError: It declares no schedule.
    """
    if config.schedule.cron is None:
        raise ConfigError(
            "schedule.cron is not set, so there is no schedule to apply; declare one in the configuration: "
            "[schedule] cron = '0 3 * * 1', or with --set 'schedule.cron=0 3 * * 1'. "
            "To end a schedule: petseg schedule delete"
        )
    return Cron.parse(config.schedule.cron)


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[Difference]:
    """Returns the settings that differ, in the order of the new ones."""
    return [
        Difference(setting=name, old=old.get(name), new=new.get(name))
        for name in [*new, *(name for name in old if name not in new)]
        if old.get(name) != new.get(name)
    ]


def find_schedule(schedules: Iterable[Schedule], name: str, place: str) -> Schedule:
    """Returns the one schedule with that name or id.

    Raises:
      PetsegError: There is none, or there are several.
    """
    known = list(schedules)
    found = [schedule for schedule in known if name in (schedule.name, schedule.id)]
    if len(found) == 1:
        return found[0]
    if not found:
        names = sorted({schedule.name for schedule in known})
        hint = f"did you mean {nearest(name, names)!r}?" if names else "`petseg schedule apply` makes one"
        raise PetsegError(f"there is no schedule {name!r} on {place}; {hint}")
    ids = " and ".join(str(schedule.id) for schedule in found)
    raise PetsegError(
        f"{place} has {len(found)} schedules named {name!r}: {ids}. If an apply was interrupted, apply again to finish "
        "it; otherwise show them by id and delete the ones that should not be: petseg schedule delete ID"
    )
