"""What is to go and what stays, and why: an inventory and rules in, a plan out. Nothing is touched here.

What stays stays with its whole lineage: of a run that took results from the cache, the executions that made them, what
those had used, and so on. The same holds for the newest result of each component, which the next run may take.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

from components.run_report.report import MODEL_CARD_FILE, REPORT_FILE, SUSPECTS_PAGE_FILE
from components.suspect_finder.suspects import SUSPECTS_FILE
from pipeline.housekeeping.disk import artifact_directory
from pipeline.housekeeping.inventory import Checkpoint, Inventory
from pipeline.housekeeping.known_runs import Kind, KnownRun, latest
from pipeline.housekeeping.lineage import Execution
from pipeline.housekeeping.policy import Rules, Stay, after, by_pipeline, staying
from pipeline.report.image_scores import SCORES_FILE
from pipeline.runs.store import RunFiles
from pipeline.tracking.outbox import DIRECTORY as TRACKING


class Remains(StrEnum):
    """What stays of the directory of a run."""

    ALL = "all"
    REPORT = "record and report"
    RECORD = "record"
    NOTHING = "nothing"


_RECORD: Final = RunFiles(Path()).record.name
_CONFIG: Final = RunFiles(Path()).config.name
_FILES: Final[Mapping[Remains, frozenset[str]]] = {
    Remains.REPORT: frozenset(
        {_RECORD, _CONFIG, REPORT_FILE, MODEL_CARD_FILE, SCORES_FILE, SUSPECTS_FILE, SUSPECTS_PAGE_FILE}
    ),
    Remains.RECORD: frozenset({_RECORD}),
    Remains.NOTHING: frozenset(),
}


@dataclass(frozen=True)
class RunPlan:
    """What becomes of one run."""

    run: KnownRun
    stay: Stay | None
    """Why all that it left stays; None where it does not."""

    used_by: str
    """Why a part of it stays; empty where none does, or all."""

    remains: Remains
    frees: int
    """Bytes."""

    keeps: int
    is_cleaned_now: bool
    """Whether its record is to say so."""

    files: tuple[Path, ...]
    """What goes of its directory; the directory itself where nothing remains."""


@dataclass(frozen=True)
class Leftover:
    """What belongs to no run that could need it."""

    path: Path
    what: str
    size: int


@dataclass(frozen=True)
class Plan:
    """What is to go."""

    runs: list[RunPlan]
    executions: frozenset[int]
    artifacts: frozenset[int]
    directories: tuple[Path, ...]
    """Of the artifacts."""

    leftovers: list[Leftover]
    frees: int
    total: int
    """What the root takes now."""

    max_bytes: int | None
    rest: Mapping[str, int]
    """What the root takes then, by the directory that it is in."""

    @property
    def left(self) -> int:
        """What the root takes then, at most."""
        return self.total - self.frees

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.paths or self.executions or self.artifacts or any(run.is_cleaned_now for run in self.runs))

    @property
    def is_too_large(self) -> bool:
        """Whether what must not go is more than there may be."""
        return self.max_bytes is not None and self.left > self.max_bytes

    @property
    def paths(self) -> set[Path]:
        """All that goes from the disk."""
        files = {file for run in self.runs for file in run.files}
        return files | set(self.directories) | {leftover.path for leftover in self.leftovers}


@dataclass(frozen=True)
class _Sacrifice:
    """What goes besides, since the root would be too large."""

    runs: frozenset[str] = frozenset()
    """That would stay for their number or age."""

    reports: frozenset[str] = frozenset()
    """Runs of which the record alone remains."""


def make_plan(inventory: Inventory, rules: Rules, now: datetime) -> Plan:
    """Returns what is to go.

    Where the root would still be larger than `rules.max_bytes`, the reports of removed runs go, then runs that stay for
    their number or age alone, each time the oldest first, and no more than needed.

    Args:
      inventory: What there is.
      rules: How much stays.
      now: Time zone aware.
    """
    stays = staying(inventory.runs, inventory.in_use, rules, now)
    planned = partial(_plan, inventory, rules, stays)
    plan = planned(_Sacrifice())
    if not plan.is_too_large:
        return plan
    removed = [one.run.run_id for one in plan.runs if one.remains is Remains.REPORT]
    soft = [run.run_id for run in inventory.runs if run.run_id in stays and not stays[run.run_id].is_lasting]
    steps = [
        *(_Sacrifice(reports=frozenset(removed[:count])) for count in range(1, len(removed) + 1)),
        *(_Sacrifice(frozenset(soft[:count]), frozenset(removed)) for count in range(1, len(soft) + 1)),
        *(_Sacrifice(frozenset(soft), frozenset(removed + soft[:count])) for count in range(1, len(soft) + 1)),
    ]
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if planned(steps[middle]).is_too_large else (low, middle)
    return planned(steps[low]) if steps else plan


def _plan(inventory: Inventory, rules: Rules, stays: Mapping[str, Stay], sacrifice: _Sacrifice) -> Plan:
    stays = {run: stay for run, stay in stays.items() if run not in sacrifice.runs}
    lineage = inventory.lineage
    kept = _kept_executions(inventory, stays)
    gone = frozenset(lineage.executions) - kept
    gone_artifacts = frozenset(lineage.artifacts_of(gone) - lineage.artifacts_of(kept))
    directories = {
        number: artifact_directory(inventory.artifacts_dir, uri) for number, uri in lineage.artifacts.items()
    }
    frees, keeps = Counter[str](), Counter[str]()
    for number, directory in directories.items():
        if (maker := lineage.makers.get(number)) is not None:
            (frees if number in gone_artifacts else keeps)[maker.run] += inventory.artifacts.get(directory, 0)
    used_by = _users(inventory, stays, kept)
    runs = [
        _run_plan(inventory, run, stays.get(run.run_id), used_by.get(run.run_id, ""), remains, frees, keeps)
        for run, remains in _remains(inventory, rules, stays, sacrifice.reports)
    ]
    leftovers = [*_leftovers(inventory, stays, set(directories.values())), *_given_up(inventory, rules, stays)]
    leftovers += _refused(inventory, {one.run.run_id for one in runs if one.remains is not Remains.ALL})
    gone_paths = [directories[number] for number in gone_artifacts if directories[number] in inventory.artifacts]
    return Plan(
        runs=runs,
        executions=gone,
        artifacts=gone_artifacts,
        directories=tuple(gone_paths),
        leftovers=leftovers,
        frees=sum(one.frees for one in runs) + sum(leftover.size for leftover in leftovers),
        total=inventory.total,
        max_bytes=rules.max_bytes,
        rest=_rest(inventory, runs, gone_paths),
    )


def _rest(inventory: Inventory, runs: list[RunPlan], gone: list[Path]) -> dict[str, int]:
    """Returns what is left of the root, the largest part first."""
    files = sum(one.run.files.get(path.name, sum(one.run.files.values())) for one in runs for path in one.files)
    freed = {"artifacts": sum(inventory.artifacts[path] for path in gone), "runs": files}
    rest = {name: size - freed.get(name, 0) for name, size in inventory.parts.items()}
    return dict(sorted(rest.items(), key=lambda part: -part[1]))


def _kept_executions(inventory: Inventory, stays: Mapping[str, Stay]) -> set[int]:
    """Returns the executions of the runs that stay or go on, and the newest of each component, with their origins."""
    lineage = inventory.lineage
    kept = [
        execution
        for execution in lineage.executions.values()
        if not execution.run or execution.run in stays or execution.run == inventory.active
    ]
    for newest in _newest(inventory).values():
        kept += newest
    return lineage.with_origins(kept)


def _newest(inventory: Inventory) -> dict[str, list[Execution]]:
    """Returns the newest result of each component in the present graph of each pipeline."""
    found = {}
    for pipeline, runs in by_pipeline(inventory.runs).items():
        nodes = next((run.nodes for run in reversed(runs) if run.nodes), frozenset[str]())
        found[pipeline] = [*inventory.lineage.newest_successes(pipeline, nodes).values()]
    return found


def _users(inventory: Inventory, stays: Mapping[str, Stay], kept: set[int]) -> dict[str, str]:
    """Returns why a part of a run that does not stay does, by its id."""
    lineage, found = inventory.lineage, dict[str, str]()
    for run in reversed(inventory.runs):
        if run.run_id in stays:
            for number in lineage.with_origins(lineage.by_run.get(run.run_id, ())):
                found.setdefault(lineage.executions[number].run, f"run {run.run_id} took results from it")
    for newest in _newest(inventory).values():
        for execution in newest:
            found.setdefault(execution.run, f"it has the newest result of {execution.node}")
    for number in sorted(kept):
        found.setdefault(lineage.executions[number].run, "newer results come from it")
    return {run: why for run, why in found.items() if run not in stays}


def _remains(
    inventory: Inventory, rules: Rules, stays: Mapping[str, Stay], bare: frozenset[str]
) -> Iterator[tuple[KnownRun, Remains]]:
    """Yields each run with what stays of its directory."""
    for runs in by_pipeline(inventory.runs).values():
        with_logs = set(stays) | ({inventory.active} if inventory.active else set())
        for kind in (Kind.IDLE, Kind.UNFINISHED) if rules.count is not None else ():
            of_kind = sorted((run.run_id for run in runs if run.kind is kind), reverse=True)
            with_logs |= set(of_kind[: rules.count])
        oldest = min((run.run_id for run in runs if run.run_id in stays and run.kind is Kind.TRAINED), default="")
        for run in runs:
            is_between = run.kind in (Kind.IDLE, Kind.UNFINISHED) and run.run_id > oldest
            if run.run_id in with_logs:
                yield run, Remains.ALL
            elif rules.removes_records and not is_between:
                yield run, Remains.NOTHING if run.is_told else Remains.RECORD
            else:
                yield run, Remains.RECORD if run.run_id in bare else Remains.REPORT


def _run_plan(
    inventory: Inventory,
    run: KnownRun,
    stay: Stay | None,
    used_by: str,
    remains: Remains,
    frees: Counter[str],
    keeps: Counter[str],
) -> RunPlan:
    kept = {TRACKING} - ({TRACKING} if run.is_told else set()) | _FILES.get(remains, frozenset(run.files))
    doomed = [name for name in run.files if name not in kept]
    directory = inventory.runs_dir / run.run_id
    size = sum(run.files[name] for name in doomed)
    is_whole = remains is Remains.NOTHING
    files = (directory,) if is_whole and run.files else tuple(directory / name for name in doomed)
    had_something = run.number > 0 or bool(run.directories)
    return RunPlan(
        run,
        stay,
        used_by,
        remains,
        frees=frees[run.run_id] + size,
        keeps=keeps[run.run_id] + sum(run.files.values()) - size,
        is_cleaned_now=stay is None
        and run.record is not None
        and not run.is_cleaned
        and not is_whole
        and had_something
        and run.run_id != inventory.active,
        files=() if run.run_id == inventory.active else files,
    )


def _leftovers(inventory: Inventory, stays: Mapping[str, Stay], known: set[Path]) -> Iterator[Leftover]:
    """Yields what components were writing when they failed or were killed, and what a cleaning did not finish."""
    recorded = {path for run in inventory.runs if run.run_id in stays for path in run.directories}
    if inventory.active is None:
        for path, size in inventory.artifacts.items():
            if path not in known and path not in recorded:
                yield Leftover(path, "artifacts that no metadata knows", size)
    for path, size in inventory.scratch.items():
        yield Leftover(path, "temporary files", size)


def _refused(inventory: Inventory, runs: set[str]) -> Iterator[Leftover]:
    for path, (run, size) in inventory.refused.items():
        if run in runs:
            yield Leftover(path, "findings in refused data", size)


def _given_up(inventory: Inventory, rules: Rules, stays: Mapping[str, Stay]) -> Iterator[Leftover]:
    """Yields the checkpoints that no next run takes up: of runs after which others trained to the end."""
    kept = Counter[str]()
    trained = {pipeline: latest(runs, Kind.TRAINED) for pipeline, runs in by_pipeline(inventory.runs).items()}
    for checkpoint in sorted(inventory.checkpoints, key=lambda one: one.written, reverse=True):
        run = _writer(inventory, checkpoint)
        if run is None or run.run_id in stays or run.run_id == inventory.active:
            continue
        may_resume = run.kind is Kind.UNFINISHED and after(run, trained[run.pipeline])
        if may_resume and (rules.count is None or kept[run.pipeline] < rules.count):
            kept[run.pipeline] += 1
        else:
            yield Leftover(checkpoint.directory, "checkpoints of a training that was given up", checkpoint.size)


def _writer(inventory: Inventory, checkpoint: Checkpoint) -> KnownRun | None:
    """Returns the run that went on when a checkpoint was written; None where none is known."""
    started = [run for run in inventory.runs if run.started is not None and run.started <= checkpoint.written]
    return max(started, key=lambda run: run.run_id, default=None)
