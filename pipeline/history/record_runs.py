"""Runs as their records tell them."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pipeline.history.destinations import place
from pipeline.history.entries import RunEntry, RunOutcome, Source
from pipeline.nodes import PUSHER
from pipeline.runs.record import DriftRecord, NodeRecord, NodeState, RunRecord, RunState
from pipeline.runs.tables import verdict_line

_NOTHING: Final = "nothing: "
"""What the Pusher's summary begins with where it pushed nothing."""

_ENDS: Final = {
    RunState.FAILED: RunOutcome.FAILED,
    RunState.INTERRUPTED: RunOutcome.INTERRUPTED,
    RunState.RUNNING: RunOutcome.RUNNING,
}


def run_entry(record: RunRecord, root: Path, source: Source = Source.RECORD) -> RunEntry:
    """Returns a run of the history.

    Args:
      record: Of the run.
      root: The pipeline root that it was found under.
      source: Where the record was found.
    """
    pushed = _pushed_version(record)
    dataset, drift = record.dataset, record.drift or DriftRecord(model=None, reason=None)
    return RunEntry(
        at=record.started + timedelta(seconds=record.seconds),
        destination=destination_of(record, root),
        sources=(source,),
        run=record.run_id,
        pipeline=record.pipeline,
        started=record.started,
        seconds=record.seconds,
        decision=record.decision,
        outcome=_outcome(record, pushed),
        reason=_reason(record, pushed),
        forced_because=record.force_blessed or "",
        dataset=dataset.name if dataset else "",
        dataset_version=dataset.version if dataset else "",
        examples=dataset.splits if dataset else {},
        metrics=record.metrics,
        served_version=_served_version(record),
        version=pushed,
        drift=drift.distances,
        drifted=tuple(drift.drifted),
        report=record.report,
    )


def destination_of(record: RunRecord, root: Path) -> str:
    """Returns where a run pushes to; a root that was moved has its versions with it."""
    push: Mapping[str, Any] = record.settings.get("push", {})
    return place(push.get("destination") or str(root / "serving_model" / record.pipeline))


def _outcome(record: RunRecord, pushed: int | None) -> RunOutcome:
    if record.state in _ENDS:
        return _ENDS[record.state]
    if record.decision is not None and not record.decision.trains:
        return RunOutcome.NOTHING_TO_DO
    if pushed is not None:
        return RunOutcome.PUSHED
    if record.probe is not None and not record.probe.passed:
        return RunOutcome.NOT_SERVABLE
    if record.refused:
        return RunOutcome.NOT_BLESSED
    return RunOutcome.ALREADY_SERVED if record.pushed_model else RunOutcome.NOT_PUSHED


def _reason(record: RunRecord, pushed: int | None) -> str:
    if record.state in (RunState.FAILED, RunState.INTERRUPTED):
        ended = next((node.id for node in record.nodes if node.state.value == record.state.value), "")
        return ": ".join(filter(None, (ended, record.error)))
    if record.decision is not None and not record.decision.trains:
        return "; ".join(record.decision.notes)
    if pushed is not None or record.state is RunState.RUNNING:
        return ""
    if record.refused:
        return verdict_line(record).removeprefix("not blessed: ")
    pusher = _node(record, PUSHER)
    said = pusher.summary if pusher and pusher.summary.startswith(_NOTHING) else ""
    return record.not_pushed or said.removeprefix(_NOTHING)


def _pushed_version(record: RunRecord) -> int | None:
    """Returns what this run pushed; what a cached Pusher names was pushed by an earlier one."""
    pusher = _node(record, PUSHER)
    number = (record.pushed_model or "").rstrip("/").rpartition("/")[2]
    is_own = pusher is None or pusher.state is NodeState.COMPLETE
    return int(number) if is_own and number.isdecimal() else None


def _served_version(record: RunRecord) -> str:
    if record.baseline is not None and record.baseline.version:
        return record.baseline.version
    return record.decision.served_version if record.decision else ""


def _node(record: RunRecord, node_id: str) -> NodeRecord | None:
    return next((node for node in record.nodes if node.id == node_id), None)
