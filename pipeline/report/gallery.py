"""The pictures of a report: which images are worth a look, and their truth, prediction and errors as thumbnails.

Also contact sheets: galleries as one picture file, an image in each column.
"""

import base64
import heapq
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from components.tfds_example_gen.example_names import shown_names
from pipeline.report.blocks import Gallery, Picture, PictureRow
from pipeline.report.image_scores import ScoredImage
from trainer_module.encoded_images import ImageRefusedError, upright_image
from trainer_module.errors import DataError
from trainer_module.features import NOT_LABELLED
from trainer_module.model_card import hatched, mask_image

if TYPE_CHECKING:
    from pipeline.models.loading import ServedModel

THUMBNAIL_SIDE: Final = 160
RANDOM_COUNT: Final = 8
WORST_COUNT: Final = 8
BEST_COUNT: Final = 4
CHANGED_COUNT: Final = 4
"""Of the images that rose, and of those that fell."""

_SEED: Final = 0
_JPEG_QUALITY: Final = 82
_ERROR_COLOR: Final = (255, 45, 120)
_FADED: Final = 0.45

_CELL_INCHES: Final = 1.4
_TITLE_INCHES: Final = 0.75
_LABEL_INCHES: Final = 1.0
_NAME_CHARACTERS: Final = 30
_DOTS_PER_INCH: Final = 144


@dataclass
class Selection:
    """The images that a gallery shows; of all others only the names are kept."""

    random: list[ScoredImage] = field(default_factory=list)
    """The same images for every model that is evaluated on the same data."""

    worst: list[ScoredImage] = field(default_factory=list)
    """The worst first."""

    best: list[ScoredImage] = field(default_factory=list)
    """The best first."""

    fallen: list[ScoredImage] = field(default_factory=list)
    """Those with a lower mean IoU than under the baseline, the largest change first."""

    risen: list[ScoredImage] = field(default_factory=list)
    """Those with a higher one, the largest change first."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Example id to what to call the image (`shown_names`), of all images."""


def select(images: Iterable[ScoredImage]) -> Selection:
    """Returns a random sample (by reservoir sampling), and the extremes of any number of images that have labels."""
    generator = random.Random(_SEED)
    sample: list[ScoredImage] = []
    worst: list[tuple[float, int, ScoredImage]] = []
    best: list[tuple[float, int, ScoredImage]] = []
    fallen: list[tuple[float, int, ScoredImage]] = []
    risen: list[tuple[float, int, ScoredImage]] = []
    file_names = {}
    for index, image in enumerate(images):
        file_names[image.example_id] = image.file_name
        position = index if index < RANDOM_COUNT else generator.randint(0, index)
        if position < RANDOM_COUNT:
            sample[position : position + 1] = [image]
        if image.mean_iou is None:
            continue
        _keep(worst, WORST_COUNT, (-image.mean_iou, -index, image))
        _keep(best, BEST_COUNT, (image.mean_iou, -index, image))
        change = image.change.difference if image.change else 0.0
        if change:
            _keep(fallen if change < 0 else risen, CHANGED_COUNT, (abs(change), -index, image))
    names = shown_names(file_names)
    return Selection(sample, _ordered(worst), _ordered(best), _ordered(fallen), _ordered(risen), names)


def picture_row(
    image: ScoredImage, name: str, models: "dict[str, ServedModel]", mask_values: tuple[int, ...]
) -> PictureRow:
    """Returns an image with its truth, and the prediction and the errors of each model; or why it cannot be shown.

    Args:
      image: The image.
      name: What to call it.
      models: What to call the prediction of each model, to the model.
      mask_values: The value of each class in the raw mask.
    """
    try:
        pictures = _pictures(image, name, models, mask_values)
    except (ImageRefusedError, DataError, OSError, ValueError) as error:
        return PictureRow(name, f"cannot be shown: {error}", [])
    iou = "not labelled" if image.mean_iou is None else f"mean IoU {image.mean_iou:.3f}"
    if image.change and len(models) > 1:
        iou = image.change.words
    return PictureRow(name, " · ".join((iou, *image.labels)), pictures)


