"""Contact sheets: galleries as one picture, an image in each column."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure
from PIL import Image

from pipeline.report.blocks import Gallery, PictureRow

_CELL_INCHES: Final = 1.4
_TITLE_INCHES: Final = 0.75
_LABEL_INCHES: Final = 1.0
_NAME_CHARACTERS: Final = 30
_DOTS_PER_INCH: Final = 144


def write_sheet(galleries: Sequence[Gallery], file: Path) -> None:
    """Writes galleries below each other as PNG; the pictures of an image stand below each other under its name."""
    columns = max(len(gallery.rows) for gallery in galleries)
    heights = [_TITLE_INCHES + _CELL_INCHES * _depth(gallery) for gallery in galleries]
    figure = Figure(figsize=(_LABEL_INCHES + _CELL_INCHES * columns, sum(heights)), dpi=_DOTS_PER_INCH)
    parts = figure.subfigures(len(galleries), height_ratios=heights, squeeze=False)
    for gallery, height, part in zip(galleries, heights, parts[:, 0], strict=True):
        _draw(part, gallery, columns, height)
    figure.savefig(file, format="png", facecolor="white")


def _depth(gallery: Gallery) -> int:
    return max((len(row.pictures) for row in gallery.rows), default=0) or 1


def _draw(part: Any, gallery: Gallery, columns: int, height: float) -> None:
    depth = _depth(gallery)
    width = _LABEL_INCHES + _CELL_INCHES * columns
    part.suptitle(gallery.title, x=0.1 / width, ha="left", y=1 - 0.08 / height, va="top", fontsize=11, weight="bold")
    axes = part.subplots(depth, columns, squeeze=False)
    top = 1 - (_TITLE_INCHES - 0.1) / height
    left, bottom = _LABEL_INCHES / width, 0.05 / height
    part.subplots_adjust(left=left, right=0.995, top=top, bottom=bottom, wspace=0.06, hspace=0.06)
    for axis in axes.flat:
        axis.set_axis_off()
    for column, row in enumerate(gallery.rows):
        _draw_column([axes[line, column] for line in range(depth)], row)
    labelled = max(gallery.rows, key=lambda row: len(row.pictures))
    for axis, picture in zip(axes[:, 0], labelled.pictures, strict=False):
        middle = axis.get_position().y0 + axis.get_position().height / 2
        part.text(left - 0.08 / width, middle, picture.label, ha="right", va="center", fontsize=8)


def _draw_column(axes: Sequence[Any], row: PictureRow) -> None:
    name = row.name if len(row.name) <= _NAME_CHARACTERS else f"…{row.name[1 - _NAME_CHARACTERS :]}"
    detail = row.detail.partition(" · ")[0]
    axes[0].set_title("\n".join(filter(None, (name, detail))), fontsize=6, parse_math=False)
    for axis, picture in zip(axes, row.pictures, strict=False):
        content = base64.b64decode(picture.uri.partition("base64,")[2])
        with Image.open(io.BytesIO(content)) as image:
            axis.imshow(image.convert("RGB"), interpolation="nearest")
            side = max(image.size)
            margins = [(length - side) / 2 - 0.5 for length in image.size]
        axis.set(xlim=(margins[0], margins[0] + side), ylim=(margins[1] + side, margins[1]))
