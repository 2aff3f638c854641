"""A survey as one HTML page that needs nothing else: tables, charts, a contact sheet, and what is wrong."""

from collections.abc import Iterable
from typing import Final

from components.data_statistics import SHARE_EDGES
from components.segmentation_validator.kinds import Kind, counted
from pipeline.data.description import charts
from pipeline.data.description.drawing import Palette, look_at
from pipeline.data.description.looking import Example
from pipeline.data.description.survey import Survey
from pipeline.data.description.tables import (
    absent_classes,
    classes_table,
    findings_table,
    headline,
    labels_table,
    sizes_line,
    splits_table,
)
from pipeline.report.blocks import (
    HATCHED,
    Block,
    Cell,
    Figure,
    Figures,
    Gallery,
    Legend,
    Note,
    Page,
    Picture,
    PictureRow,
    Section,
    Verdict,
)
from pipeline.report.gallery import THUMBNAIL_SIDE, thumbnail_uri
from pipeline.report.page import html

_MOST_CLASS_CHARTS: Final = 12
_NOT_TRAINED_ON: Final = (
    Kind.UNREADABLE_IMAGE,
    Kind.UNREADABLE_MASK,
    Kind.SIZE_MISMATCH,
    Kind.UNDECLARED_VALUES,
    Kind.SHARED_IMAGE,
)
"""What a run refuses, or leaves out."""
_QUANTITIES: Final = {
    "width": "width in pixels",
    "height": "height in pixels",
    "aspect": "width by height",
    "brightness": "mean luma",
    "contrast": "standard deviation of luma",
    "sharpness": "variance of the Laplacian of luma",
}


def description_page(survey: Survey) -> str:
    """Returns the page as HTML."""
    palette = Palette(survey.meaning, survey.classes)
    page = Page(
        title=survey.full_name,
        subtitle=survey.data_dir,
        verdict=_verdict(survey),
        sections=[
            Section("Splits", _splits(survey)),
            Section("Classes", _classes(survey, palette)),
            Section("Images", _images(survey)),
            Section("Contact sheet", _contact_sheet(survey, palette)),
            Section("Findings", _findings(survey, palette)),
        ],
    )
    return html(page)


def _verdict(survey: Survey) -> Verdict:
    absent = [*absent_classes(survey)]
    found = [counted(kind, count) for kind, count in sorted(survey.finding_counts.items())]
    if not survey.meaning.is_known:
        absent.append(
            "Nobody says what the mask values mean: name the classes in data.class_names and data.mask_values."
        )
    reason = " ".join([sizes_line(survey), *([f"Found: {', '.join(found)}."] if found else []), *absent])
    is_bad = absent or any(survey.finding_counts[kind] for kind in _NOT_TRAINED_ON)
    return Verdict("bad" if is_bad else "neutral" if found else "good", headline(survey), reason)


def _splits(survey: Survey) -> list[Block]:
    labels = labels_table(survey)
    return [splits_table(survey), *([labels] if labels else [])]


def _classes(survey: Survey, palette: Palette) -> list[Block]:
    names = [survey.meaning.class_names[class_id] for class_id in survey.classes]
    shares = {
        split: [int(one.class_pixels[class_id]) / (one.labelled_pixels or 1) for class_id in survey.classes]
        for split, one in survey.statistics.splits.items()
    }
    blocks: list[Block] = [classes_table(survey, palette.css)]
    if not shares or not names:
        return blocks
    figures = [
        Figure(
            charts.class_chart("classes", names, shares),
            "Where splits differ, a model is judged on other data than it learns from.",
        )
    ]
    whole = survey.whole
    for class_id, name in zip(survey.classes[:_MOST_CLASS_CHARTS], names, strict=False):
        counts = whole.shares[class_id].tolist()
        svg = charts.presence_chart(f"class-{class_id}", name, counts, SHARE_EDGES)
        figures.append(Figure(svg, f"How much of an image is {name}."))
    return [*blocks, Figures(figures)]


def _images(survey: Survey) -> list[Block]:
    whole = survey.whole
    figures = [
        Figure(
            charts.quantity_chart(quantity, quantity, label, whole.histograms[quantity].tolist()), quantity.capitalize()
        )
        for quantity, label in _QUANTITIES.items()
    ]
    return [Note(sizes_line(survey)), Figures(figures)]


def _contact_sheet(survey: Survey, palette: Palette) -> list[Block]:
    order = [*survey.splits]
    sample = sorted(survey.sample, key=lambda each: (order.index(each[0]), each[1].file_name))
    rows = [_row(example, split, palette) for split, example in sample]
    caption = f"{len(rows)} images at random, the same whenever the same data is looked at."
    return [_legend(survey, palette), Gallery("A random sample", caption, rows)]


def _findings(survey: Survey, palette: Palette) -> list[Block]:
    table = findings_table(survey)
    if table is None:
        return [Note("Nothing is wrong with an image or mask.")]
    flawed = sorted(survey.flawed, key=lambda each: each.kind)
    rows = [
        _row(each.example, f"{each.kind.replace('_', ' ')} · {each.split}", palette, each.partner) for each in flawed
    ]
    caption = "The first ones of each kind."
    return [table, _legend(survey, palette), Gallery("What was found", caption, rows)]


def _legend(survey: Survey, palette: Palette) -> Legend:
    classes: Iterable[int] = survey.classes
    entries = [Cell(survey.meaning.class_names[each], swatch=palette.css[each]) for each in classes]
    unlabelled = [*survey.meaning.ignore_values, *survey.undeclared]
    return Legend([*entries, *([Cell("not labelled", swatch=HATCHED)] if unlabelled else [])], with_errors=False)


def _row(example: Example, detail: str, palette: Palette, partner: Example | None = None) -> PictureRow:
    seen = look_at(example, palette, THUMBNAIL_SIDE)
    if isinstance(seen, str):
        return PictureRow(example.file_name, f"{detail}; cannot be shown: {seen}", [])
    overlay = palette.overlay(seen.photo, seen.class_ids)
    pictures = {"image": seen.photo, "mask": palette.mask(seen.class_ids), "overlay": overlay}
    other = look_at(partner, palette, THUMBNAIL_SIDE) if partner else ""
    if partner and not isinstance(other, str):
        pictures[partner.file_name] = other.photo
    shown = [Picture(label, thumbnail_uri(picture)) for label, picture in pictures.items()]
    return PictureRow(example.file_name, detail, shown)