def _pictures(
    image: ScoredImage, name: str, models: "dict[str, ServedModel]", mask_values: tuple[int, ...]
) -> list[Picture]:
    photo = upright_image(image.image)
    photo.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    truth = _truth(image.mask, mask_values, photo.size)
    truth_image = hatched(mask_image(truth, len(mask_values)))
    pictures = [Picture("image", _jpeg(photo)), Picture("truth", _png(truth_image))]
    for label, model in models.items():
        predicted = _nearest(model.predict(image.image, name), photo.size)
        errors = "errors" if len(models) == 1 else f"errors {label.removeprefix('prediction ')}"
        pictures += [
            Picture(label, _png(mask_image(predicted, len(mask_values)))),
            Picture(errors, _jpeg(error_image(photo, (truth != predicted) & (truth != NOT_LABELLED)))),
        ]
    return pictures


def picture_rows(
    selection: Selection,
    images: Iterable[ScoredImage],
    models: "dict[str, ServedModel]",
    mask_values: tuple[int, ...],
) -> list[PictureRow]:
    """Returns a `picture_row` of each of some selected images, under names that tell all images apart."""
    return [picture_row(image, selection.names[image.example_id], models, mask_values) for image in images]


def error_image(photo: Image.Image, wrong: NDArray[np.bool_]) -> Image.Image:
    """Returns the photo, grey and faded, with the wrong pixels in one strong colour."""
    gray = np.asarray(photo.convert("L"), np.float32)[..., np.newaxis].repeat(3, axis=-1) * _FADED
    return Image.fromarray(np.where(wrong[..., np.newaxis], _ERROR_COLOR, gray).astype(np.uint8))


def thumbnail_uri(image: Image.Image) -> str:
    """Returns a photo, or a mask with its palette, as a data URI of at most the size of a thumbnail."""
    is_mask = image.mode == "P"
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.NEAREST if is_mask else Image.Resampling.LANCZOS)
    return _png(hatched(small)) if is_mask else _jpeg(small)


def write_sheet(galleries: Sequence[Gallery], file: Path) -> None:
    """Writes galleries below each other as PNG; the pictures of an image stand below each other under its name."""
    columns = max(len(gallery.rows) for gallery in galleries)
    heights = [_TITLE_INCHES + _CELL_INCHES * _depth(gallery) for gallery in galleries]
    figure = Figure(figsize=(_LABEL_INCHES + _CELL_INCHES * columns, sum(heights)), dpi=_DOTS_PER_INCH)
    parts = figure.subfigures(len(galleries), height_ratios=heights, squeeze=False)
    for gallery, height, part in zip(galleries, heights, parts[:, 0], strict=True):
        _draw(part, gallery, columns, height)
    figure.savefig(file, format="png", facecolor="white")


def _keep(heap: list[tuple[float, int, ScoredImage]], size: int, entry: tuple[float, int, ScoredImage]) -> None:
    """Keeps the largest entries; the indices in them are different, so that images are never compared."""
    if len(heap) < size:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)


def _ordered(heap: list[tuple[float, int, ScoredImage]]) -> list[ScoredImage]:
    """Returns the images of the entries, the largest first."""
    return [image for *_, image in sorted(heap, reverse=True)]


def _truth(encoded: bytes, mask_values: tuple[int, ...], size: tuple[int, int]) -> NDArray[np.uint8]:
    table = np.full(256, NOT_LABELLED, np.uint8)
    table[list(mask_values)] = np.arange(len(mask_values))
    with Image.open(io.BytesIO(encoded)) as mask:
        return table[_nearest(np.asarray(mask), size)]


def _nearest(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns a mask at another size (width, height), without values that it has not."""
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _jpeg(image: Image.Image) -> str:
    return _data_uri(image, "jpeg", quality=_JPEG_QUALITY)


def _png(image: Image.Image) -> str:
    return _data_uri(image, "png", optimize=True)


def _data_uri(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


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
