"""What a report says of the decision to train: the reasons with their numbers, and what else was looked at."""

from components.retraining_decider.decision import Decision
from pipeline.report.blocks import Block, Cell, Note, Section, Table

_TITLE = "Decision"


def decision_section(decision: Decision) -> Section:
    """Returns the section on why a run trained, or why not."""
    origin = decision.origin
    counts = ", ".join(f"{count:,} {split}" for split, count in origin.splits.items())
    newest = f"The newest data is {origin.data}: {counts}."
    against = f" Version {decision.served_version} is served." if decision.served_version else " Nothing is served."
    blocks: list[Block] = [Note(f"{decision.summary[0].upper()}{decision.summary[1:]}."), Note(newest + against)]
    rows: list[list[str | Cell]] = [
        [str(reason.kind), reason.text, ", ".join(f"{name} {value:.4g}" for name, value in reason.numbers.items())]
        for reason in decision.reasons
    ]
    if rows:
        blocks.append(Table(["reason", "what was found", "numbers"], rows, words=("what was found", "numbers")))
    if decision.trains:
        blocks += [Note(f"{note[0].upper()}{note[1:]}.") for note in decision.notes]
    return Section(_TITLE, blocks)
