"""What a push destination tells of itself: its ledger, and the versions that are still there.

Both know what runs elsewhere did, as those on a cluster. A version keeps the metrics of its model; one that a rollback
made says so, also where the ledger is of later days.
"""

from dataclasses import dataclass, field
from pathlib import Path

from components.model_pusher.files import is_remote
from components.model_pusher.ledger import Event, Freeze, Ledger, Rollback, Trial, TrialOutcome
from components.model_pusher.push import PushRecord
from components.model_pusher.version_store import numbered_versions, version_directory
from pipeline.history.entries import FreezeEntry, RollbackEntry, RunEntry, RunOutcome, Source


def place(directory: str) -> str:
    """Returns the one name of a push destination, whatever way leads there."""
    return directory.rstrip("/") if is_remote(directory) else str(Path(directory).expanduser().resolve())


@dataclass(frozen=True)
class Destination:
    """What is known of a push destination by itself."""

    directory: str
    runs: list[RunEntry] = field(default_factory=list)
    rollbacks: list[RollbackEntry] = field(default_factory=list)
    freezes: list[FreezeEntry] = field(default_factory=list)

    @classmethod
    def of(cls, directory: str) -> "Destination":
        """Reads the ledger, and what the versions say of their push.

        Raises:
          ModelError: The ledger cannot be read.
          OSError: The destination cannot be looked at.
        """
        found = cls(directory)
        for event in Ledger.of(directory).events:
            found._add(event)
        for version in numbered_versions(directory):
            record = PushRecord.of(version_directory(directory, version))
            if record is not None:
                found._add_version(version, record)
        return found

    def _add(self, event: Event) -> None:
        sources = (Source.LEDGER,)
        if isinstance(event, Trial):
            self.runs.append(_trial_entry(event, self.directory))
        elif isinstance(event, Rollback):
            self.rollbacks.append(
                RollbackEntry(
                    at=event.at,
                    destination=self.directory,
                    sources=sources,
                    version=event.version,
                    restored=event.restored,
                )
            )
        else:
            reason = event.reason if isinstance(event, Freeze) else ""
            entry = FreezeEntry(
                kind=event.event,
                at=event.at,
                destination=self.directory,
                sources=sources,
                reason=reason,
                by=event.by,
            )
            self.freezes.append(entry)

    def _add_version(self, version: int, record: PushRecord) -> None:
        if record.copy_of is None:
            self.runs.append(_version_entry(version, record, self.directory))
            return
        entry = RollbackEntry(
            at=record.pushed_at,
            destination=self.directory,
            sources=(Source.VERSION,),
            version=record.withdrawn.version if record.withdrawn else None,
            restored=record.copy_of,
            copy_version=version,
        )
        for index, known in enumerate(self.rollbacks):
            if (known.at, known.version, known.restored) == (entry.at, entry.version, entry.restored):
                changes = {"copy_version": version, "sources": (*known.sources, *entry.sources)}
                self.rollbacks[index] = known.model_copy(update=changes)
                return
        self.rollbacks.append(entry)


def _trial_entry(trial: Trial, directory: str) -> RunEntry:
    is_pushed = trial.outcome is TrialOutcome.PUSHED
    return RunEntry(
        at=trial.at,
        destination=directory,
        sources=(Source.LEDGER,),
        run=trial.run,
        outcome=RunOutcome(trial.outcome.value),
        reason=trial.reason,
        dataset=trial.origin.dataset,
        dataset_version=trial.origin.version,
        examples=trial.origin.splits,
        metrics=trial.metrics,
        version=trial.version if is_pushed else None,
        pushed_at=trial.at if is_pushed else None,
    )


def _version_entry(version: int, record: PushRecord, directory: str) -> RunEntry:
    return RunEntry(
        at=record.pushed_at,
        destination=directory,
        sources=(Source.VERSION,),
        run=record.run,
        outcome=RunOutcome.PUSHED,
        forced_because=record.forced_because,
        dataset=record.dataset,
        dataset_version=record.dataset_version,
        metrics=record.metrics,
        version=version,
        pushed_at=record.pushed_at,
    )
