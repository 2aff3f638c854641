"""What people are told of a run: one message, which each channel writes in its own form."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from components.model_evaluator.gate import BoundResult
from pipeline.config.notification import NotificationConfig, Outcome
from pipeline.report.blocks import Tone
from pipeline.runs.record import DriftRecord, RunRecord, RunState
from pipeline.runs.tables import comparison_text, duration
from pipeline.terminal.tables import metric_interval, metric_value, readable_metric

_METRICS: Final = ("accuracy", "mean_iou")
_SHOWN_DRIFTS: Final = 5
_FIRINGS: Final[dict[Outcome, tuple[Tone, str]]] = {
    "skipped": ("neutral", "Skipped"),
    "interrupted": ("bad", "Interrupted before the run began"),
}


@dataclass(frozen=True)
class Fact:
    """One thing that is told, under its name."""

    name: str
    text: str
    is_number: bool = False
    """Whether it is short, so that several have room side by side."""


@dataclass(frozen=True)
class Message:
    """What is told of a run, or of one that was not."""

    about: str
    """The pipeline; the schedule where there is no run."""

    tone: Tone
    headline: str
    """The verdict, in a few words."""

    reason: str
    """Why: the bounds that were missed, the message of a failure; may be empty."""

    facts: Sequence[Fact]
    report: str | None = None
    """A URL, a URI, or a path with its machine; None where there is no report."""

    log: str | None = None

    @property
    def subject(self) -> str:
        """What it is about and the verdict, in one line."""
        return f"{self.about}: {self.headline}"

    @property
    def places(self) -> list[Fact]:
        """Where report and log are."""
        found = {"report": self.report, "log": self.log}
        return [Fact(name, place) for name, place in found.items() if place]


def outcome_of(record: RunRecord) -> Outcome:
    """Returns how a run ended; of one that goes on, how it would if it ended now."""
    if record.state is RunState.FAILED:
        return "failed"
    if record.state is RunState.INTERRUPTED:
        return "interrupted"
    if record.refused:
        return "refused"
    if record.decision is not None and not record.decision.trains:
        return "unneeded"
    return "done" if record.pushed_model is None else "pushed"


def run_message(
    record: RunRecord, report: str | None, settings: NotificationConfig, *, schedule: str | None = None
) -> Message:
    """Returns what is told of a run.

    Args:
      record: Of the run.
      report: Where its report is: a path of this machine or a URI. None where there is none.
      settings: Say where others find reports.
      schedule: Name of the schedule that started it. None: none, or it is not known.
    """
    from pipeline.report.run_sections import run_verdict

    verdict = run_verdict(record)
    headline = verdict.headline
    if verdict.headline == "Blessed" and record.pushed_model:
        headline = "Blessed and pushed"
    return Message(
        about=record.pipeline,
        tone=verdict.tone,
        headline=headline,
        reason=verdict.reason,
        facts=[*_opening(record, schedule), *_measured(record), *_compared(record), *_left(record)],
        report=_report_place(record, report, settings),
        log=_place(record.log),
    )


def firing_message(schedule: str, outcome: Outcome, reason: str, log: Path) -> Message:
    """Returns what is told of a firing that has no run: it could not start one, or was skipped."""
    tone, headline = _FIRINGS.get(outcome, ("bad", "The run could not start"))
    facts = [Fact("schedule", f"{schedule} on {socket.gethostname()}")]
    return Message(f"schedule {schedule}", tone, headline, reason, facts, log=_place(str(log)))


def trial_message(pipeline: str) -> Message:
    """Returns what is told to try the channels."""
    reason = "This is a test of the notifications of petseg: no run is told of. Who reads it will be told of the runs."
    return Message(pipeline, "neutral", "Test", reason, [Fact("sent from", socket.gethostname())])


def _opening(record: RunRecord, schedule: str | None) -> list[Fact]:
    preset = f" (preset {record.preset})" if record.preset else ""
    facts = [Fact("run", f"{record.run_id} of {record.pipeline}{preset}")]
    if record.seconds:  # what a pod knows of its run has no time
        facts.append(Fact("started", f"{record.started:%Y-%m-%d %H:%M} UTC, took {duration(record.seconds)}"))
    if schedule is not None:
        facts.append(Fact("schedule", schedule))
    if record.dataset is not None:
        facts.append(Fact("data", record.dataset.summary))
    if record.decision is not None and record.decision.trains:
        facts.append(Fact("reason", "; ".join(reason.text for reason in record.decision.reasons)))
    return facts


def _measured(record: RunRecord) -> list[Fact]:
    facts = []
    for name in _METRICS:
        if name in record.metrics:
            interval = metric_interval(record.metrics, name)
            text = metric_value(record.metrics[name]) + (f" (95 % interval {interval})" if interval else "")
            facts.append(Fact(readable_metric(name), text, is_number=True))
    return facts


def _compared(record: RunRecord) -> list[Fact]:
    """Returns what changed against the served model, as far as the gate measured it; or why nothing was compared."""
    baseline = record.baseline
    if baseline is None:
        return []
    if not baseline.found:
        return [Fact("against the served model", f"not compared: {baseline.reason}")]
    changes = {bound.metric: bound for bound in record.thresholds if bound.baseline is not None and not bound.slice}
    served = f"version {baseline.version}" if baseline.version else "the served version"
    told = [comparison_text(record.comparison)] if record.comparison else []
    told += [_change(bound) for bound in changes.values()]
    told = told or ["no bound asks for a change"]
    return [Fact("against the served model", f"{served}: {'; '.join(told)}")]


def _change(bound: BoundResult) -> str:
    """Writes one change: `accuracy +0.0012, from 0.9253 to 0.9265, within noise`."""
    number = "undefined" if bound.change is None else f"{bound.change:+.4f}"
    noise = {True: ", within noise", False: ", beyond noise", None: ""}[bound.within_noise]
    from_to = f"from {metric_value(bound.baseline)} to {metric_value(bound.value)}"
    return f"{readable_metric(bound.metric)} {number}, {from_to}{noise}"


def _left(record: RunRecord) -> list[Fact]:
    facts = []
    if record.drift is not None:
        facts.append(Fact("drift", _drift(record.drift)))
    if record.pushed_model is not None:
        facts.append(Fact("pushed", record.pushed_model))
    if record.deployed_model is not None:
        facts.append(Fact("deployed", record.deployed_model))
    return facts


def _drift(drift: DriftRecord) -> str:
    if drift.reason is not None:
        return f"not compared: {drift.reason}"
    if not drift.drifted:
        return f"none in {len(drift.distances)} quantities"
    shown = [f"{name} {drift.distances.get(name, 0.0):.3f}" for name in drift.drifted[:_SHOWN_DRIFTS]]
    more = len(drift.drifted) - len(shown)
    return f"in {', '.join(shown)}{f' and {more} more' if more else ''} (Jensen–Shannon distance)"


def _report_place(record: RunRecord, report: str | None, settings: NotificationConfig) -> str | None:
    if report is None or settings.report_url is None:
        return report and _place(report)
    names: dict[str, Any] = {"run_id": record.run_id, "pipeline": record.pipeline}
    return settings.report_url.format(**{name: quote(value, safe="") for name, value in names.items()})


def _place(place: str) -> str:
    """Returns a path with the machine that it is of; a URI as it is."""
    return place if "://" in place or not place else f"{place} on {socket.gethostname()}"
