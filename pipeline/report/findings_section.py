"""What is wrong with the data, as SegmentationValidator found it: a table, and pictures of the first of each kind."""

import base64
from pathlib import Path
from typing import Final

from components.segmentation_validator.findings import FINDINGS_FILE, FindingsSummary, ShownFinding
from components.segmentation_validator.kinds import Kind, plural
from components.segmentation_validator.settings import Policy
from pipeline.report.blocks import Block, Cell, Gallery, Note, Picture, PictureRow, Section, Table
from pipeline.report.facts import Missing, RunFacts
from pipeline.report.metric_sections import class_legend

_TITLE: Final = "Findings in the data"
_DONE: Final = {
    Policy.WARN: "told, and kept",
    Policy.DROP: "left out",
    Policy.FAIL: "refused",
    Policy.IGNORE: "ignored",
}


def findings_section(facts: RunFacts) -> Section:
    """Returns the section on what is wrong with the data."""
    if isinstance(facts.findings, Missing):
        return Section(_TITLE, [Note(f"Nothing is known of defects of the data. {facts.findings.reason}")])
    summary, directory = facts.findings.summary, facts.findings.directory
    if not summary.kinds:
        examined = ", ".join(f"{count:,} {split}" for split, count in summary.examples.items())
        return Section(_TITLE, [Note(f"Every image and mask was looked at ({examined}), and nothing was found.")])
    blocks: list[Block] = [_table(summary), Note(f"All findings by file name: {directory / FINDINGS_FILE}")]
    if summary.shown:
        not_labelled = facts.has_not_labelled
        blocks.append(class_legend(facts.class_names, with_errors=False, with_not_labelled=not_labelled))
    for found in summary.kinds:
        rows = [_row(shown, directory) for shown in summary.shown if shown.kind is found.kind]
        if rows:
            count = sum(found.counts.values())
            first = f"The first {len(rows)} of {count:,}" if len(rows) < count else f"All {count:,}"
            title = plural(found.kind)
            blocks.append(Gallery(title[0].upper() + title[1:], f"{first}; {_DONE[found.action]}.", rows))
    return Section(_TITLE, blocks)


def _table(summary: FindingsSummary) -> Table:
    rows: list[list[str | Cell]] = []
    for found in summary.kinds:
        name = "data.duplicates" if found.kind is Kind.SHARED_IMAGE else f"data.validation.{found.kind}"
        done = Cell(_DONE[found.action], name, tone="bad" if found.action is Policy.FAIL else "neutral")
        rows.append([plural(found.kind), *(f"{found.counts.get(split, 0):,}" for split in summary.examples), done])
    dropped = ", ".join(f"{count:,} of {split}" for split, count in summary.dropped.items() if count)
    caption = "What SegmentationValidator found in each split, and what was done about it by which setting."
    caption += f" Left out: {dropped}." if dropped and not summary.refusals else ""
    return Table(["finding", *summary.examples, "what was done"], rows, caption, words=("what was done",))


def _row(shown: ShownFinding, directory: Path) -> PictureRow:
    pictures = [Picture(label, _uri(directory / file)) for label, file in shown.pictures.items()]
    return PictureRow(shown.name, f"{shown.split}: {shown.detail}", [picture for picture in pictures if picture.uri])


def _uri(file: Path) -> str:
    """Returns a picture as a data URI; nothing where it is gone."""
    if not file.is_file():
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(file.read_bytes()).decode()}"
