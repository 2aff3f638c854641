"""What a history is made of: runs, and what people did to what is served, each with where it is known from."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from components.model_pusher.ledger import TrialOutcome
from components.retraining_decider.decision import Decision


class Source(StrEnum):
    """Where something is known from, the best first."""

    RECORD = "run record"
    METADATA = "ML Metadata"
    """The run's record is gone."""

    LEDGER = "ledger"
    """Of the push destination; alone of a run that another machine or a cluster made."""

    VERSION = "pushed version"
    """What a version says of its push."""


class RunOutcome(StrEnum):
    """What became of a run and its model; most are what the ledger says of a trial."""

    PUSHED = TrialOutcome.PUSHED.value
    ALREADY_SERVED = TrialOutcome.ALREADY_SERVED.value
    NOT_BLESSED = TrialOutcome.NOT_BLESSED.value
    NOT_SERVABLE = TrialOutcome.NOT_SERVABLE.value
    WITHDRAWN = TrialOutcome.WITHDRAWN.value
    FROZEN = TrialOutcome.FROZEN.value
    NOT_PUSHED = "not pushed"
    """It was not to be, or why is not known."""

    NOTHING_TO_DO = "nothing to do"
    """There was no reason to train."""

    FAILED = "failed"
    INTERRUPTED = "interrupted"
    RUNNING = "running"


REFUSED: Final = (RunOutcome.NOT_BLESSED, RunOutcome.NOT_SERVABLE, RunOutcome.WITHDRAWN, RunOutcome.FROZEN)
"""A model was trained that was kept from being served."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True)

    at: datetime
    """When it was settled, time zone aware: of a run its end."""

    destination: str = ""
    """The push destination."""

    sources: tuple[Source, ...]


class RunEntry(_Entry):
    """A run, as far as it is known."""

    kind: Literal["run"] = "run"
    run: str = ""
    """Its id; empty where its runner does not tell."""

    pipeline: str = ""
    """Empty where only the ledger knows the run."""

    started: datetime | None = None
    seconds: float | None = None
    decision: Decision | None = None
    """Whether there was a reason to train; None where that was not asked, or is not known."""

    outcome: RunOutcome
    reason: str = ""
    """Why, where it was not pushed."""

    forced_because: str = ""
    """Why the gate was overruled."""

    dataset: str = ""
    dataset_version: str = ""
    examples: Mapping[str, int] = {}
    """By split."""

    metrics: Mapping[str, float | None] = {}
    """Of the trained model on the evaluated split; `<metric>_difference` is what it is above the model that was served
    then, on the same images, with `_low` and `_high` the bounds of the 95 % interval."""

    served_version: str = ""
    """Name of that version."""

    version: int | None = None
    """What the model was pushed as; None where it was not."""

    pushed_at: datetime | None = None
    drift: Mapping[str, float] = {}
    """Quantity to the distance of the data to what the served model was trained on."""

    drifted: tuple[str, ...] = ()
    """The quantities beyond their bounds, the farthest first."""

    report: str | None = None

    @property
    def name(self) -> str:
        """Its id; of a run that does not tell one, its time in the same form."""
        return self.run or stamp(self.at)

    @property
    def data(self) -> str:
        """The data in words: `tiles 1.1.0`."""
        return f"{self.dataset} {self.dataset_version}".strip()

    @property
    def reasons(self) -> tuple[str, ...]:
        """The kinds of the reasons that it trained for."""
        return tuple(dict.fromkeys(str(reason.kind) for reason in self.decision.reasons)) if self.decision else ()

    @property
    def largest_drift(self) -> tuple[str, float] | None:
        """The quantity that is farthest from what the served model was trained on; of those that drifted, if any."""
        if not self.drift:
            return None
        return max(((name, self.drift[name]) for name in self.drifted or self.drift), key=lambda found: found[1])

    def change(self, metric: str) -> float | None:
        """Returns what the model is above the one that was served then; None where that was not measured."""
        return self.metrics.get(f"{metric}_difference")

    def of_served(self, metric: str) -> float | None:
        """Returns a metric of the model that was served then, on the same images; None where it was not measured."""
        own, change = self.metrics.get(metric), self.change(metric)
        return None if own is None or change is None else own - change

    def is_within_noise(self, metric: str) -> bool | None:
        """Returns whether the 95 % interval of the change contains 0; None where there is no interval."""
        low, high = (self.metrics.get(f"{metric}_difference_{end}") for end in ("low", "high"))
        return None if low is None or high is None else low <= 0 <= high


class RollbackEntry(_Entry):
    """A version that was taken out of service, for an earlier one."""

    kind: Literal["rollback"] = "rollback"
    version: int | None
    """The one that was withdrawn; None where that is not known."""

    restored: int
    """The one whose model is served instead."""

    copy_version: int | None = None
    """The number that it has since; None where that version is gone."""


class FreezeEntry(_Entry):
    """From here on nothing is pushed, or models are pushed again."""

    kind: Literal["freeze", "unfreeze"]
    reason: str = ""
    by: str = ""


Entry = RunEntry | RollbackEntry | FreezeEntry


def stamp(time: datetime) -> str:
    """Writes a time as ids of runs begin; it is taken as it is, in UTC.

    >>> stamp(datetime(2026, 11, 29, 3, 4, 5))
    '20261129-030405'
    """
    return time.strftime("%Y%m%d-%H%M%S")
