"""A survey in tables, for the terminal and the page, and as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from components.data_statistics import SplitSummary
from components.segmentation_validator.kinds import Kind, counted
from pipeline.data.description.survey import Survey, median
from pipeline.report.blocks import HATCHED, Cell, Table
from pipeline.terminal.tables import size_words

_MOST_SPLIT_COLUMNS: Final = 4
_SHOWN_NAMES: Final = 5
_SHOWN_REASONS: Final = 2
_PAIRS: Final = (Kind.DUPLICATE, Kind.SHARED_IMAGE, Kind.NEAR_DUPLICATE, Kind.NEAR_SHARED_IMAGE)


def headline(survey: Survey) -> str:
    """Returns the size of a data set in a line."""
    images = sum(survey.splits.values())
    classes = (
        f"{len(survey.classes)} {'classes' if survey.meaning.is_known else 'mask values, whose meaning nobody says'}"
    )
    splits = f"{len(survey.splits)} split{'s' if len(survey.splits) > 1 else ''}"
    return f"{images:,} images in {splits}, {classes}, {size_words(survey.size_bytes)}"


def sizes_line(survey: Survey) -> str:
    """Returns the sizes of the images in a line."""
    if not survey.heights:
        return "No image can be read."
    middle = f"{median(survey.widths):,}×{median(survey.heights):,}"
    if len(survey.widths) == len(survey.heights) == 1:
        return f"Images: all {middle} pixels (width × height)."
    sides = [*survey.widths, *survey.heights]
    return f"Images: median {middle} pixels (width × height), sides from {min(sides):,} to {max(sides):,}."


def splits_table(survey: Survey) -> Table:
    """Returns each split with what its images are like."""
    rows = [_split_row(name, survey.splits[name], survey.statistics.splits.get(name)) for name in survey.splits]
    columns = ["split", "images", "usable", "labelled area", "without a label", "brightness", "contrast", "sharpness"]
    caption = (
        "Labelled area: of the usable images’ pixels. Brightness and contrast: mean and standard deviation of an "
        "image’s luma, 0 to 1; sharpness: variance of its Laplacian, in thousandths; means over the images."
    )
    return Table(columns, rows, caption)


def classes_table(survey: Survey, colors: dict[int, str]) -> Table:
    """Returns each class with its share of the labelled pixels, in all and in each split.

    Args:
      survey: What was seen.
      colors: Class id to its colour, as CSS writes it.
    """
    splits = survey.statistics.splits
    by_split = splits if 1 < len(splits) <= _MOST_SPLIT_COLUMNS else {}
    rows = [_class_row(survey, class_id, colors.get(class_id), by_split) for class_id in survey.classes]
    blanks = [""] * len(by_split)
    for value in survey.meaning.ignore_values:
        rows.append(_value_row(survey, Cell("not labelled", swatch=HATCHED), value, blanks))
    for value in survey.undeclared:
        rows.append(_value_row(survey, Cell("undeclared", tone="bad"), value, blanks))
    caption = (
        "Share: of the labelled pixels. Images: in how many it is met. Thickness: twice the area by the outline, the "
        "median over those images, as a share of the image’s side: of 128 pixels, 3.1% are 4."
    )
    columns = ["class", "mask value", "share", *(f"in {split}" for split in by_split), "images", "thickness"]
    return Table(columns, rows, caption)


def labels_table(survey: Survey) -> Table | None:
    """Returns the scalar features that an evaluation could be sliced by; None where there is none."""
    rows = []
    for name, counts in sorted(survey.whole.values.items()):
        common = counts.most_common()
        rows.append([name, f"{len(counts):,}", _counted(*common[0]), _counted(*common[-1])])
    words = ("most frequent", "rarest")
    return Table(["feature", "values", *words], rows, words=words) if rows else None


def findings_table(survey: Survey) -> Table | None:
    """Returns what is wrong with examples; None where nothing is."""
    rows: list[list[str | Cell]] = [
        [Cell(counted(kind, count), tone="bad"), _places(survey, kind), _names(survey, kind)]
        for kind, count in sorted(survey.finding_counts.items())
    ]
    return Table(["finding", "where", "files"], rows, words=("where", "files")) if rows else None


def absent_classes(survey: Survey) -> Iterator[str]:
    """Yields a sentence on the declared classes that no image has, and on those that a split lacks."""
    if not survey.meaning.is_known:
        return
    names, everywhere = survey.meaning.class_names, survey.whole.class_pixels == 0
    absent = {"": everywhere} | {
        f" of {split}": (one.class_pixels == 0) & ~everywhere for split, one in survey.statistics.splits.items()
    }
    for of_split, is_absent in absent.items():
        if is_absent.any():
            listed = ", ".join(name for name, lacks in zip(names, is_absent, strict=True) if lacks)
            yield f"No image{of_split} has a pixel of {listed}."


def as_json(survey: Survey) -> dict[str, Any]:
    """Returns a survey as JSON: `splits`, `classes`, `mask_values`, `sizes`, `features` and `findings`."""
    meaning, whole = survey.meaning, survey.whole
    return {
        "dataset": {
            "name": survey.name,
            "version": survey.version,
            "data_dir": survey.data_dir,
            "bytes": survey.size_bytes,
        },
        "splits": {
            name: _split_json(count, survey.statistics.splits.get(name)) for name, count in survey.splits.items()
        },
        "classes_are_known": meaning.is_known,
        "classes": [_class_json(survey, class_id) for class_id in survey.classes],
        "ignore_values": list(meaning.ignore_values),
        "undeclared_values": survey.undeclared,
        "mask_values": {
            str(value): {"pixels": int(pixels), "images": int(survey.value_images[value])}
            for value, pixels in enumerate(survey.value_pixels)
            if pixels
        },
        "sizes": {"width": _range(survey.widths), "height": _range(survey.heights)},
        "features": {name: dict(counts.most_common()) for name, counts in sorted(whole.values.items())},
        "findings": {
            kind.value: {
                "count": count,
                "examples": [vars(each) for each in survey.findings[kind]],
            }
            for kind, count in sorted(survey.finding_counts.items())
        },
    }


def _class_row(
    survey: Survey, class_id: int, color: str | None, by_split: Mapping[str, SplitSummary]
) -> list[str | Cell]:
    value, whole = survey.meaning.mask_values[class_id], survey.whole
    thickness = survey.median_thickness(value)
    return [
        Cell(survey.meaning.class_names[class_id], swatch=color),
        str(value),
        *(share(int(one.class_pixels[class_id]), one.labelled_pixels) for one in (whole, *by_split.values())),
        f"{int(whole.images_with_class[class_id]):,}",
        "" if thickness is None else f"{thickness:.1%}",
    ]


def _value_row(survey: Survey, name: Cell, value: int, blanks: Sequence[str]) -> list[str | Cell]:
    """Returns the row of a mask value that is no class."""
    of_all = share(int(survey.value_pixels[value]), int(survey.value_pixels.sum()))
    return [name, str(value), f"{of_all} of all", *blanks, f"{int(survey.value_images[value]):,}", ""]


def _class_json(survey: Survey, class_id: int) -> dict[str, Any]:
    value, whole = survey.meaning.mask_values[class_id], survey.whole
    return {
        "name": survey.meaning.class_names[class_id],
        "mask_value": value,
        "pixels": int(whole.class_pixels[class_id]),
        "images": int(whole.images_with_class[class_id]),
        "pixels_by_split": {split: int(one.class_pixels[class_id]) for split, one in survey.statistics.splits.items()},
        "median_thickness": survey.median_thickness(value),
    }


def _split_row(name: str, examples: int, summary: SplitSummary | None) -> list[str]:
    if summary is None:
        return [name, f"{examples:,}", "0", *[""] * 5]
    area = summary.labelled_pixels + summary.ignored_pixels
    sharpness = summary.mean("sharpness")
    return [
        name,
        f"{examples:,}",
        f"{summary.examples:,}",
        share(summary.labelled_pixels, area),
        f"{summary.unlabelled_examples:,}",
        *(f"{summary.mean(quantity) or 0:.2f}" for quantity in ("brightness", "contrast")),
        f"{(sharpness or 0) * 1000:.1f}",
    ]


def _split_json(examples: int, summary: SplitSummary | None) -> dict[str, Any]:
    found: dict[str, Any] = {"examples": examples, "usable": summary.examples if summary else 0}
    if summary is None:
        return found
    means = {quantity: summary.mean(quantity) for quantity in ("brightness", "contrast", "sharpness")}
    return found | {
        "unlabelled_examples": summary.unlabelled_examples,
        "labelled_pixels": summary.labelled_pixels,
        "ignored_pixels": summary.ignored_pixels,
        **means,
    }


def _range(counts: Counter[int]) -> dict[str, int] | None:
    return {"least": min(counts), "median": median(counts), "greatest": max(counts)} if counts else None


def share(part: int, whole: int) -> str:
    """Writes a share such that little is not nothing.

    >>> share(0, 100), share(1, 10**6), share(1, 3)
    ('0%', '< 0.01%', '33.33%')
    """
    if not part or not whole:
        return "0%"
    return "< 0.01%" if part / whole < 5e-5 else f"{part / whole:.2%}"


def _counted(value: str, count: int) -> str:
    return f"{value} ({count:,})"


def _places(survey: Survey, kind: Kind) -> str:
    counts = Counter(each.split for each in survey.findings[kind])
    return ", ".join(f"{split} {count:,}" for split, count in counts.items())


def _names(survey: Survey, kind: Kind) -> str:
    found = survey.findings[kind]
    with_reason = kind in _PAIRS or len(found) == 1
    most = _SHOWN_REASONS if with_reason else _SHOWN_NAMES
    shown = [f"{each.file_name}: {each.detail}" if with_reason else each.file_name for each in found[:most]]
    more = survey.finding_counts[kind] - len(shown)
    return ("; " if with_reason else ", ").join(shown) + (f" and {more:,} more" if more else "")
