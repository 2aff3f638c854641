"""The parameters of a schedule: checked against a package, or as settings of a local run.

What every place that schedules can live in has in common: the schedule itself, and the plan to make it as declared.

A place is a Kubeflow Pipelines server (`kubeflow_schedule`) or this machine (`local_schedule`).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from pipeline.config.cron import Cron
from pipeline.config.schema import Config
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.parameters import RUNTIME_PARAMETERS, check_value
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError, PetsegError


class Action(StrEnum):
    """What `apply` does to a schedule."""

    CREATE = "create"
    UPDATE = "update"
    NONE = "none"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FiringOutcome(StrEnum):
    """What became of a firing on this machine."""

    DONE = "done"
    NOT_BLESSED = "done, not blessed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    RUNNING = "running"
    MISSING = "missing"
    """The schedule should have fired, and nothing is recorded."""


class LastFiring(_Model):
    """The last firing of a schedule of this machine."""

    time: datetime
    """When it started, or should have."""

    outcome: FiringOutcome
    reason: str
    """Of a failure; empty when there is none to give."""


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


_SETTINGS: Final = {parameter.name: parameter.setting for parameter in RUNTIME_PARAMETERS}
"""Runtime parameter to the setting of a local run that it is."""


def check_parameters(parameters: Mapping[str, Any], package: Package) -> None:
    """Checks the parameters of a schedule against those of the package that it runs.

    Raises:
      ConfigError: One is unknown, of the wrong type or out of range, or one that has no default is absent.
    """
    declared = package.parameters
    for name, value in parameters.items():
        if name not in declared:
            hint = f"did you mean {nearest(name, declared)!r}?" if declared else "it has none"
            raise ConfigError(f"schedule.parameters.{name}: the pipeline {package.name} has no such parameter; {hint}")
        wanted = declared[name].type
        if not declared[name].accepts(value):
            hint = (
                f'; for text write schedule.parameters.{name} = "{value}", with the quotes'
                if wanted == "STRING"
                else ""
            )
            raise ConfigError(f"schedule.parameters.{name} is {value!r}, but the pipeline wants a {wanted}{hint}")
    check_ranges(parameters)
    missing = sorted(name for name, spec in declared.items() if spec.default is None and name not in parameters)
    if missing:
        raise ConfigError(
            f"schedule.parameters lacks {', '.join(missing)}: the pipeline {package.name} has no default for it"
        )


def check_ranges(parameters: Mapping[str, Any]) -> None:
    """Checks the parameters that petseg knows, whatever the package.

    Raises:
      ConfigError: No component could use a value.
    """
    for name, value in parameters.items():
        try:
            check_value(name, value)
        except ConfigError as error:
            raise ConfigError(f"schedule.parameters: {error}") from None


def parameter_settings(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Returns the parameters as settings of a schedule, the same whether a number came from a file or from JSON."""
    return {f"parameters.{name}": _written(value) for name, value in sorted(parameters.items())}


def run_overrides(parameters: Mapping[str, Any], dataset: str) -> list[str]:
    """Returns the `key=value` texts for `--set` that stand for the parameters in a local run.

    Args:
      parameters: Of the schedule.
      dataset: `data.dataset`, whose version `dataset_version` replaces.

    Raises:
      ConfigError: A parameter stands for no setting.
    """
    overrides = []
    for name, value in sorted(parameters.items()):
        if name not in _SETTINGS:
            raise ConfigError(
                f"schedule.parameters.{name}: a local run has no such parameter; did you mean "
                f"{nearest(name, _SETTINGS)!r}? Other settings go into the configuration itself"
            )
        if name == "dataset_version":
            value = ":".join(filter(None, [dataset.partition(":")[0], str(value)]))
        if name == "min_accuracy" and value == 0:
            value = "none"
        overrides.append(f"{_SETTINGS[name]}={value}")
    return overrides


def _written(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)
