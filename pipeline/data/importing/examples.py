"""From one picture of a source to what its example holds: decoded once, mask and image in agreement, or dropped."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Literal

from PIL import Image

from components.dataset_card import DatasetCard
from pipeline.data.formats.annotation import MaskPixels, MaskRefusedError, Picture
from pipeline.data.formats.images import StoredImage, stored_image
from pipeline.data.importing.dates import exif_day
from pipeline.data.importing.entries import Entry
from pipeline.data.importing.stamps import bytes_digest, content_digest
from trainer_module import features
from trainer_module.encoded_images import UPRIGHT, ImageHeader, ImageRefusedError

TURNED: Final = "mask turned by the image's EXIF orientation"

UNTOLD: Final = "image turned by EXIF; the size of its mask does not tell what it was drawn on"

_COMPRESSION: Final = {"compress_level": 1, "compress_type": Image.RLE}
"""Of masks, which are flat: by runs they become smaller than at zlib's best level, in half the time."""


class Fit(StrEnum):
    """How a mask fits an image that EXIF turns."""

    SHOWN = "shown"
    """It fits the image as viewers show it, and not as it is stored."""

    STORED = "stored"
    EITHER = "either"
    """Its size does not tell."""


@dataclass(frozen=True)
class Task:
    """A picture that is to become an example."""

    picture: Picture
    entry: Entry
    """What is known of it before it is read: name, split, stamp, and the day where the path tells it."""


@dataclass(frozen=True)
class Rules:
    """How pictures become examples."""

    card: DatasetCard
    """Whose mask values a mask may have; any where it has no classes."""

    drawn_on: Literal["shown", "stored"] | None
    """What masks whose size does not tell were drawn on. None: those pictures are put off."""

    labels: tuple[str, ...]
    """Names of the text features that all examples have; empty where a picture does not say."""

    exif_dates: bool
    today: int
    """The day of examples that nothing else tells the day of, in days since 1970-01-01."""


@dataclass(frozen=True)
class Made:
    """What became of a picture."""

    entry: Entry
    example: Mapping[str, Any] | None = None
    """Feature name to value; None where the picture was dropped or put off."""

    fit: Fit | None = None
    """Of a picture that EXIF turns."""

    is_put_off: bool = False


def make_example(task: Task, rules: Rules) -> Made:
    """Reads image and mask, and makes the example of them."""
    picture = task.picture
    content = content_digest(picture)
    entry = replace(task.entry, content=content, stamp=task.entry.stamp if content else "")
    try:
        image = stored_image(picture.image)
        mask = picture.mask.read(image.size)
        fit = _fit(image, mask.values.shape)
    except (ImageRefusedError, MaskRefusedError) as error:
        return Made(replace(entry, reason=str(error)))
    except OSError as error:
        return Made(replace(entry, reason=f"cannot be read: {error.strerror or error}", stamp=""))
    if fit is Fit.EITHER and rules.drawn_on is None:
        return Made(entry, fit=fit, is_put_off=True)
    is_to_turn = fit is Fit.STORED or (fit is Fit.EITHER and rules.drawn_on == "stored")
    drawn = Image.fromarray(mask.values)
    pixels = {value: count for value, count in enumerate(drawn.histogram()) if count}
    known = (*rules.card.mask_values, *rules.card.ignore_values)
    if rules.card.class_names and (unknown := sorted({*pixels} - {*known})):
        return Made(replace(entry, reason=f"its mask has the values {unknown}, which no class has"), fit=fit)
    day = exif_day(image.encoded) if rules.exif_dates else entry.date
    entry = replace(
        entry,
        notes=tuple(_notes(image, mask, fit, is_to_turn)),
        date=rules.today if day is None else day,
        pixels={str(value): count for value, count in pixels.items()},
        met=dict(mask.met),
        image=bytes_digest(image.encoded),
    )
    example = {
        features.IMAGE: image.encoded,
        features.SEGMENTATION_MASK: _png(drawn, image if is_to_turn else None),
        features.FILE_NAME: entry.name,
        features.DATE: entry.date,
        **{name: picture.labels.get(name, "") for name in rules.labels},
    }
    return Made(entry, example, fit)


def _notes(image: StoredImage, mask: MaskPixels, fit: Fit | None, is_to_turn: bool) -> Iterator[str]:
    yield from image.notes
    if fit is Fit.EITHER:
        yield UNTOLD
    if is_to_turn:
        yield TURNED
    if mask.was_turned:
        yield "mask turned by an EXIF orientation of its own"
    if mask.snapped:
        yield "mask with values that no class has, given to the nearest"


def _fit(image: StoredImage, size: tuple[int, ...]) -> Fit | None:
    """Returns how a mask of that size fits; None for an image that is shown as it is stored.

    Raises:
      MaskRefusedError: It does not fit.
    """
    if size not in (image.size, image.shown_size):
        shown = "×".join(map(str, image.shown_size))
        raise MaskRefusedError(
            f"has {shown} pixels (height×width), and its mask {'×'.join(map(str, size))}; they must be the same"
        )
    if image.orientation == UPRIGHT:
        return None
    if image.size == image.shown_size:
        return Fit.EITHER
    return Fit.SHOWN if size == image.shown_size else Fit.STORED


def _png(mask: Image.Image, drawn_on: StoredImage | None) -> bytes:
    """Returns a mask as PNG, turned as the image is whose stored pixels it was drawn on."""
    file = io.BytesIO()
    if drawn_on is not None:
        mask = ImageHeader(drawn_on.width, drawn_on.height, drawn_on.orientation).upright(mask)
    mask.save(file, "PNG", **_COMPRESSION)
    return file.getvalue()
