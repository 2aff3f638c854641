"""The model card: what a report says of the model, as Markdown to keep beside it."""

from pipeline.report.blocks import Note, Table
from pipeline.report.facts import RunFacts
from pipeline.report.metric_sections import classes_table, metrics_table, slices_table
from pipeline.report.page import TEMPLATES
from pipeline.report.run_sections import anomalies_block, overview_table, settings_table
from pipeline.report.verdict import run_verdict


def model_card(facts: RunFacts) -> str:
    """Returns the model card of a run's model, also of a run that left none."""
    record = facts.record
    evaluated = [metrics_table(facts), classes_table(facts)] if record.metrics else []
    data = record.settings.get("data", {})
    return TEMPLATES.get_template("model_card.md").render(
        facts=facts,
        verdict=run_verdict(record),
        overview=overview_table(facts),
        image_size=data.get("image_size"),
        class_names=", ".join(facts.class_names),
        evaluation=[_markdown(table) for table in evaluated],
        slices=_markdown(slices_table(facts)) if record.slices else None,
        thresholds=[_markdown(table) for table in run_verdict(record).blocks if isinstance(table, Table)],
        overview_text=_markdown(overview_table(facts)),
        settings=_block(settings_table(facts)),
        anomalies=_block(anomalies_block(facts)),
    )


def _block(block: Note | Table) -> str:
    return block.text if isinstance(block, Note) else _markdown(block)


def _markdown(table: Table) -> str:
    """Writes a table in GitHub's Markdown, under its caption."""
    headings = [_escaped(text) for text, _ in table.headings]
    rules = ["---:" if is_number else "---" for _, is_number in table.headings]
    rows = [[_escaped(cell.line) for cell, _ in row] for row in table.cells]
    lines = ["| " + " | ".join(row) + " |" for row in (headings, rules, *rows)]
    return "\n".join([table.caption, "", *lines] if table.caption else lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("*", "\\*").replace("<", "&lt;")
