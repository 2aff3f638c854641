"""A page as one HTML file that needs nothing else: style, charts and pictures are inside."""

from typing import Final

import jinja2

from pipeline.report.blocks import Page, Section
from pipeline.report.facts import RunFacts
from pipeline.report.metric_sections import (
    errors_section,
    learning_section,
    metrics_section,
    slices_section,
)
from pipeline.report.run_sections import data_section, what_ran
from pipeline.report.training_samples import training_section
from pipeline.report.verdict import run_verdict

TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("pipeline.report"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def run_page(facts: RunFacts, pictures: Section) -> Page:
    """Returns the report of a run.

    Args:
      facts: What is known of the run.
      pictures: The section with the gallery.
    """
    record = facts.record
    dataset = record.dataset
    data = f" · {dataset.name} {dataset.version}" if dataset else ""
    return Page(
        title=f"{record.pipeline} · run {record.run_id}",
        subtitle=f"{record.started:%d %B %Y, %H:%M} UTC{data}",
        verdict=run_verdict(record),
        sections=[
            metrics_section(facts),
            errors_section(facts),
            pictures,
            slices_section(facts),
            learning_section(facts),
            training_section(facts),
            data_section(facts),
            what_ran(facts),
        ],
    )


def html(page: Page) -> str:
    """Returns a page as HTML."""
    return TEMPLATES.get_template("page.html").render(page=page)
