"""Whether a schedule of this machine fires faster than its runs take, by how long the last ones took."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.config.cron import Cron
from pipeline.nodes import TRAINER
from pipeline.runs.record import NodeState, RunRecord, RunState
from pipeline.runs.store import RunStore
from pipeline.runs.tables import duration
from pipeline.schedules.firings import FiringRecord
from pipeline.schedules.local_entry import LocalEntry
from pipeline.schedules.times import next_firings
from trainer_module.errors import PetsegError

_MEASURED: Final = 5
"""How many of the last runs are looked at."""

_SEARCHED: Final = 20
"""How many records of runs are read to find as many that trained."""

_FIRINGS: Final = 64
"""How many of the next firings are looked at for the two that are closest."""

_MARGIN: Final = 1.1
"""How much longer than the longest run the time between two firings should be."""

_DONE: Final = (0, 3)
_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600
_STEPS: Final = (
    *(minutes * _MINUTE for minutes in (2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 4, 6, 8, 12)),
)
"""What divides an hour or a day, so that one cron line can say it."""


def pace_caution(cron: Cron, time_zone: str, store: RunStore, name: str) -> str | None:
    """Returns that firings will be skipped since runs take longer than the time between two; None where they fit in.

    Args:
      cron: The schedule.
      time_zone: What it is read in.
      store: The pipeline root.
      name: Of the schedule. Its own firings tell how long they take; where none has, the runs of the root do.
    """
    took = measured_seconds(store, name)
    gap, is_regular = shortest_gap(cron, time_zone, datetime.now(UTC))
    if not took or max(took) <= gap:
        return None
    shortest, longest = (_plain(seconds) for seconds in (min(took), max(took)))
    taken = longest if shortest == longest else f"{shortest} to {longest}"
    runs = "the last run" if len(took) == 1 else f"the last {len(took)} runs"
    firings = f"firings come {'every' if is_regular else 'as close as'} {_plain(gap)}"
    enough = next((step for step in _STEPS if step > _MARGIN * max(took)), None)
    advice = "day" if max(took) < _DAY else f"{int(max(took) // _DAY) + 1} days"
    return (
        f"{firings}, and {runs} took {taken}: a firing that finds a run going on is skipped; fire every "
        f"{_plain(enough) if enough else advice} or less often"
    )


def firing_cautions(entry: LocalEntry) -> list[str]:
    """Returns what the firings of a schedule so far show to be wrong with it, one sentence each."""
    store = RunStore(entry.root)
    record = FiringRecord.load(store.root, entry.name)
    cautions = []
    if record and record.skipped and (record.last is None or record.skipped > record.last.started):
        skipped = min(record.skipped, datetime.now(UTC)).astimezone(ZoneInfo(entry.time_zone))
        cautions.append(f"the firing of {skipped:%a %Y-%m-%d %H:%M} was skipped, since a run went on")
    too_fast = pace_caution(Cron.parse(entry.cron), entry.time_zone, store, entry.name)
    return [*cautions, *([too_fast] if too_fast else [])]


def measured_seconds(store: RunStore, name: str) -> list[float]:
    """Returns how long the last runs took; those that trained a model, where there are any."""
    record = FiringRecord.load(store.root, name)
    firings = record.recent if record else []
    done = [(past.seconds, past.trained) for past in reversed(firings) if past.exit_code in _DONE]
    done = done or [(run.seconds, has_trained(run)) for run in _complete_runs(store)]
    trained = [seconds for seconds, is_trained in done if is_trained]
    return (trained or [seconds for seconds, _ in done])[:_MEASURED]


def shortest_gap(cron: Cron, time_zone: str, now: datetime) -> tuple[float, bool]:
    """Returns the seconds between the two firings that are closest, and whether all are as far from each other.

    Changes of the clocks are passed over.
    """
    firings = [firing.replace(tzinfo=None) for firing in next_firings(cron, time_zone, now, _FIRINGS)]
    gaps = {(later - earlier) / timedelta(seconds=1) for earlier, later in pairwise(firings)}
    return min(gaps), len(gaps) == 1


def has_trained(run: RunRecord) -> bool:
    """Returns whether a run trained a model, and took none from the cache."""
    return any(node.id == TRAINER and node.state is NodeState.COMPLETE for node in run.nodes)


def _complete_runs(store: RunStore) -> Sequence[RunRecord]:
    """Returns the latest runs of a root that are complete, the latest first; those that can be read."""
    runs = []
    for run_id in store.run_ids()[:_SEARCHED]:
        try:
            run = store.record(run_id)
        except PetsegError:
            continue
        if run.state is RunState.COMPLETE:
            runs.append(run)
    return runs


def _plain(seconds: float) -> str:
    """Writes seconds for people: `30 m`, `1 h`, `1 h 12 m`."""
    return duration(seconds).removesuffix(" 00 s").removesuffix(" 00 m")
