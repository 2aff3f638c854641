"""When a schedule fires: in words, the next times, in another time zone, and what changes of the clocks do to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.config.cron import Cron
from trainer_module.errors import ConfigError

MACHINE_TIME_ZONE: Final = Path("/etc/localtime")

_HORIZON_DAYS: Final = 3 * 366
_LONGEST_CHANGE: Final = timedelta(hours=3)
_MINUTES_OF_A_DAY: Final = 24 * 60


@dataclass(frozen=True)
class ClockChange:
    """A moment at which the clocks of a zone are set."""

    start: datetime
    """First wall time that does not exist, or that exists twice; without a zone."""

    end: datetime
    """First wall time after those."""

    is_gap: bool
    """Whether the times between do not exist; else they exist twice."""


def in_words(cron: Cron) -> str:
    """Returns the line in English: `At 03:00, only on Monday`."""
    from cron_descriptor import Options, get_description

    options = Options()
    options.use_24hour_time_format = True
    return str(get_description(cron.text, options))


def next_firings(cron: Cron, time_zone: str, now: datetime, count: int, *, repeats: bool = False) -> list[datetime]:
    """Returns the next times that a schedule fires.

    Args:
      cron: The schedule.
      time_zone: What it is read in.
      now: Only later times are returned.
      count: How many.
      repeats: Whether wall times that the clocks go through twice fire twice, as on Kubeflow Pipelines, or the first
        time only, as with systemd. Wall times that the clocks skip never fire.

    Returns:
      The times in that zone.

    Example:
      >>> night_before_the_change = datetime(2027, 3, 27, 12, tzinfo=UTC)
      >>> [str(time) for time in next_firings(Cron.parse("30 2 * * *"), "Europe/Berlin", night_before_the_change, 2)]
      ['2027-03-29 02:30:00+02:00', '2027-03-30 02:30:00+02:00']
    """
    zone = ZoneInfo(time_zone)
    start = now.astimezone(zone).replace(tzinfo=None) - _LONGEST_CHANGE
    later: set[datetime] = set()
    wall_times = 0
    for wall in _wall_times(cron, start):
        moments = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in range(2 if repeats else 1)}
        real = {moment for moment in moments if moment.astimezone(zone).replace(tzinfo=None) == wall and moment > now}
        later |= real
        wall_times += bool(real)
        if wall_times >= count:
            break
    return [moment.astimezone(zone) for moment in islice(sorted(later), count)]


def previous_firing(cron: Cron, time_zone: str, now: datetime) -> datetime:
    """Returns the last time before `now` that a schedule was to fire, in its zone; skipped wall times never fire."""
    from croniter import croniter

    zone = ZoneInfo(time_zone)
    iterator = croniter(cron.text, now.astimezone(zone).replace(tzinfo=None))
    while True:
        wall: datetime = iterator.get_prev(datetime)
        moment = wall.replace(tzinfo=zone).astimezone(UTC)
        if moment < now and moment.astimezone(zone).replace(tzinfo=None) == wall:
            return moment.astimezone(zone)


def clock_change_cautions(cron: Cron, time_zone: str, now: datetime, skipped: str, repeated: str) -> list[str]:
    """Returns one sentence for each coming change of the clocks that meets a firing time, at most one a kind.

    Args:
      cron: The schedule.
      time_zone: What it is read in.
      now: From when on to look, for a year.
      skipped: What the scheduler does at a wall time that the clocks skip.
      repeated: What it does at one that they go through twice.
    """
    cautions: dict[bool, str] = {}
    for change in clock_changes(time_zone, now, days=366):
        wall = next(_wall_times(cron, change.start - timedelta(seconds=1)))
        if wall < change.end:
            what, then = ("does not exist", skipped) if change.is_gap else ("comes twice", repeated)
            sentence = f"{wall:%Y-%m-%d %H:%M} {what} in {time_zone}: {then}"
            cautions.setdefault(change.is_gap, sentence)
    return list(cautions.values())


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
    zones = ZoneInfo(time_zone), ZoneInfo(other)
    moments = [now + timedelta(days=day) for day in range(_HORIZON_DAYS)]
    ahead = {_offset(moment, zones[0]) - _offset(moment, zones[1]) for moment in moments}
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


def _wall_times(cron: Cron, after: datetime) -> Iterator[datetime]:
    """Yields the times that the cron line names, without a zone."""
    from croniter import croniter

    iterator = croniter(cron.text, after)
    while True:
        yield iterator.get_next(datetime)


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


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
