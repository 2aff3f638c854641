"""The ledger of a push destination: what was tried, rolled back, frozen and allowed again, in the order of time.

It lies beside the versions, so that whoever pushes there, from whatever machine or cluster, goes by the same; servers
pass it over, since its name is no number. One line of JSON an event; nothing that was written is changed, and what is
so now follows from the events. Nothing here imports TensorFlow.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from components.model_pusher.files import opened
from components.model_pusher.origin import Origin
from components.model_pusher.version_store import replace_file
from trainer_module.errors import ModelError

LEDGER_FILE: Final = "petseg_ledger.jsonl"
KEPT_EVENTS: Final = 5_000
"""How many events stay, the latest; of the earlier ones, those that decide on something now."""


class TrialOutcome(StrEnum):
    """What became of a model that was trained."""

    PUSHED = "pushed"
    ALREADY_SERVED = "already served"
    NOT_BLESSED = "not blessed"
    NOT_SERVABLE = "refused by the probe"
    WITHDRAWN = "withdrawn"
    """It is one, or is trained as one, that was rolled back."""

    FROZEN = "frozen"
    """It would have been pushed, were pushes not frozen."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    at: datetime
    """Time zone aware."""


class Trial(_Event):
    """A model that was trained, judged, and pushed or not."""

    event: Literal["trial"] = "trial"
    run: str = ""
    """Id of the run; empty where the runner does not tell."""

    origin: Origin
    outcome: TrialOutcome
    reason: str = ""
    """Why it was not pushed."""

    version: int | None = None
    """What it was pushed as, or is served as already."""

    metrics: Mapping[str, float | None] = {}
    """Of the evaluated split; None where a metric is infinite, which JSON cannot say."""


class Rollback(_Event):
    """A version that was taken out of service, for an earlier one."""

    event: Literal["rollback"] = "rollback"
    version: int
    """The one that was withdrawn."""

    content: str
    """Digest of its model, by which it is known when it comes again."""

    origin: Origin = Origin()
    restored: int
    """The version whose model is served instead."""

    restored_content: str = ""
    """Digest of the restored model, which is withdrawn no longer."""


class Freeze(_Event):
    """From here on nothing is pushed."""

    event: Literal["freeze"] = "freeze"
    reason: str
    by: str = ""
    """Who said so, as `name@machine`."""

    @property
    def summary(self) -> str:
        """In words: `pushes are frozen since 2026-11-29 10:00 UTC by ann@office: a fair goes on`."""
        by = f" by {self.by}" if self.by else ""
        return f"pushes are frozen since {self.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC{by}: {self.reason}"


class Unfreeze(_Event):
    """From here on models are pushed again."""

    event: Literal["unfreeze"] = "unfreeze"
    by: str = ""


Event = Trial | Rollback | Freeze | Unfreeze

_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


class Ledger(BaseModel):
    """The events of a push destination, the earliest first."""

    model_config = ConfigDict(frozen=True)

    events: tuple[Event, ...] = ()

    @classmethod
    def of(cls, base_directory: str) -> "Ledger":
        """Reads the ledger of a push destination; an absent one is empty.

        A line that was cut off, or that a later petseg wrote, is passed over.

        Raises:
          ModelError: It is there and cannot be read.
        """
        try:
            with opened(_path(base_directory)) as file:
                lines = file.read().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except OSError as error:
            raise ModelError(f"the ledger {_path(base_directory)!r} cannot be read: {error}") from error
        return cls(events=tuple(_events(lines)))

    @property
    def freeze(self) -> Freeze | None:
        """What keeps pushes from being made now; None where nothing does."""
        last = next((event for event in reversed(self.events) if isinstance(event, Freeze | Unfreeze)), None)
        return last if isinstance(last, Freeze) else None

    @property
    def trials(self) -> list[Trial]:
        return [event for event in self.events if isinstance(event, Trial)]

    @property
    def withdrawals(self) -> list[Rollback]:
        """The rollbacks that hold: a model that was brought back since, or pushed by force, is withdrawn no longer."""
        held: dict[str, Rollback] = {}
        for event in self.events:
            if isinstance(event, Rollback):
                held.pop(event.restored_content, None)
                held[event.content] = event
            elif isinstance(event, Trial) and event.outcome is TrialOutcome.PUSHED and event.origin.is_known:
                held = {key: one for key, one in held.items() if not one.origin.trains_as(event.origin)}
        return list(held.values())

    def withdrawal_of(self, content: str, origin: Origin) -> Rollback | None:
        """Returns the rollback that speaks against a model: of the very model, or of one that was trained as it was."""
        return next(
            (
                rollback
                for rollback in reversed(self.withdrawals)
                if rollback.content == content or (origin.is_known and origin.trains_as(rollback.origin))
            ),
            None,
        )

    def settled_trial(self, origin: Origin) -> Trial | None:
        """Returns the last trial that tells what would become of an origin; None where that is open.

        One that only a freeze kept from being pushed tells nothing, once models are pushed again.
        """
        for trial in reversed(self.trials):
            if trial.origin.is_known and trial.origin.trains_as(origin) and trial.origin.is_judged_as(origin):
                is_open = trial.outcome is TrialOutcome.FROZEN and self.freeze is None
                return None if is_open else trial
        return None


def append(base_directory: str, event: Event) -> None:
    """Adds an event; the caller holds the push destination (`VersionStore.exclusive`).

    Raises:
      OSError: It cannot be written; what was there stays.
    """
    kept = [*Ledger.of(base_directory).events, event]
    text = "".join(f"{event.model_dump_json()}\n" for event in _kept(kept))
    replace_file(_path(base_directory), text.encode())


def _kept(events: Sequence[Event]) -> list[Event]:
    """Returns the latest events, and of earlier ones those that hold: rollbacks, and the freeze."""
    if len(events) <= KEPT_EVENTS:
        return list(events)
    ledger = Ledger(events=tuple(events))
    holding = [*ledger.withdrawals, *([ledger.freeze] if ledger.freeze else [])]
    return [event for event in events[:-KEPT_EVENTS] if event in holding] + list(events[-KEPT_EVENTS:])


def _events(lines: Sequence[bytes]) -> Iterator[Event]:
    for line in lines:
        with suppress(ValidationError):
            yield _EVENT.validate_json(line)


def _path(base_directory: str) -> str:
    return f"{base_directory.rstrip('/')}/{LEDGER_FILE}"
