"""What the report says of drift."""

import pytest
from data_samples import compared, made_statistics

from components.drift_detector.report import DriftReport
from pipeline.report.blocks import Figures, Note, Table
from pipeline.report.drift_section import drift_section
from pipeline.report.facts import Missing, run_facts
from pipeline.runs.record import NodeRecord, NodeState


@pytest.fixture
def section(record, tmp_path):
    """Returns the section of a run whose DriftDetector left a report."""

    def of(report: DriftReport):
        (tmp_path / "drift").mkdir()
        (tmp_path / "drift" / "drift.json").write_text(report.model_dump_json())
        outputs = {"drift": str(tmp_path / "drift")}
        record.nodes.append(NodeRecord(id="DriftDetector", state=NodeState.COMPLETE, outputs=outputs))
        return drift_section(run_facts(record))

    return of


def test_what_drifted_comes_first_with_both_distributions(section):
    comparison = compared(made_statistics(dogs=0.5), made_statistics(seed=2, brightness=0.3, dogs=0.1))
    note, table, figures = section(DriftReport(model="/serving/17", comparison=comparison)).blocks
    assert isinstance(note, Note)
    assert note.text.startswith("Drifted from version 17: brightness ")
    assert isinstance(table, Table)
    assert len(table.rows) == len(comparison.quantities) == 10
    by_name = {one.name: one for one in comparison.quantities}
    drifted = [[cell.text for cell, _ in cells] for cells in table.cells if cells[1][0].tone == "bad"]
    assert [row[0] for row in drifted] == ["brightness", "species"]
    brightness = by_name["brightness"]
    assert drifted[0][1:] == [
        "drifted", f"{brightness.distance:.3f}", "0.15", f"{brightness.chance:.3f}", brightness.change,
    ]  # fmt: skip
    assert isinstance(figures, Figures)
    first, second = figures.figures[:2]
    assert first.caption == f"Brightness: {brightness.change}; distance {brightness.distance:.3f}, drifted."
    assert "brightness from 0.3 on: trained on " in first.svg
    assert "now: 90.0% Cat" in second.svg
    assert all(figure.svg.count("<svg") == 1 for figure in figures.figures)
    assert not any(figure.caption.startswith("Height") for figure in figures.figures), "all are 100 pixels high"


def test_data_that_was_refused_is_shown(record, tmp_path):
    """DriftDetector failed, and TFX has removed its artifacts."""
    record.nodes.append(NodeRecord(id="DriftDetector", state=NodeState.FAILED))
    directory = tmp_path / "artifacts" / record.pipeline / "DriftDetector" / "refused" / record.run_id
    directory.mkdir(parents=True)
    comparison = compared(made_statistics(), made_statistics(seed=2, brightness=0.3))
    report = DriftReport(model="/serving/17", comparison=comparison)
    (directory / "drift.json").write_text(report.model_dump_json())
    note, _, figures = drift_section(run_facts(record)).blocks
    assert note.text.startswith("Drifted from version 17: brightness ")
    assert figures.figures[0].caption.startswith("Brightness: ")


def test_classes_of_one_side_alone_are_named(section):
    comparison = compared(made_statistics(), made_statistics(class_names=("pet", "background", "edge")))
    _, _, note = section(DriftReport(model="/serving/17", comparison=comparison)).blocks
    assert "the class 'border', which this data has not, the class 'edge', which the model was" in note.text


def test_a_run_without_a_comparison_says_why(section, record):
    [note] = drift_section(run_facts(record)).blocks
    assert note.text == "The data was not compared with what a model was trained on. The run had no DriftDetector."
    [note] = section(DriftReport(reason="no model is served in /serving")).blocks
    assert note.text.endswith("trained on: no model is served in /serving.")


def test_a_damaged_report_does_not_cost_the_page(section, record, tmp_path):
    section(DriftReport(reason="-"))
    (tmp_path / "drift" / "drift.json").write_text("{")
    assert isinstance(run_facts(record).drift, Missing)


@pytest.mark.parametrize("reason", ["", 'data.drift.action is "off"'])
def test_lost_classes_are_said_first(section, reason):
    comparison = compared(made_statistics(), made_statistics(seed=2))
    losses = ("no pixel of 'border' is in the 9 images of 'train'",)
    first, second, *_ = section(
        DriftReport(model="/serving/17", reason=reason, comparison=comparison, losses=losses)
    ).blocks
    assert first.text.startswith("The data has lost what masks are for: no pixel of 'border' is in the 9 images")
    assert second.text.startswith("The data was not compared" if reason else "No drift from version 17")
