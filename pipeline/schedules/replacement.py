"""Changes a recurring run by putting a new one in its place, and finishes or undoes a change that was interrupted.

The new one is created paused, then the former one is paused, the new one enabled, the former one deleted: at no moment
do both fire. A firing time that passes in between is made up for by the server when it enables the new one; near a
firing time the change waits, so that none is made up for that the former one has followed.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.config.cron import Cron
from pipeline.kubeflow.recurring_runs import RecurringRun, RecurringRunRequest, RecurringRuns
from pipeline.kubeflow.transport import KubeflowApiError
from pipeline.schedules.times import next_firings
from trainer_module.errors import PetsegError

QUIET_SECONDS: Final = 30
"""How far from a firing time a change stays: the server looks for due schedules every ten seconds or so."""


@dataclasses.dataclass(frozen=True)
class Existing:
    """The recurring run that stands for a schedule, and what an interrupted change has left beside it."""

    current: RecurringRun | None
    leftover: RecurringRun | None = None
    enable: bool = False
    """Whether the interrupted change had paused the current one."""

    @property
    def enabled(self) -> bool:
        """Whether the schedule fires, or is to."""
        return self.current is not None and (self.current.enabled or self.enable)

    @property
    def note(self) -> str | None:
        """Says what the interruption left. None: nothing."""
        if self.leftover is None:
            return None
        return f"an interrupted change left the recurring run {self.leftover.id}, which is removed"


def existing_run(runs: Sequence[RecurringRun], name: str) -> Existing:
    """Returns what stands for the schedule of that name.

    Raises:
      PetsegError: Several do, and not because of an interrupted change.
    """
    named = [run for run in runs if run.name == name]
    if len(named) < 2:
        return Existing(named[0] if named else None)
    pairs = [(new, old) for new in named for old in named if new.replaces == old.id]
    if len(named) == 2 and pairs:
        new, old = pairs[0]
        if new.enabled:
            return Existing(new, leftover=old)
        return Existing(old, leftover=new, enable=new.replaces_enabled and not old.enabled)
    raise PetsegError(
        f"the server has {len(named)} schedules named {name!r}: {', '.join(run.id for run in named)}; delete those "
        "that should not be (petseg schedule delete ID), or choose another schedule.name"
    )


def finish_or_undo(api: RecurringRuns, existing: Existing) -> RecurringRun | None:
    """Finishes or undoes an interrupted change, and returns what then stands for the schedule."""
    current = existing.current
    if existing.enable and current is not None:
        api.enable(current.id)
        current = dataclasses.replace(current, enabled=True)
    if existing.leftover is not None:
        api.delete(existing.leftover.id)
    return current


def create(api: RecurringRuns, request: RecurringRunRequest) -> None:
    """Makes the recurring run of a schedule that there is not yet.

    Raises:
      PetsegError: Somebody made one of its name at the same moment, which the server takes; ours is gone again.
    """
    new = api.create(request, enabled=True, replaces=None)
    _check_alone(api, new)


def replace(api: RecurringRuns, old: RecurringRun, request: RecurringRunRequest) -> None:
    """Puts a new recurring run in the place of an old one, paused if that is.

    Raises:
      PetsegError: A step failed; the old one works as before, or the next `apply` makes it so.
    """
    new = api.create(request, enabled=False, replaces=old)
    _check_alone(api, new, old)
    try:
        if old.enabled:
            api.disable(old.id)
            api.enable(new.id)
    except KubeflowApiError as error:
        _go_back(api, old, new, error)
    try:
        api.delete(old.id)
    except KubeflowApiError as error:
        raise PetsegError(
            f"{error}. The schedule is as declared, but its former recurring run {old.id} is still there, paused; "
            "apply again to remove it"
        ) from None


def _check_alone(api: RecurringRuns, *ours: RecurringRun) -> None:
    """Removes the first of our recurring runs if there are others of its name: whoever made them has not seen it."""
    new = ours[0]
    others = [run.id for run in api.all() if run.name == new.name and run.id not in {own.id for own in ours}]
    if not others:
        return
    found = f"somebody made a schedule {new.name!r} at the same moment: {', '.join(others)}"
    try:
        api.delete(new.id)
    except KubeflowApiError as error:
        raise PetsegError(
            f"{found}. Ours is there, too ({error}); delete it: petseg schedule delete {new.id}"
        ) from None
    raise PetsegError(f"{found}. Ours was removed again; apply once more to see what differs")


def _go_back(api: RecurringRuns, old: RecurringRun, new: RecurringRun, error: KubeflowApiError) -> None:
    try:
        if old.enabled:
            api.enable(old.id)
        api.delete(new.id)
    except KubeflowApiError as second:
        raise PetsegError(
            f"{error}. Going back failed as well ({second}): the schedule may be paused until you apply again"
        ) from None
    raise PetsegError(f"{error}. The schedule is as it was") from None


def wait_for_quiet(
    crons: Sequence[tuple[Cron, str]],
    tell: Callable[[str], None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Waits while a firing time is near, for as long as it takes to get past one.

    Args:
      crons: Cron lines with their time zones.
      tell: Is told before a wait.
      now: Returns the time.
      sleep: Waits for a number of seconds.
    """
    margin = timedelta(seconds=QUIET_SECONDS)
    moment = now()
    near = [
        firing
        for cron, time_zone in crons
        for firing in next_firings(cron, time_zone, moment - margin, 1, repeats=True)
        if firing <= moment + margin
    ]
    if near:
        seconds = (max(near) + margin - moment).total_seconds()
        tell(f"the schedule fires at {max(near):%H:%M}: waiting {seconds:.0f} s, so that no firing is lost or doubled")
        sleep(seconds)
