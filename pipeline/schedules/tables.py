"""Tables and lines that show schedules and plans to people."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.text import Text

from pipeline.config.cron import Cron
from pipeline.schedules.schedule import Action, FiringOutcome, LastFiring, Plan, Schedule, SchedulePlace
from pipeline.schedules.times import clock_change_cautions, in_words, next_firings
from pipeline.terminal.tables import PlainTable

NEXT_FIRINGS: Final = 5
"""How many of the next firings are told."""

_CRON_WIDTH: Final = 24
"""Most of a cron line that is shown beside a last firing."""

_LAST_FIRING: Final = "last firing"
_FIRING_STYLES: Final = {
    FiringOutcome.DONE: "green",
    FiringOutcome.NOT_NEEDED: "green",
    FiringOutcome.FAILED: "red",
    FiringOutcome.INTERRUPTED: "yellow",
    FiringOutcome.MISSING: "red",
}
_HEADLINES: Final = {
    Action.CREATE: "create the schedule {name} on {place}",
    Action.UPDATE: "change the schedule {name} on {place}",
    Action.NONE: "the schedule {name} on {place} is as declared",
}


def plan_lines(plan: Plan) -> Iterator[Text]:
    """Yields what a plan does, setting by setting."""
    yield Text(_HEADLINES[plan.action].format(name=plan.name, place=plan.place), "bold")
    width = max((len(change.setting) for change in plan.differences), default=0)
    for change in plan.differences:
        line = Text(f"  {change.setting:{width}}  ")
        if plan.action is Action.UPDATE:
            line.append("not set" if change.old is None else change.old, "red").append(" -> ")
        yield line.append("not set" if change.new is None else change.new, "green")
    for note in plan.notes:
        yield Text(f"  note: {note}", "yellow")


def firing_lines(cron: Cron, time_zone: str, place: SchedulePlace) -> Iterator[Text]:
    """Yields when a schedule fires, and what is surprising about it."""
    now = datetime.now(UTC)
    skipped, repeated = place.clock_changes
    yield Text(f"{in_words(cron)} ({time_zone}); the next times:")
    for firing in next_firings(cron, time_zone, now, NEXT_FIRINGS, repeats=place.repeats):
        in_utc = "" if time_zone == "UTC" else f"  = {firing.astimezone(UTC):%a %Y-%m-%d %H:%M} UTC"
        yield Text(f"  {firing:%a %Y-%m-%d %H:%M %z}{in_utc}")
    for caution in [*cron.cautions, *clock_change_cautions(cron, time_zone, now, skipped, repeated)]:
        yield Text(f"  warning: {caution}", "yellow")


def schedules_table(schedules: Sequence[Schedule]) -> PlainTable:
    """Returns one row a schedule; beside the last firing, as much of long cron lines and reasons as has room."""
    with_firings = any(schedule.last_firing for schedule in schedules)
    table = PlainTable(expand=with_firings)
    for column in ("schedule", "state", "cron", "time zone"):
        widest = _CRON_WIDTH if with_firings and column == "cron" else None
        table.add_column(column, no_wrap=True, overflow="ellipsis", max_width=widest)
    last_column, share = ("last firing", 1) if with_firings else ("id", None)
    table.add_column(last_column, no_wrap=True, overflow="ellipsis", ratio=share)
    for schedule in schedules:
        cron = schedule.cron or schedule.settings.get("cron", "")
        last = _firing(schedule.last_firing) if with_firings else schedule.id or ""
        table.add_row(schedule.name, _state(schedule), cron, schedule.time_zone, last)
    return table


def schedule_lines(schedule: Schedule) -> Iterator[Text]:
    """Yields everything that is known of a schedule but its firing times."""
    yield Text(f"schedule {schedule.name} on {schedule.place}: ", "bold").append(_state(schedule))
    settings = {**schedule.settings, **({"id": schedule.id} if schedule.id else {})}
    width = max(map(len, (*settings, _LAST_FIRING)))
    for name, value in settings.items():
        yield Text(f"  {name:{width}}  {value}")
    if schedule.last_firing is not None:
        yield Text(f"  {_LAST_FIRING:{width}}  ").append(_firing(schedule.last_firing))
    for caution in schedule.cautions:
        yield Text(f"  warning: {caution}", "yellow")


def _firing(firing: LastFiring | None) -> Text:
    """Returns when a firing was and what became of it, in one line."""
    if firing is None:
        return Text("")
    reason = f": {' '.join(firing.reason.split())}" if firing.reason else ""
    line = Text(f"{firing.time:%a %Y-%m-%d %H:%M} {firing.outcome}{reason}", _FIRING_STYLES.get(firing.outcome, ""))
    return line.append(f"; {firing.not_told}", "yellow") if firing.not_told else line


def _state(schedule: Schedule) -> Text:
    return Text("enabled", "green") if schedule.enabled else Text("paused", "yellow")
