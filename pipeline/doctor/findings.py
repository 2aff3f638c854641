"""What a look at an installation finds, how checks are run, and how findings are shown.

A check never ends the others: what it raises is a finding, and so is that it does not end, as on a network share whose
server is away. Nothing here imports TensorFlow or TFX.
"""

import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.terminal.tables import PlainTable
from trainer_module.errors import PetsegError

LOCAL_SECONDS: Final = 30.0
"""How long a check may take that asks files and programs of this machine alone."""

_LONGEST_REASON: Final = 600
_PERMISSION: Final = "see to its permissions, or be the user that runs and schedules are started by"


class State(StrEnum):
    """What a finding means."""

    OK = "ok"
    WARNING = "warning"
    """Everything works, but not for long, not well, or not for everybody."""

    PROBLEM = "problem"
    """Something will fail."""

    NOT_USED = "not used"
    """The configuration does without it."""

    NOT_SEEN = "not looked at"
    """It was not to be, or something else is in the way."""


_STYLES: Final = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "bold red"}


class Finding(BaseModel):
    """What is the matter with one thing."""

    model_config = ConfigDict(frozen=True)

    area: str = ""
    """What it belongs to, as `data`; of a check."""

    subject: str
    state: State
    found: str
    """In words, with numbers; of what is not used, why."""

    remedy: str = ""
    """What to do, a command or a setting; empty where nothing is to be done, or `found` says it."""


class Check(NamedTuple):
    """Something to look at."""

    area: str
    subject: str
    look: Callable[[], Finding | Sequence[Finding]]
    seconds: float = LOCAL_SECONDS
    """After which it is given up."""


def ok(subject: str, found: str) -> Finding:
    """Returns that a thing is as it should be."""
    return Finding(subject=subject, state=State.OK, found=found)


def warning(subject: str, found: str, remedy: str = "") -> Finding:
    """Returns that a thing works for now."""
    return Finding(subject=subject, state=State.WARNING, found=found, remedy=remedy)


def problem(subject: str, found: str, remedy: str = "") -> Finding:
    """Returns that a thing does not work."""
    return Finding(subject=subject, state=State.PROBLEM, found=found, remedy=remedy)


def not_used(subject: str, why: str) -> Finding:
    """Returns that the configuration does without a thing."""
    return Finding(subject=subject, state=State.NOT_USED, found=why)


def not_seen(subject: str, why: str) -> Finding:
    """Returns that a thing was not looked at."""
    return Finding(subject=subject, state=State.NOT_SEEN, found=why)


def examine(checks: Sequence[Check], on_end: Callable[[], None] = lambda: None) -> list[Finding]:
    """Runs checks at the same time, and returns what they found in their order.

    Args:
      checks: What to look at.
      on_end: Called for each check that has ended, from another thread.
    """
    found: list[Sequence[Finding] | None] = [None] * len(checks)

    def look(position: int, check: Check) -> None:
        found[position] = _looked(check)
        on_end()

    start = time.monotonic()
    threads = [threading.Thread(target=look, args=entry, daemon=True) for entry in enumerate(checks)]
    for thread in threads:
        thread.start()
    for thread, check in zip(threads, checks, strict=True):
        thread.join(max(0.0, start + check.seconds - time.monotonic()))
    return [
        finding.model_copy(update={"area": check.area})
        for check, findings in zip(checks, found, strict=True)
        for finding in (_given_up(check) if findings is None else findings)
    ]


def reason(error: BaseException) -> str:
    """Returns in one line what went wrong: what petseg's own errors say, of others their kind and their first line."""
    if isinstance(error, PetsegError):
        return str(error)
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{str(error.filename)!r}: {error.strerror}"
    lines = str(error).strip().splitlines()
    said = ": ".join(filter(None, [type(error).__name__, *lines[:1]]))
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]} …"


def findings_tables(findings: Sequence[Finding]) -> RenderableType:
    """Returns a table an area, a line each of what is not used and not looked at, and one that counts."""
    shown = [finding for finding in findings if finding.state in _STYLES]
    wide = max((len(finding.subject) for finding in shown), default=0)
    parts: list[RenderableType] = []
    for area in dict.fromkeys(finding.area for finding in shown):
        table = PlainTable(show_header=False)
        for width in (max(map(len, _STYLES)), wide, None):
            table.add_column(width=width, no_wrap=width is not None, overflow="fold")
        for finding in shown:
            if finding.area == area:
                table.add_row(Text(finding.state, _STYLES[finding.state]), finding.subject, finding.found)
                if finding.remedy:
                    table.add_row("", "", Text(f"→ {finding.remedy}", "bold"))
        parts += [Text(area, "dim"), table, Text()]
    others = [_line_of(state, findings) for state in (State.NOT_USED, State.NOT_SEEN)]
    return Group(*parts, *(Text(f"{line}\n", "dim") for line in others if line), Text(summary(findings)))


def summary(findings: Sequence[Finding]) -> str:
    """Returns how many findings are of each kind, the worst first.

    >>> summary([ok("a", ""), problem("b", ""), ok("c", "")])
    '1 problem, 2 ok'
    """
    counts = {state: sum(finding.state is state for finding in findings) for state in State}
    plural = {State.PROBLEM: "s", State.WARNING: "s", State.OK: ""}
    parts = [
        f"{counts[state]} {state}{ending if counts[state] > 1 else ''}"
        for state, ending in plural.items()
        if counts[state]
    ]
    return ", ".join(parts)


def _line_of(state: State, findings: Sequence[Finding]) -> str:
    """Returns what is of a state and why, in one line; empty where nothing is."""
    by_reason: dict[str, list[str]] = {}
    for finding in findings:
        if finding.state is state:
            by_reason.setdefault(finding.found, []).append(finding.subject)
    parts = [f"{', '.join(subjects)} ({why})" for why, subjects in by_reason.items()]
    return f"{state}: {', '.join(parts)}" if parts else ""


def _looked(check: Check) -> Sequence[Finding]:
    try:
        findings = check.look()
    except Exception as error:  # noqa: BLE001 (whatever a broken installation raises)
        remedy = _PERMISSION if isinstance(error, PermissionError) else ""
        return [problem(check.subject, reason(error), remedy)]
    return [findings] if isinstance(findings, Finding) else findings


def _given_up(check: Check) -> Sequence[Finding]:
    return [
        problem(
            check.subject,
            f"nothing was found out within {check.seconds:g} s",
            "see whether a file system hangs, as a network share whose server is away, or whether the machine is busy",
        )
    ]
