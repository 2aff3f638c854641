"""Which runs stay with all that they left, and why: rules in, reasons out."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.housekeeping.known_runs import Kind, KnownRun, latest


@dataclass(frozen=True)
class Rules:
    """How much stays."""

    keep: int | None = None
    """Runs of each pipeline that trained or evaluated, the latest; None: all, unless `older_than` says otherwise."""

    older_than: timedelta | None = None
    """Younger runs stay besides."""

    max_bytes: int | None = None
    """What the root may take of the disk at most; beyond that only what is in use or next in the cache stays."""

    removes_records: bool = False
    """Whether the records and reports of removed runs go, too."""

    @property
    def count(self) -> int | None:
        """How many runs stay for being the latest; None: all."""
        return 1 if self.keep is None and self.older_than is not None else self.keep


@dataclass(frozen=True)
class Stay:
    """Why a run stays."""

    reason: str
    is_lasting: bool = False
    """Whether it stays however large the root is."""


def staying(runs: Collection[KnownRun], in_use: Mapping[str, str], rules: Rules, now: datetime) -> dict[str, Stay]:
    """Returns the ids of the runs that stay with all that they left.

    Args:
      runs: All of the root.
      in_use: Ids of runs whose models are in use, and what for.
      rules: How much stays.
      now: Time zone aware.
    """
    found: dict[str, Stay] = {}
    for of_pipeline in by_pipeline(runs).values():
        trained = latest(of_pipeline, Kind.TRAINED)
        found |= {run.run_id: _young(rules) for run in of_pipeline if _is_young(run, rules, now)}
        found |= dict(_unknown(of_pipeline, trained, rules.count))
        found |= dict(_since(of_pipeline, trained, rules.count))
        found |= {run.run_id: Stay(_among(rules.count)) for run in trained[: rules.count]}
        found |= {run.run_id: Stay("the latest complete run", is_lasting=True) for run in trained[:1]}
    return found | {run: Stay(f"in use: {what}", is_lasting=True) for run, what in in_use.items()}


def by_pipeline(runs: Collection[KnownRun]) -> dict[str, list[KnownRun]]:
    """Returns the runs of each pipeline."""
    found: dict[str, list[KnownRun]] = defaultdict(list)
    for run in runs:
        found[run.pipeline].append(run)
    return found


def after(run: KnownRun, trained: list[KnownRun]) -> bool:
    """Returns whether a run came after the latest one that trained, so that the next goes on from it."""
    return not trained or run.order > trained[0].order


def _since(runs: Collection[KnownRun], trained: list[KnownRun], count: int | None) -> Iterator[tuple[str, Stay]]:
    """Yields the runs that trained nothing to the end, and that the next run may go on from."""
    for kind in (Kind.IDLE, Kind.UNFINISHED):
        for run in latest(runs, kind)[:count]:
            if count is None:
                yield run.run_id, Stay(_among(None))
            elif after(run, trained):
                yield run.run_id, Stay("the next run may go on from it")


def _unknown(runs: Collection[KnownRun], trained: list[KnownRun], count: int | None) -> Iterator[tuple[str, Stay]]:
    """Yields runs without a record that can be read, unless they are older than all that are kept for their number."""
    oldest = trained[count - 1].run_id if count is not None and len(trained) >= count else ""
    for run in runs:
        if run.kind is Kind.UNKNOWN and run.run_id > oldest:
            yield run.run_id, Stay("nobody knows what it came to: it has no record that can be read")


def _among(count: int | None) -> str:
    if count is None:
        return "there is room for it"
    return f"one of the {count} latest" if count > 1 else "the latest"


def _is_young(run: KnownRun, rules: Rules, now: datetime) -> bool:
    if rules.older_than is None or run.started is None or run.is_cleaned:
        return False
    return now - run.started < rules.older_than


def _young(rules: Rules) -> Stay:
    return Stay(f"younger than {rules.older_than.days if rules.older_than else 0} days")
