"""Settings of a scheduled retraining, the same for Kubeflow Pipelines and for one machine.

Time zones of schedules: which there are, when their clocks change, and what a cron line is in another zone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, Field

from pipeline.config.cron import Cron
from pipeline.suggestions import nearest
from trainer_module.config import Section
from trainer_module.errors import ConfigError

MACHINE_TIME_ZONE: Final = Path("/etc/localtime")

_HORIZON_DAYS: Final = 3 * 366
_MINUTES_OF_A_DAY: Final = 24 * 60


def known_time_zone(name: str) -> str:
    """Returns the name when the time zone exists.

    Raises:
      ValueError: There is none of that name.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name!r}; did you mean {nearest(name, sorted(available_timezones()))!r}?"
        ) from None
    return name


@dataclass(frozen=True)
class ClockChange:
    """A moment at which the clocks of a zone are set."""

    start: datetime
    """First wall time that does not exist, or that exists twice; without a zone."""

    end: datetime
    """First wall time after those."""

    is_gap: bool
    """Whether the times between do not exist; else they exist twice."""


def clock_changes(time_zone: str, after: datetime, days: int) -> Iterator[ClockChange]:
    """Yields the changes of the clocks in the days after a moment."""
    zone = ZoneInfo(time_zone)
    day = after.astimezone(UTC).replace(microsecond=0)
    for _ in range(days):
        before, after_it = _offset(day, zone), _offset(day + timedelta(days=1), zone)
        if before != after_it:
            low, high = day, day + timedelta(days=1)
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                low, high = (middle, high) if _offset(middle, zone) == before else (low, middle)
            change = high.replace(tzinfo=None)
            start, end = sorted((change + before, change + after_it))
            yield ClockChange(start, end, is_gap=after_it > before)
        day += timedelta(days=1)


def cron_in_zone(cron: Cron, time_zone: str, other: str, now: datetime) -> Cron:
    """Returns the line that fires at the same moments when it is read in another time zone.

    Raises:
      ConfigError: There is none, as when the clocks of only one of the zones change.
    """
    ahead = {_lead(time_zone, other, now + timedelta(days=day)) for day in range(_HORIZON_DAYS)}
    if ahead == {timedelta()}:
        return cron
    if len(ahead) > 1:
        raise ConfigError(
            f"schedule.time_zone is {time_zone!r}, but the server reads schedules in {other!r}, and the difference "
            "between the two changes with the seasons, so no one cron line fits; write schedule.cron in "
            f"{other} and set schedule.time_zone={other}, or set CRON_SCHEDULE_TIMEZONE={time_zone} at the deployment "
            f"ml-pipeline-scheduledworkflow of the server and schedule.server_time_zone={time_zone}"
        )
    return _shifted(cron, -int(ahead.pop().total_seconds()) // 60, f"from {time_zone} to {other}")


def is_machine_time_zone(time_zone: str, now: datetime) -> bool:
    """Returns whether the clocks of a time zone are those of this machine, as its cron daemon reads them."""
    zone = ZoneInfo(time_zone)
    try:
        with MACHINE_TIME_ZONE.open("rb") as file:
            machine = ZoneInfo.from_file(file)
    except (OSError, ValueError):
        machine = ZoneInfo("UTC")
    moments = [now + timedelta(days=day) for day in range(_HORIZON_DAYS)]
    return all(_offset(moment, zone) == _offset(moment, machine) for moment in moments)


def _shifted(cron: Cron, minutes: int, direction: str) -> Cron:
    """Moves all firings by a number of minutes."""
    moments = [
        divmod(hour * 60 + minute + minutes, _MINUTES_OF_A_DAY) for hour in cron.hours for minute in cron.minutes
    ]
    hours = frozenset(moment // 60 for _, moment in moments)
    minutes_of_hours = frozenset(moment % 60 for _, moment in moments)
    days = {day for day, _ in moments}
    any_day = cron.text.endswith(" * * *")
    only_weekdays = cron.text.split()[2:4] == ["*", "*"]
    is_product = len(hours) * len(minutes_of_hours) == len(moments)
    if not is_product or not (any_day or days == {0} or (only_weekdays and len(days) == 1)):
        raise ConfigError(
            f"schedule.cron {cron.text!r} cannot be converted {direction}, the zone that the server reads schedules "
            "in: the days or minutes that it names would become different ones for different firings; write it in "
            "the server's zone and set schedule.time_zone to that"
        )
    shift = days.pop() if not any_day else 0
    weekdays = frozenset((day + shift) % 7 for day in cron.weekdays)
    return Cron(minutes_of_hours, hours, cron.days, cron.months, weekdays)


def _lead(time_zone: str, other: str, moment: datetime) -> timedelta:
    return _offset(moment, ZoneInfo(time_zone)) - _offset(moment, ZoneInfo(other))


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


LATEST: Final = "latest"
"""Version of a schedule that always runs the newest package."""


def _cron_line(text: str) -> str:
    Cron.parse(text)
    return text


TimeZone = Annotated[str, AfterValidator(known_time_zone)]
"""An IANA name, such as `Europe/Berlin`."""


class ScheduleConfig(Section):
    """When to retrain, and with what."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None = None
    """Names the schedule on the server or on this machine. None: the pipeline's name."""

    cron: Annotated[str, AfterValidator(_cron_line)] | None = None
    """When: the five fields of Unix cron (minute, hour, day of month, month, day of week). None: no schedule."""

    time_zone: TimeZone = "UTC"
    """Time zone that `cron` is meant in."""

    server_time_zone: TimeZone = "UTC"
    """Time zone that the Kubeflow server reads all its schedules in: CRON_SCHEDULE_TIMEZONE of its deployment
    ml-pipeline-scheduledworkflow."""

    max_concurrency: int = Field(1, ge=1, le=10)
    """Most runs of the schedule at a time."""

    catch_up: bool = False
    """Whether firings that were missed are made up for: by one run each on Kubeflow Pipelines, by one in all on one
    machine."""

    version: str = Field(LATEST, min_length=1)
    """`latest`: always the newest uploaded package. Otherwise the name of the version to stay with."""

    environment: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = ()
    """On one machine: names of environment variables whose present values the runs get, beside PYTHONPATH and what else
    petseg knows. Never secrets. On Kubeflow Pipelines the image and kubeflow.secrets say what pods have."""

    parameters: dict[str, str | int | float] = Field(default_factory=dict)
    """Runtime parameters of each run, on top of the package's defaults: `parameters.epochs = 20`."""
