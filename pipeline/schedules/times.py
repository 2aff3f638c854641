"""When a schedule fires: in words, the next times, and what becomes of times that the clocks skip or repeat."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from pipeline.config.cron import Cron
from pipeline.config.schedule import ClockChange, clock_changes

_LONGEST_CHANGE = timedelta(hours=3)


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
      >>> firings = next_firings(Cron.parse("0 3 * * 1"), "Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC), count=2)
      >>> [firing.isoformat() for firing in firings]
      ['2026-01-05T03:00:00+01:00', '2026-01-12T03:00:00+01:00']
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
        wall = _firing_within(cron, change)
        if wall is not None:
            what, then = ("does not exist", skipped) if change.is_gap else ("comes twice", repeated)
            sentence = f"{wall:%Y-%m-%d %H:%M} {what} in {time_zone}: {then}"
            cautions.setdefault(change.is_gap, sentence)
    return list(cautions.values())


def _firing_within(cron: Cron, change: ClockChange) -> datetime | None:
    first = next(_wall_times(cron, change.start - timedelta(seconds=1)))
    return first if first < change.end else None


def _wall_times(cron: Cron, after: datetime) -> Iterator[datetime]:
    """Yields the times that the cron line names, without a zone."""
    from croniter import croniter

    iterator = croniter(cron.text, after)
    while True:
        yield iterator.get_next(datetime)
