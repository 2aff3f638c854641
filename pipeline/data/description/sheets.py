"""Pages of a data set's images with their masks laid over them, as picture files to leaf through."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from pipeline.data.description.drawing import Palette, look_at
from pipeline.data.description.looking import Example, mapped_in_order, stored_examples
from pipeline.data.description.opening import Meaning, OpenedDataset
from pipeline.suggestions import nearest
from pipeline.terminal.streams import printable
from trainer_module.errors import ConfigError, DataError, PetsegError
from trainer_module.features import NOT_LABELLED

ROWS: Final = 4
_SIDE: Final = 240
_GAP: Final = 12
_LINE: Final = 18
_TEXT_SIZE: Final = 13
_SWATCH: Final = 12
_MOST_LINES: Final = 6
_PAPER: Final = (255, 255, 255)
_INK: Final = (27, 31, 36)
_MUTED: Final = (87, 96, 106)
_JPEG_QUALITY: Final = 90
_Font = ImageFont.FreeTypeFont
_FONT: Final = "DejaVu Sans"
"""Comes with matplotlib, and has the letters of most alphabets."""


@dataclass(frozen=True)
class PagesRequest:
    """Which pages to draw."""

    splits: Sequence[str]
    pages: int
    """Of each split, at most."""

    columns: int
    only: str | None = None
    """The class that an image must have, by its name or mask value; None: any image."""

    @property
    def cells(self) -> int:
        """Images of a page."""
        return self.columns * ROWS


class _Drawn(NamedTuple):
    """An image with its mask laid over it, or why it cannot be shown."""

    example: Example
    picture: Image.Image | None
    reason: str
    met: frozenset[int]
    """Class ids of its mask; `NOT_LABELLED` among them where some pixel is not labelled."""


def write_pages(opened: OpenedDataset, request: PagesRequest, out: Path) -> Iterator[Path]:
    """Draws the pages, and yields each file when it is written: `NAME_SPLIT_001.jpg`.

    Args:
      opened: The data set.
      request: Which of it.
      out: The directory; made if absent.

    Raises:
      ConfigError: There is no such class.
      DataError: No image has it.
      PetsegError: A file cannot be written.
    """
    only = _class_id(opened.meaning, request.only)
    palette = Palette(opened.meaning, [*range(len(opened.meaning.class_names))])
    written = 0
    for split in request.splits:
        drawn = mapped_in_order(partial(_drawn, palette), stored_examples(opened.builder, opened.source, split))
        matching = (each for each in drawn if only is None or only in each.met)
        for number in range(1, request.pages + 1):
            cells = [*itertools.islice(matching, request.cells)]
            if not cells:
                break
            title = f"{opened.builder.info.full_name} · {split} · page {number}"
            page = _page(cells, title, request.columns, opened.meaning, palette)
            yield _save(page, out, f"{opened.builder.name}_{_file_part(split)}_{number:03}.jpg")
            written += 1
    if not written:
        where = f"{opened.builder.info.full_name}, {', '.join(request.splits)}"
        raise DataError(f"{where}: no image has {f'a pixel of {request.only!r}' if only is not None else 'been found'}")


def _class_id(meaning: Meaning, only: str | None) -> int | None:
    """Returns the id of a class by its name or mask value.

    Raises:
      ConfigError: There is no such class.
    """
    if only is None:
        return None
    if only in meaning.class_names:
        return meaning.class_names.index(only)
    values = [str(value) for value in meaning.mask_values]
    if only in values:
        return values.index(only)
    known = ", ".join(meaning.class_names) if meaning.is_known else "every mask value, 0 to 255"
    hint = f"did you mean {nearest(only, meaning.class_names)!r}? " if meaning.is_known else ""
    raise ConfigError(f"--only {only}: there is no such class; {hint}There are {known}")


def _drawn(palette: Palette, example: Example) -> _Drawn:
    seen = look_at(example, palette, _SIDE)
    if isinstance(seen, str):
        return _Drawn(example, None, seen, frozenset())
    return _Drawn(example, palette.overlay(seen.photo, seen.class_ids), "", seen.met)


def _page(cells: Sequence[_Drawn], title: str, columns: int, meaning: Meaning, palette: Palette) -> Image.Image:
    """Returns a page: a title, the colours of the classes on it, and the images with their names."""
    font = ImageFont.truetype(findfont(_FONT), _TEXT_SIZE)
    width = columns * (_SIDE + _GAP) + _GAP
    met = sorted(set[int]().union(*(cell.met for cell in cells)))
    legend = _legend(met, meaning, palette, font, width - 2 * _GAP)
    top = _GAP + _LINE * (len(legend) + 1) + _GAP
    row_height = _SIDE + _LINE + _GAP
    rows = -(-len(cells) // columns)
    page = Image.new("RGB", (width, top + rows * row_height), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_GAP, _GAP), title, _INK, font)
    for line, entries in enumerate(legend, start=1):
        x, y = float(_GAP), _GAP + _LINE * line
        for name, class_id in entries:
            page.paste(palette.swatch(class_id, _SWATCH), (round(x), y + 3))
            draw.text((x + _SWATCH + _GAP / 2, y), name, _MUTED, font)
            x += _entry_width(name, font)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        _draw_cell(page, draw, cell, (_GAP + column * (_SIDE + _GAP), top + row * row_height), font)
    return page


def _legend(
    met: Iterable[int], meaning: Meaning, palette: Palette, font: _Font, width: int
) -> list[list[tuple[str, int]]]:
    """Returns lines of names with class ids, none wider than the page, of what an overlay shows by its colour."""
    lines: list[list[tuple[str, int]]] = [[]]
    used = 0.0
    for class_id in filter(palette.is_tinted, met):
        is_class = class_id < len(meaning.class_names) and (meaning.is_known or class_id != NOT_LABELLED)
        name = printable(meaning.class_names[class_id]) if is_class else "not labelled"
        needed = _entry_width(name, font)
        if lines[-1] and used + needed > width:
            lines.append([])
            used = 0
        lines[-1].append((name, class_id))
        used += needed
    return lines


def _entry_width(name: str, font: _Font) -> float:
    return _SWATCH + _GAP / 2 + font.getlength(name) + 1.5 * _GAP


def _draw_cell(
    page: Image.Image, draw: ImageDraw.ImageDraw, cell: _Drawn, corner: tuple[int, int], font: _Font
) -> None:
    x, y = corner
    if cell.picture is None:
        draw.rectangle((x, y, x + _SIDE, y + _SIDE), outline=_MUTED)
        lines = _wrapped(f"cannot be shown: {cell.reason}", font)[:_MOST_LINES]
        draw.multiline_text((x + _GAP, y + _GAP), "\n".join(lines), _MUTED, font)
    else:
        left, upper = ((_SIDE - length) // 2 for length in cell.picture.size)
        page.paste(cell.picture, (x + left, y + upper))
    draw.text((x, y + _SIDE + 2), _fitted(printable(cell.example.file_name), font), _INK, font)


def _fitted(name: str, font: _Font) -> str:
    """Returns the end of a name that is too long for its column."""
    shown = name
    while font.getlength(shown) > _SIDE and len(shown) > 2:
        shown = f"…{shown[2:]}"
    return shown


def _wrapped(text: str, font: _Font) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= _SIDE - 2 * _GAP or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _file_part(split: str) -> str:
    """Returns what a file name can have of a slice.

    >>> _file_part("train[:10%]")
    'train_10'
    """
    return "_".join("".join(character if character.isalnum() else " " for character in split).split())


def _save(page: Image.Image, out: Path, name: str) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        page.save(out / name, quality=_JPEG_QUALITY)
    except OSError as error:
        raise PetsegError(f"cannot write {str(out / name)!r}: {error.strerror or error}; name another --out") from error
    return out / name
