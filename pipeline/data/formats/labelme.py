"""LabelMe: one JSON file an image, with shapes that have a label."""

import base64
import binascii
import io
import math
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.data.formats.annotation import Annotations, Dropped, MaskPixels, MaskRefusedError, Picture
from pipeline.data.formats.files import Listing, list_files, normal
from pipeline.data.formats.images import IMAGE_SUFFIXES
from pipeline.data.formats.json_files import read_beginning, read_json
from pipeline.data.formats.objects import (
    ObjectClasses,
    PaintedObject,
    annotated_once,
    check_points,
    object_classes,
    paint,
)
from pipeline.data.formats.options import SourceOptions
from pipeline.data.formats.splits import split_by_lists, split_of_folders
from trainer_module.encoded_images import MAX_IMAGE_PIXELS, PNG_START
from trainer_module.errors import DataError

_LINE_WIDTH: Final = 10
"""Of lines, in pixels, as LabelMe's own converters draw them."""

_POINT_RADIUS: Final = 5
_FEWEST_POINTS: Final = {"polygon": 3, "rectangle": 2, "circle": 2, "line": 2, "linestrip": 2, "point": 1, "mask": 1}


@dataclass(frozen=True)
class Shape:
    """One labelled shape."""

    label: str
    kind: str
    points: tuple[tuple[float, float], ...]
    """x and y in pixels."""

    encoded: bytes = b""
    """Of the kind `mask`: a PNG whose upper left corner is the first point."""


@dataclass(frozen=True)
class ShapeMask:
    """The mask that all shapes of an image make together."""

    shapes: tuple[Shape, ...]
    size: tuple[int, int] | None
    """Height and width that the shapes are for."""

    classes: ObjectClasses

    def read(self, size: tuple[int, int]) -> MaskPixels:
        """Paints the shapes in the order of the file, the later over the earlier; see `MaskSource`."""
        height, width = self.size or size
        if height * width > MAX_IMAGE_PIXELS:
            raise MaskRefusedError(f"has shapes for {height}×{width} pixels, more than an image may have")
        objects = (PaintedObject(shape.label, _drawn(shape, (height, width))) for shape in self.shapes)
        return paint((height, width), objects, self.classes)


def read_labelme(root: Path, options: SourceOptions) -> Annotations:
    """Reads all LabelMe files below a folder; the classes are the labels, in the order of their names.

    Raises:
      ConfigError: There is no label of a name that the user gives.
      DataError: A folder cannot be read, or no file has an image.
    """
    listing = list_files(root)
    images = {normal(listing.name(file)): file for file in listing.files if file.suffix.lower() in IMAGE_SUFFIXES}
    read, unread = _read_files(listing, images)
    dropped = [*listing.dropped, *unread]
    labels = sorted({shape.label for each in read for shape in each.shapes})
    if not labels:
        first = f" The first: {dropped[0].name}: {dropped[0].reason}." if dropped else ""
        raise DataError(f"{root}: no LabelMe file has an image and a shape; {len(dropped)} cannot be used.{first}")
    classes = object_classes(labels, options, str(root))
    pictures, twice = annotated_once([each.picture(listing, classes) for each in read])
    pictures.sort(key=lambda picture: normal(picture.name))
    annotated = {each.image for each in read}
    others = [
        Dropped(listing.name(file), "it has no LabelMe file") for file in images.values() if file not in annotated
    ]
    dropped += [*twice, *others]
    pictures, unlisted, list_notes = split_by_lists(pictures, dropped, listing.files, options)
    notes = [*listing.notes, *list_notes]
    if not options.class_names:
        notes.append(
            "The classes are the labels in the order of their names; give each with --class to keep that order when "
            "labels are added."
        )
    return Annotations("LabelMe", tuple(pictures), classes.card(can_ignore=False), (*dropped, *unlisted), tuple(notes))


@dataclass(frozen=True)
class _LabelledImage:
    """What a LabelMe file says."""

    image: Path
    shapes: tuple[Shape, ...]
    size: tuple[int, int] | None

    def picture(self, listing: Listing, classes: ObjectClasses) -> Picture:
        name = listing.name(self.image)
        mask = ShapeMask(self.shapes, self.size, classes)
        return Picture(name, self.image, mask, split_of_folders(PurePosixPath(name).parent.parts))


