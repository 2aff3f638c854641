"""What the report says of defects of the data."""

import pytest
from PIL import Image

from components.segmentation_validator.findings import (
    SUMMARY_FILE,
    FindingsSummary,
    KindSummary,
    ShownFinding,
)
from components.segmentation_validator.kinds import Kind
from components.segmentation_validator.settings import Policy
from pipeline.report.blocks import Gallery, Note, Table
from pipeline.report.facts import Missing, examples_directory, run_facts
from pipeline.report.findings_section import findings_section
from pipeline.runs.record import NodeRecord, NodeState

SUMMARY = FindingsSummary(
    kinds=(
        KindSummary(kind=Kind.UNREADABLE_IMAGE, action=Policy.DROP, counts={"train": 2}),
        KindSummary(kind=Kind.BLANK_MASK, action=Policy.WARN, counts={"train": 7, "test": 1}),
        KindSummary(kind=Kind.SHARED_IMAGE, action=Policy.WARN, counts={"train": 1}),
    ),
    examples={"train": 30, "test": 12},
    dropped={"train": 2, "test": 0},
    shown=(
        ShownFinding(
            kind=Kind.BLANK_MASK, split="train", name="<cat>.jpg", detail="all labelled pixels are 'background'",
            pictures={"image": "thumbnails/0.jpg", "mask over image": "thumbnails/gone.jpg"},
        ),
    ),
)  # fmt: skip


@pytest.fixture
def section_of(record, tmp_path):
    """Returns a function that gives the run findings, and returns their section."""

    def make(summary, directory=tmp_path / "findings", state=NodeState.COMPLETE):
        (directory / "thumbnails").mkdir(parents=True)
        (directory / SUMMARY_FILE).write_text(summary.model_dump_json())
        Image.new("RGB", (8, 8)).save(directory / "thumbnails" / "0.jpg")
        outputs = {"findings": str(directory)} if state is NodeState.COMPLETE else {}
        record.nodes.append(NodeRecord(id="SegmentationValidator", state=state, outputs=outputs))
        return findings_section(run_facts(record))

    return make


def blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_findings_are_counted_by_split_with_what_was_done_and_shown(section_of, tmp_path):
    section = section_of(SUMMARY)
    [table] = blocks(section, Table)
    assert list(table.columns) == ["finding", "train", "test", "what was done"]
    assert [[cell.line for cell, _ in row] for row in table.cells] == [
        ["unreadable images", "2", "0", "left out (data.validation.unreadable_image)"],
        ["blank masks", "7", "1", "told, and kept (data.validation.blank_mask)"],
        ["images in two splits", "1", "0", "told, and kept (data.duplicates)"],
    ]
    assert table.caption.endswith("Left out: 2 of train.")
    [gallery] = blocks(section, Gallery)
    assert (gallery.title, gallery.caption) == ("Blank masks", "The first 1 of 8; told, and kept.")
    [row] = gallery.rows
    assert (row.name, row.detail) == ("<cat>.jpg", "train: all labelled pixels are 'background'")
    assert [picture.label for picture in row.pictures] == ["image"], "a picture that is gone is left out"
    [note] = blocks(section, Note)
    assert note.text == f"All findings by file name: {tmp_path / 'findings' / 'findings.csv'}"


def test_data_without_defects_is_said_to_have_been_looked_at(section_of):
    nothing = FindingsSummary(kinds=(), examples={"train": 1200, "test": 12}, dropped={})
    [note] = section_of(nothing).blocks
    assert note.text == "Every image and mask was looked at (1,200 train, 12 test), and nothing was found."


def test_refused_data_is_shown_though_the_run_failed(section_of, record, tmp_path):
    directory = tmp_path / "artifacts" / record.pipeline / "SegmentationValidator" / "refused" / record.run_id
    record.settings["pipeline"]["root"] = str(tmp_path)
    refused = SUMMARY.model_copy(update={"refusals": ("8 blank masks: '<cat>.jpg' of train",)})
    section = section_of(refused, directory, NodeState.FAILED)
    [table] = blocks(section, Table)
    assert not table.caption.endswith("Left out: 2 of train.")
    assert len(blocks(section, Gallery)) == 1


def test_a_run_without_findings_says_why(record):
    [note] = findings_section(run_facts(record)).blocks
    assert note.text == "Nothing is known of defects of the data. The run had no SegmentationValidator."


def test_damaged_findings_do_not_cost_the_report(section_of, record, tmp_path):
    section_of(SUMMARY)
    (tmp_path / "findings" / SUMMARY_FILE).write_text("{}")
    [note] = findings_section(run_facts(record)).blocks
    assert "cannot be read: ValidationError" in note.text


def test_examples_are_those_that_were_checked(record, tmp_path):
    for node in record.nodes:
        node.outputs["examples"] = str(tmp_path)
    assert examples_directory(record) == tmp_path, "of a run of an earlier version"
    record.nodes.append(NodeRecord(id="SegmentationValidator", state=NodeState.FAILED))
    assert isinstance(examples_directory(record), Missing)
