"""A plan and what came of it, as tables for people and as JSON."""

from collections import Counter
from typing import Any, Final

from pipeline.housekeeping.plan import Plan, Remains, RunPlan
from pipeline.housekeeping.removal import Removed
from pipeline.terminal.tables import PlainTable, size_words

_REMAINS: Final = {
    Remains.ALL: "record, report and log",
    Remains.REPORT: "record and report",
    Remains.RECORD: "the record",
    Remains.NOTHING: "",
}


def plan_table(plan: Plan) -> PlainTable:
    """Returns one row a run of which anything goes or stays, the latest first, and one a kind of leftover."""
    table = PlainTable("run", "came to", space=2)
    for column in ("frees", "keeps"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("stays", overflow="fold")
    for one in _latest_first(plan):
        if one.frees or one.stay or one.used_by:
            table.add_row(one.run.run_id, one.run.kind, _size(one.frees), _size(one.keeps), _why(one))
    counts = Counter(leftover.what for leftover in plan.leftovers)
    for what, count in counts.items():
        size = sum(leftover.size for leftover in plan.leftovers if leftover.what == what)
        table.add_row("", "", _size(size), "", f"{what} ({count})")
    return table


def summary(plan: Plan) -> str:
    """Returns what would be freed, in a line."""
    if plan.is_empty:
        return f"there is nothing to remove; the pipeline root takes {size_words(plan.total)}"
    return f"{size_words(plan.frees)} of {size_words(plan.total)} can be freed"


def outcome(removed: Removed) -> str:
    """Returns what was freed, in a line."""
    return f"freed {size_words(removed.freed)}; the pipeline root takes {size_words(removed.left)}"


def as_json(root: str, plan: Plan, removed: Removed | None) -> dict[str, Any]:
    """Returns a plan, and what came of it, for a machine; sizes in bytes."""
    return {
        "root": root,
        "runs": [
            {
                "run_id": one.run.run_id,
                "pipeline": one.run.pipeline,
                "came_to": one.run.kind,
                "stays": one.stay.reason if one.stay else None,
                "used_by": one.used_by or None,
                "remains": one.remains,
                "frees": one.frees,
                "keeps": one.keeps,
            }
            for one in _latest_first(plan)
        ],
        "leftovers": [
            {"path": str(leftover.path), "what": leftover.what, "size": leftover.size} for leftover in plan.leftovers
        ],
        "total": plan.total,
        "frees": plan.frees,
        "max_size": plan.max_bytes,
        "is_too_large": plan.is_too_large,
        "removed": removed and {"freed": removed.freed, "left": removed.left, "problems": list(removed.problems)},
    }


def _latest_first(plan: Plan) -> list[RunPlan]:
    return sorted(plan.runs, key=lambda one: one.run.run_id, reverse=True)


def _why(one: RunPlan) -> str:
    if one.stay is not None:
        return one.stay.reason
    if one.used_by:
        return f"in part: {one.used_by}"
    return _REMAINS[one.remains]


def _size(size: int) -> str:
    return size_words(size) if size else ""
