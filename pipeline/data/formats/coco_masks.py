"""The objects of one image of COCO, and the mask that COCO's own library makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.data.formats.annotation import MaskPixels, MaskRefusedError
from pipeline.data.formats.objects import NOT_LABELLED, ObjectClasses, PaintedObject, check_points, paint
from trainer_module.encoded_images import MAX_IMAGE_PIXELS

_FEWEST_COORDINATES: Final = 6
"""Of a polygon; with four, COCO's library takes it for a box."""


@dataclass(frozen=True)
class Outline:
    """One annotated object."""

    category: str
    polygons: tuple[NDArray[np.float64], ...] = ()
    """Each x, y, x, y, … in pixels."""

    counts: str | tuple[int, ...] | None = None
    """Run lengths by columns, compressed or not, instead of polygons."""

    counts_size: tuple[int, int] = (0, 0)
    """Height and width of what the run lengths fill."""

    is_crowd: bool = False


@dataclass(frozen=True)
class ObjectMask:
    """The mask that all objects of an image make together."""

    outlines: tuple[Outline, ...]
    size: tuple[int, int] | None
    """Height and width that the annotations are for."""

    classes: ObjectClasses
    crowds_are_objects: bool

    def read(self, size: tuple[int, int]) -> MaskPixels:
        """Paints crowds first, then objects, the larger ones before the smaller; see `MaskSource`.

        A pixel of several objects so belongs to the smallest, as in the converters to panoptic annotations.
        """
        from pycocotools import mask as coco_mask

        height, width = self.size or size
        if height * width > MAX_IMAGE_PIXELS:
            raise MaskRefusedError(f"has annotations for {height}×{width} pixels, more than an image may have")
        encoded = [
            (outline, _run_lengths(outline, (height, width)))
            for outline in self.outlines
            if outline.polygons or outline.counts is not None
        ]
        encoded.sort(key=lambda each: (not each[0].is_crowd, -int(coco_mask.area(each[1]))))
        objects = (
            PaintedObject(
                NOT_LABELLED if outline.is_crowd and not self.crowds_are_objects else outline.category,
                coco_mask.decode(run_lengths).astype(bool),
            )
            for outline, run_lengths in encoded
        )
        return paint((height, width), objects, self.classes)


def read_outline(annotation: Mapping[str, Any], categories: Mapping[int, str]) -> Outline:
    """Reads one annotation.

    Raises:
      ValueError: It has no outline, or none that can be read.
    """
    where = f"annotation {annotation.get('id')}"
    if annotation.get("category_id") not in categories:
        raise ValueError(f"{where} has the category {annotation.get('category_id')!r}, which is not declared")
    category = categories[annotation["category_id"]]
    is_crowd = bool(annotation.get("iscrowd"))
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        if not isinstance(segmentation[0], list):
            segmentation = [segmentation]
        polygons = tuple(np.asarray(polygon, np.float64) for polygon in segmentation)
        if any(polygon.ndim != 1 or polygon.size % 2 for polygon in polygons):
            raise ValueError(f"{where} has a polygon that is no list of x, y, x, y, …")
        check_points(np.concatenate(polygons), where)
        return Outline(
            category, tuple(each for each in polygons if each.size >= _FEWEST_COORDINATES), is_crowd=is_crowd
        )
    if isinstance(segmentation, Mapping) and {"counts", "size"} <= set(segmentation):
        counts = segmentation["counts"]
        height, width = map(int, segmentation["size"])
        return Outline(
            category,
            counts=counts if isinstance(counts, str) else tuple(map(int, counts)),
            counts_size=(height, width),
            is_crowd=is_crowd,
        )
    raise ValueError(f"{where} has no outline, only a box: it cannot become a mask")


def _run_lengths(outline: Outline, size: tuple[int, int]) -> dict[str, Any]:
    """Returns an outline as the compressed run lengths of COCO's library.

    Raises:
      MaskRefusedError: The run lengths are for another size, or damaged.
    """
    from pycocotools import mask as coco_mask

    height, width = size
    if outline.counts is None:
        polygons = [polygon.tolist() for polygon in outline.polygons]
        return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    if outline.counts_size != size:
        raise MaskRefusedError(
            f"has run lengths for {outline.counts_size[0]}×{outline.counts_size[1]} pixels, and the image is said to "
            f"have {height}×{width}"
        )
    counts = _decompressed(outline.counts) if isinstance(outline.counts, str) else list(outline.counts)
    # The library would fill what is missing with whatever is in memory.
    if sum(counts) != height * width or min(counts) < 0:
        raise MaskRefusedError(f"has run lengths of {sum(counts)} pixels together, not {height}×{width}")
    return coco_mask.frPyObjects({"size": list(size), "counts": counts}, height, width)


def _decompressed(text: str) -> list[int]:
    """Returns the run lengths that a text of COCO stands for.

    Each is written in characters of five bits, the lowest first, with a sixth that says if more follow; from the fourth
    on, it is the difference to the run before the last.

    Source: `rleFrString` in `maskApi.c` of the COCO API.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return counts
