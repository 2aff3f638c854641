"""How checks are run and what is shown of their findings: none of them ends the others, or the command."""

import io
import threading
import time

from rich.console import Console

from pipeline.doctor.findings import (
    Check,
    Finding,
    State,
    examine,
    findings_tables,
    not_seen,
    not_used,
    ok,
    problem,
    reason,
    summary,
    warning,
)
from trainer_module.errors import ConfigError


def shown(findings, width=100) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(findings_tables(findings))
    return out.getvalue()


def test_findings_come_in_the_order_of_the_checks_with_their_areas():
    def late() -> Finding:
        time.sleep(0.1)
        return ok("first", "a")

    findings = examine(
        [Check("one", "first", late), Check("two", "second", lambda: [ok("second", "b"), ok("third", "c")])]
    )
    assert [(finding.area, finding.subject) for finding in findings] == [
        ("one", "first"),
        ("two", "second"),
        ("two", "third"),
    ]


def test_what_a_check_raises_is_a_problem_and_the_others_go_on():
    def broken() -> Finding:
        raise ZeroDivisionError("by nothing\nat all")

    def closed() -> Finding:
        raise PermissionError(13, "Permission denied", "/closed")

    first, second, third = examine(
        [Check("a", "broken", broken), Check("a", "closed", closed), Check("a", "whole", lambda: ok("whole", ""))]
    )
    assert (first.state, first.found) == (State.PROBLEM, "ZeroDivisionError: by nothing")
    assert (second.state, second.found) == (State.PROBLEM, "'/closed': Permission denied")
    assert "permissions" in second.remedy
    assert third.state is State.OK


def test_a_check_that_does_not_end_is_given_up_and_costs_the_others_nothing():
    release = threading.Event()
    start = time.monotonic()
    ended = []

    def hang() -> Finding:
        release.wait()
        return ok("share", "")

    checks = [Check("places", "share", hang, seconds=0.2), Check("places", "disk", lambda: ok("disk", ""))]
    hanging, whole = examine(checks, lambda: ended.append(1))
    release.set()
    assert time.monotonic() - start < 5
    assert (hanging.state, hanging.area) == (State.PROBLEM, "places")
    assert "within 0.2 s" in hanging.found
    assert "file system hangs" in hanging.remedy
    assert whole.state is State.OK
    assert ended == [1]


def test_own_errors_are_said_as_they_are_and_others_by_kind_and_first_line():
    assert reason(ConfigError("data.window: no\nsuch thing")) == "data.window: no\nsuch thing"
    assert reason(RuntimeError("first\nsecond")) == "RuntimeError: first"
    assert reason(KeyError()) == "KeyError"
    assert len(reason(ValueError("x" * 5000))) < 700


FINDINGS = [
    ok("memory", "20.0 GiB").model_copy(update={"area": "machine"}),
    problem("metadata", f"'/root/metadata.sqlite' {'is damaged ' * 20}", "restore it").model_copy(
        update={"area": "places"}
    ),
    warning("push destination", "[final] frozen").model_copy(update={"area": "places"}),
    not_used("KServe", "push.kserve.enabled is false"),
    not_seen("runs", "the pipeline root cannot be read"),
    not_seen("metadata", "the pipeline root cannot be read"),
]


def test_the_table_fits_the_terminal_and_remedies_stand_below_what_they_are_for():
    text = shown(FINDINGS)
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= 100
    assert lines[0] == "machine"
    assert "ok       memory            20.0 GiB" in lines
    assert "                           → restore it" in lines
    assert "warning  push destination  [final] frozen" in lines


def test_what_is_not_used_is_one_line_and_so_is_what_was_not_looked_at():
    lines = [line.rstrip() for line in shown(FINDINGS).splitlines()]
    assert "not used: KServe (push.kserve.enabled is false)" in lines
    assert "not looked at: runs, metadata (the pipeline root cannot be read)" in lines
    assert lines[-1] == "1 problem, 1 warning, 1 ok"


def test_the_summary_counts_the_worst_first():
    assert summary([ok("a", ""), problem("b", ""), problem("c", ""), not_used("d", "")]) == "2 problems, 1 ok"