def _read_files(listing: Listing, images: Mapping[str, Path]) -> tuple[list[_LabelledImage], list[Dropped]]:
    """Reads all LabelMe files; returns those that can be used, and why the others cannot."""
    read: list[_LabelledImage] = []
    dropped: list[Dropped] = []
    for file in listing.files:
        if file.suffix.lower() != ".json":
            continue
        try:
            content = read_json(file)
            image = _image(listing, images, file, content)
            read.append(_LabelledImage(image, tuple(map(_shape, content["shapes"])), _size(content)))
        except (ValueError, FileNotFoundError) as error:
            dropped.append(Dropped(listing.name(file), str(error)))
        except (KeyError, TypeError, IndexError) as error:
            dropped.append(Dropped(listing.name(file), f"it is no readable LabelMe file: {error!r}"))
    return read, dropped


def looks_like_labelme(file: Path) -> bool:
    """Tells whether the beginning of a JSON file is that of a LabelMe file."""
    return b'"shapes"' in read_beginning(file)


def _image(listing: Listing, images: Mapping[str, Path], file: Path, content: Mapping[str, Any]) -> Path:
    """Returns the image of a LabelMe file: the one it names, or the one beside it with its name.

    Raises:
      FileNotFoundError: It is not there.
    """
    named = normal(str(content["imagePath"]).replace("\\", "/"))
    folder = PurePosixPath(normal(listing.name(file))).parent
    choices = [posixpath.normpath(folder / named), str(folder / PurePosixPath(named).name)]
    choices += [str(folder / (normal(file.stem) + suffix)) for suffix in sorted(IMAGE_SUFFIXES)]
    found = next((images[choice] for choice in choices if choice in images), None)
    if found is None:
        copy = "; the copy in the JSON file (imageData) is not read: export it" if content.get("imageData") else ""
        raise FileNotFoundError(f"its image {content['imagePath']!r} is not there{copy}")
    return found


def _shape(content: Mapping[str, Any]) -> Shape:
    """Reads one shape.

    Raises:
      ValueError: It is of an unknown kind, or has too few points.
    """
    kind = str(content.get("shape_type") or "polygon")
    points = tuple((float(x), float(y)) for x, y in content["points"])
    if kind not in _FEWEST_POINTS or len(points) < _FEWEST_POINTS[kind]:
        raise ValueError(f"the shape {content['label']!r} is a {kind} with {len(points)} points")
    check_points(np.array(points), f"the shape {content['label']!r}")
    encoded = b""
    if kind == "mask":
        try:
            encoded = base64.b64decode(content["mask"], validate=True)
        except binascii.Error as error:
            raise ValueError(f"the mask of {content['label']!r} is no base64") from error
    return Shape(str(content["label"]), kind, points, encoded)


def _size(content: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    return (int(height), int(width)) if height and width else None


def _drawn(shape: Shape, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns the pixels of a shape, [height, width], as LabelMe's own converters draw it.

    Raises:
      MaskRefusedError: It is a mask that cannot be decoded.
    """
    canvas = Image.new("1", size[::-1])
    draw = ImageDraw.Draw(canvas)
    first, *others = shape.points
    if shape.kind == "mask":
        return _placed(shape, size)
    if shape.kind == "polygon":
        draw.polygon(shape.points, fill=1, outline=1)
    elif shape.kind == "rectangle":
        draw.rectangle(_box([first, others[0]]), fill=1, outline=1)
    elif shape.kind in ("line", "linestrip"):
        draw.line(shape.points, fill=1, width=_LINE_WIDTH)
    else:
        radius = _POINT_RADIUS if shape.kind == "point" else math.dist(first, others[0])
        x, y = first
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1, outline=1)
    return np.asarray(canvas)


def _placed(shape: Shape, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns the pixels of a shape that is a mask; what is outside the image is cut off."""
    if not shape.encoded.startswith(PNG_START):
        raise MaskRefusedError(f"has a shape {shape.label!r} whose mask is no PNG")
    try:
        with Image.open(io.BytesIO(shape.encoded), formats=("PNG",)) as image:
            pixels = np.asarray(image.convert("L")) > 0
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MaskRefusedError(f"has a shape {shape.label!r} whose mask is cut off or damaged") from error
    placed = np.zeros(size, bool)
    x, y = (round(coordinate) for coordinate in shape.points[0])
    inside = pixels[max(-y, 0) : max(size[0] - y, 0), max(-x, 0) : max(size[1] - x, 0)]
    placed[max(y, 0) : max(y, 0) + inside.shape[0], max(x, 0) : max(x, 0) + inside.shape[1]] = inside
    return placed


def _box(points: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
