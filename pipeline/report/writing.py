"""Writes the report of a run: the HTML page, and the model card beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.report.blocks import Section
from pipeline.report.facts import RunFacts, run_facts
from pipeline.report.model_card import model_card
from pipeline.report.page import html, run_page
from pipeline.report.pictures_section import no_pictures, pictures_section
from pipeline.run_record import RunRecord
from trainer_module.errors import PetsegError

REPORT_FILE: Final = "report.html"
MODEL_CARD_FILE: Final = "model_card.md"


@dataclass(frozen=True)
class WrittenReport:
    """Where a report is."""

    page: Path
    model_card: Path


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
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        written.page.write_text(html(run_page(facts, pictures)), encoding="utf-8")
        written.model_card.write_text(model_card(facts), encoding="utf-8")
    except OSError as error:
        raise PetsegError(f"cannot write the report {str(page)!r}: {error.strerror}; name another --output") from error
    return written


def _pictures(facts: RunFacts, run_directory: Path) -> Section:
    """Returns the section with the pictures; what keeps them from being drawn does not cost the rest of the report."""
    try:
        return pictures_section(facts, run_directory)
    except Exception as error:  # noqa: BLE001 (whatever TensorFlow raises over models and images)
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return no_pictures(f"They could not be predicted: {reason}")
