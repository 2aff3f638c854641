"""The report of a run: one HTML file that needs nothing else, and the model card beside it.

Style, charts and pictures are inside the page; the card is what it says of the model, as Markdown.
"""

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2

from components.run_report.report import MODEL_CARD_FILE, REPORT_FILE, SUSPECTS_PAGE_FILE
from components.suspect_finder.suspects import SUSPECTS_FILE
from pipeline.report.blocks import Note, Page, Section, Table
from pipeline.report.decision_section import decision_section
from pipeline.report.drift_section import drift_section
from pipeline.report.facts import Missing, RunFacts, run_facts
from pipeline.report.findings_section import findings_section
from pipeline.report.metric_sections import (
    classes_table,
    errors_section,
    learning_section,
    metrics_section,
    metrics_table,
    reference_section,
    slices_section,
    slices_table,
    training_section,
)
from pipeline.report.pictures import no_pictures, pictures_section
from pipeline.report.run_sections import (
    anomalies_block,
    data_section,
    overview_table,
    run_verdict,
    settings_table,
    what_ran,
)
from pipeline.report.suspects import FoundSuspects, found_suspects, suspects_page, suspects_section
from pipeline.runs.record import RunRecord
from trainer_module.errors import PetsegError
from trainer_module.model_card import EncoderWeights

_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("pipeline.report"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class WrittenReport:
    """Where a report is."""

    page: Path
    model_card: Path
    suspects: Path | None = None
    """The page of the suspect masks, beside which is their list; None where there is none."""


def write_report(
    record: RunRecord,
    run_directory: Path,
    output: Path | None = None,
    *,
    with_pictures: bool = True,
) -> WrittenReport:
    """Writes the report of a run, whatever its end was.

    Args:
      record: The record of the run.
      run_directory: Where the scores of single images are kept, and the report where nothing else is said.
      output: The HTML file; the model card goes beside it.
      with_pictures: Whether to predict the evaluated images again, for the galleries.

    Raises:
      PetsegError: A file cannot be written.
    """
    page = output or run_directory / REPORT_FILE
    written = WrittenReport(page, page.with_name(MODEL_CARD_FILE))
    facts = run_facts(record)
    pictures = _pictures(facts, run_directory) if with_pictures else no_pictures("The run was interrupted.")
    suspects = found_suspects(facts)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        written.page.write_text(html(run_page(facts, pictures, suspects)), encoding="utf-8")
        written.model_card.write_text(model_card(facts), encoding="utf-8")
        if isinstance(suspects, FoundSuspects) and suspects.suspects:
            suspects_file = page.with_name(SUSPECTS_PAGE_FILE)
            suspects_file.write_text(html(suspects_page(facts, suspects)), encoding="utf-8")
            shutil.copyfile(suspects.directory / SUSPECTS_FILE, page.with_name(SUSPECTS_FILE))
            written = dataclasses.replace(written, suspects=suspects_file)
    except OSError as error:
        raise PetsegError(f"cannot write the report {str(page)!r}: {error.strerror}; name another --output") from error
    return written


def run_page(facts: RunFacts, pictures: Section, suspects: FoundSuspects | Missing) -> Page:
    """Returns the report of a run.

    Args:
      facts: What is known of the run.
      pictures: The section with the gallery.
      suspects: The masks that the model contradicts.
    """
    record = facts.record
    dataset = record.dataset
    data = f" · {dataset.name} {dataset.version}" if dataset else ""
    decision = [decision_section(record.decision)] if record.decision else []
    title, subtitle = f"{record.pipeline} · run {record.run_id}", f"{record.started:%d %B %Y, %H:%M} UTC{data}"
    if record.decision is not None and not record.decision.trains:
        return Page(title, subtitle, run_verdict(record), [*decision, what_ran(facts)])
    return Page(
        title=title,
        subtitle=subtitle,
        verdict=run_verdict(record),
        sections=[
            *decision,
            metrics_section(facts),
            *reference_section(facts),
            errors_section(facts),
            pictures,
            slices_section(facts),
            learning_section(facts),
            training_section(facts),
            data_section(facts),
            findings_section(facts),
            drift_section(facts),
            suspects_section(facts, suspects),
            what_ran(facts),
        ],
    )


def html(page: Page) -> str:
    """Returns a page as HTML."""
    return _TEMPLATES.get_template("page.html").render(page=page)


def model_card(facts: RunFacts) -> str:
    """Returns the model card of a run's model, also of a run that left none."""
    record = facts.record
    evaluated = [metrics_table(facts), classes_table(facts)] if record.metrics else []
    data = record.settings.get("data", {})
    return _TEMPLATES.get_template("model_card.md").render(
        facts=facts,
        verdict=run_verdict(record),
        overview=overview_table(facts),
        image_size=data.get("image_size"),
        class_names=", ".join(facts.class_names),
        evaluation=[_markdown(table) for table in evaluated],
        slices=_markdown(slices_table(facts)) if record.slices else None,
        thresholds=[_markdown(table) for table in run_verdict(record).blocks if isinstance(table, Table)],
        overview_text=_markdown(overview_table(facts)),
        is_of_imagenet=isinstance(facts.encoder, EncoderWeights) and facts.encoder.is_of_imagenet,
        settings=_block(settings_table(facts)),
        anomalies=_block(anomalies_block(facts)),
    )


def _pictures(facts: RunFacts, run_directory: Path) -> Section:
    """Returns the section with the pictures; what keeps them from being drawn does not cost the rest of the report."""
    try:
        return pictures_section(facts, run_directory)
    except Exception as error:  # noqa: BLE001 (whatever TensorFlow raises over models and images)
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return no_pictures(f"They could not be predicted: {reason}")


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
