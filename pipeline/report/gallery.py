"""The pictures of a report: which images are worth a look, and their truth, prediction and errors as thumbnails."""

import base64
import heapq
import io
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.tfds_example_gen.example_names import shown_names
from pipeline.report.blocks import Picture, PictureRow
from trainer_module.class_colors import mask_image
from trainer_module.encoded_images import ImageRefusedError, upright_image
from trainer_module.errors import DataError

if TYPE_CHECKING:
    from pipeline.report.image_scores import ScoredImage
    from pipeline.served_model import ServedModel

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


@dataclass
class Selection:
    """The images that a gallery shows; of all others only the names are kept."""

    random: "list[ScoredImage]" = field(default_factory=list)
    """The same images for every model that is evaluated on the same data."""

    worst: "list[ScoredImage]" = field(default_factory=list)
    """The worst first."""

    best: "list[ScoredImage]" = field(default_factory=list)
    """The best first."""

    fallen: "list[ScoredImage]" = field(default_factory=list)
    """Those with a lower mean IoU than under the baseline, the largest change first."""

    risen: "list[ScoredImage]" = field(default_factory=list)
    """Those with a higher one, the largest change first."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Example id to what to call the image (`shown_names`), of all images."""


def select(images: "Iterable[ScoredImage]") -> Selection:
    """Returns a random sample (by reservoir sampling), and the extremes of any number of images."""
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
        _keep(worst, WORST_COUNT, (-image.mean_iou, -index, image))
        _keep(best, BEST_COUNT, (image.mean_iou, -index, image))
        change = image.change.difference if image.change else 0.0
        if change:
            _keep(fallen if change < 0 else risen, CHANGED_COUNT, (abs(change), -index, image))
    names = shown_names(file_names)
    return Selection(sample, _ordered(worst), _ordered(best), _ordered(fallen), _ordered(risen), names)


def picture_row(
    image: "ScoredImage", name: str, models: "dict[str, ServedModel]", mask_values: tuple[int, ...]
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
    iou = image.change.words if image.change and len(models) > 1 else f"mean IoU {image.mean_iou:.3f}"
    return PictureRow(name, " · ".join((iou, *image.labels)), pictures)


def _pictures(
    image: "ScoredImage", name: str, models: "dict[str, ServedModel]", mask_values: tuple[int, ...]
) -> list[Picture]:
    photo = upright_image(image.image)
    photo.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    truth = _truth(image.mask, mask_values, photo.size)
    pictures = [Picture("image", _jpeg(photo)), Picture("truth", _png(mask_image(truth, len(mask_values))))]
    for label, model in models.items():
        predicted = _nearest(model.predict(image.image, name), photo.size)
        errors = "errors" if len(models) == 1 else f"errors {label.removeprefix('prediction ')}"
        pictures += [
            Picture(label, _png(mask_image(predicted, len(mask_values)))),
            Picture(errors, _jpeg(error_image(photo, truth != predicted))),
        ]
    return pictures


def picture_rows(
    selection: Selection,
    images: "Iterable[ScoredImage]",
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
    return _png(small) if is_mask else _jpeg(small)


def _keep(heap: "list[tuple[float, int, ScoredImage]]", size: int, entry: "tuple[float, int, ScoredImage]") -> None:
    """Keeps the largest entries; the indices in them are different, so that images are never compared."""
    if len(heap) < size:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)


def _ordered(heap: "list[tuple[float, int, ScoredImage]]") -> "list[ScoredImage]":
    """Returns the images of the entries, the largest first."""
    return [image for *_, image in sorted(heap, reverse=True)]


def _truth(encoded: bytes, mask_values: tuple[int, ...], size: tuple[int, int]) -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
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
