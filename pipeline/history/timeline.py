"""The history of one pipeline: what happened, in the order of time, and what was served and frozen meanwhile."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from pipeline.history.entries import REFUSED, Entry, FreezeEntry, RollbackEntry, RunEntry, RunOutcome


class ServedModel(BaseModel):
    """A version while it was the one that servers take."""

    model_config = ConfigDict(frozen=True)

    version: int
    copy_of: int | None = None
    """The version that a rollback brought back as this one."""

    since: datetime
    until: datetime | None = None
    """None of the last one."""

    pushed_first: datetime | None = None
    """When its model was pushed first; None where that is not known."""

    run: str = ""
    """The run that trained it."""

    metrics: Mapping[str, float | None] = {}
    """As they were when it was pushed."""


class Freeze(BaseModel):
    """A time in which nothing was pushed."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    until: datetime | None = None
    """None where it goes on."""

    reason: str
    by: str = ""


class Counts(BaseModel):
    """How often what happened."""

    model_config = ConfigDict(frozen=True)

    runs: int
    outcomes: Mapping[RunOutcome, int]
    """Of those that there are."""

    rollbacks: int

    @property
    def refused(self) -> int:
        return sum(self.outcomes.get(outcome, 0) for outcome in REFUSED)


class ReasonCounts(BaseModel):
    """What became of the runs that trained for one kind of reason; a run with two counts for both."""

    model_config = ConfigDict(frozen=True)

    reason: str
    runs: int
    pushed: int
    refused: int


class History(BaseModel):
    """What happened to one pipeline."""

    model_config = ConfigDict(frozen=True)

    pipeline: str
    destinations: tuple[str, ...]
    """The push destinations, the latest last."""

    entries: tuple[Annotated[Entry, Field(discriminator="kind")], ...]
    """In the order of time."""

    served: tuple[ServedModel, ...]
    """In the order of time."""

    freezes: tuple[Freeze, ...]

    @classmethod
    def of(cls, pipeline: str, destinations: Sequence[str], entries: Sequence[Entry]) -> "History":
        """Returns the history that entries in any order tell."""
        ordered = sorted(entries, key=lambda entry: entry.at)
        return cls(
            pipeline=pipeline,
            destinations=tuple(destinations),
            entries=tuple(ordered),
            served=tuple(_served(ordered)),
            freezes=tuple(_freezes(ordered)),
        )

    @property
    def runs(self) -> list[RunEntry]:
        return [entry for entry in self.entries if isinstance(entry, RunEntry)]

    @property
    def rollbacks(self) -> list[RollbackEntry]:
        return [entry for entry in self.entries if isinstance(entry, RollbackEntry)]

    @property
    def served_now(self) -> ServedModel | None:
        return self.served[-1] if self.served else None

    @property
    def freeze(self) -> Freeze | None:
        """What keeps models from being pushed now."""
        return self.freezes[-1] if self.freezes and self.freezes[-1].until is None else None

    @property
    def counts(self) -> Counts:
        outcomes = Counter(run.outcome for run in self.runs)
        return Counts(
            runs=len(self.runs),
            outcomes={outcome: outcomes[outcome] for outcome in RunOutcome if outcome in outcomes},
            rollbacks=len(self.rollbacks),
        )

    @property
    def reason_counts(self) -> list[ReasonCounts]:
        """For each kind of reason that runs trained for, the most frequent first."""
        by_kind: dict[str, list[RunEntry]] = {}
        for run in self.runs:
            for kind in run.reasons:
                by_kind.setdefault(kind, []).append(run)
        return [
            ReasonCounts(
                reason=kind,
                runs=len(runs),
                pushed=sum(run.version is not None for run in runs),
                refused=sum(run.outcome in REFUSED for run in runs),
            )
            for kind, runs in sorted(by_kind.items(), key=lambda item: -len(item[1]))
        ]

    def since(self, time: datetime) -> "History":
        """Returns what happened from a time on; what is served and frozen stays as the whole history tells it."""
        return self._cut([entry for entry in self.entries if entry.at >= time])

    def last(self, number: int, *, unfolded: bool = False) -> "History":
        """Returns the last lines of the history: entries, of which idle firings one after another are one line."""
        groups = folded(self.entries, unfolded=unfolded)[-number:]
        return self._cut([entry for group in groups for entry in group])

    def _cut(self, entries: Sequence[Entry]) -> "History":
        if not entries:
            return self.model_copy(update={"entries": ()})
        start = entries[0].at
        return self.model_copy(
            update={
                "entries": tuple(entries),
                "served": tuple(one for one in self.served if one.until is None or one.until > start),
                "freezes": tuple(one for one in self.freezes if one.until is None or one.until > start),
            }
        )


def folded(entries: Sequence[Entry], *, unfolded: bool = False) -> list[list[Entry]]:
    """Returns the entries in groups: idle firings one after another together, each other by itself.

    Args:
      entries: In the order of time.
      unfolded: Whether each stands by itself.
    """
    groups: list[list[Entry]] = []
    for entry in entries:
        if not unfolded and groups and is_idle(entry) and is_idle(groups[-1][-1]):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return groups


def is_idle(entry: Entry) -> bool:
    """Returns whether it is a firing that had nothing to do."""
    return isinstance(entry, RunEntry) and entry.outcome is RunOutcome.NOTHING_TO_DO


def _served(entries: Sequence[Entry]) -> Iterator[ServedModel]:
    """Yields what was served, each until the next."""
    models = sorted(_models(entries), key=lambda model: model.since)
    for model, following in pairwise([*models, None]):
        if model is not None:
            yield model.model_copy(update={"until": following.since if following else None})


def _models(entries: Sequence[Entry]) -> Iterator[ServedModel]:
    pushed: dict[int, ServedModel] = {}
    for entry in entries:
        if isinstance(entry, RunEntry) and entry.version is not None:
            since = entry.pushed_at or entry.at
            pushed[entry.version] = ServedModel(
                version=entry.version, since=since, pushed_first=since, run=entry.run, metrics=entry.metrics
            )
            yield pushed[entry.version]
    for entry in entries:
        if isinstance(entry, RollbackEntry):
            number = entry.copy_version or entry.restored
            changes = {"version": number, "copy_of": entry.restored, "since": entry.at}
            unknown = ServedModel(version=number, since=entry.at)
            pushed[number] = pushed.get(entry.restored, unknown).model_copy(update=changes)
            yield pushed[number]


def _freezes(entries: Sequence[Entry]) -> Iterator[Freeze]:
    """Yields the freezes, each until models were pushed again, or until it was said anew."""
    begun: FreezeEntry | None = None
    for entry in entries:
        if isinstance(entry, FreezeEntry):
            if begun is not None:
                yield Freeze(since=begun.at, until=entry.at, reason=begun.reason, by=begun.by)
            begun = entry if entry.kind == "freeze" else None
    if begun is not None:
        yield Freeze(since=begun.at, reason=begun.reason, by=begun.by)
