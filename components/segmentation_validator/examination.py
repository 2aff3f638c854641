"""One look at one example: whether its image and mask can be used, what is odd about them, and what they measure.

Image and mask are decoded once, as Transform and models decode them, and everything is told from those pixels.
"""

import contextlib
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import imagehash
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from components.segmentation_validator.kinds import Finding, Kind
from components.segmentation_validator.masks import MaskRefusedError, canonical_mask, stretch_note
from trainer_module.encoded_images import (
    JPEG_START,
    UNREADABLE,
    ImageHeader,
    ImageRefusedError,
    read_header,
    viewers_orientation,
)

DIGEST_BYTES: Final = 8
SHARPNESS_SIDE: Final = 128
"""Side of the square, in pixels, on which sharpness is measured, so that the resolution of an image does not decide."""

_HASHED_SIDE: Final = 32
_WHITE: Final = 255
_SHOWN_VALUES: Final = 10
_FEW_VALUES: Final = 12
_IMAGE_ADVICE: Final = (
    ". What models can be trained on and served with is JPEG and PNG: mend, convert or remove the file, and prepare "
    "the data set again"
)


@dataclass(frozen=True)
class MaskMeaning:
    """What the values of masks mean."""

    mask_values: tuple[int, ...]
    """The value of each class, in the order of their ids."""

    ignore_values: tuple[int, ...] = ()
    """Values that mean "not labelled"."""

    class_names: tuple[str, ...] = ()
    """Of the classes, for messages; without them, their values name them."""

    background: int | None = None
    """Id of the class that a blank mask has alone; None where no class is the background."""

    @cached_property
    def declared(self) -> NDArray[np.int64]:
        """All values that masks may have, in the order of `mask_values` and `ignore_values`."""
        return np.array([*self.mask_values, *self.ignore_values], np.int64)

    def class_name(self, class_id: int) -> str:
        """Returns what to call a class in a message."""
        value = self.mask_values[class_id]
        return f"{self.class_names[class_id]!r}" if self.class_names else f"the value {value}"


@dataclass(frozen=True)
class Limits:
    """From where on something is odd."""

    nearly_blank_share: float = 0.995
    """Share of the labelled pixels that one class has at least in a nearly blank mask."""

    min_side: int = 32
    """In pixels; an image with a shorter side is of extreme size."""

    max_side: int = 8192
    max_aspect_ratio: float = 4.0
    """Of the longer side to the shorter."""


@dataclass(frozen=True)
class Examination:
    """What was found in one example."""

    findings: tuple[Finding, ...]
    canonical_mask: bytes | None
    """PNG of 8-bit gray; None where image and mask cannot be used together."""

    digest: bytes
    """`DIGEST_BYTES` of the encoded image: another image has others."""

    height: int = 0
    """Of the image in pixels, as a viewer shows it; 0 where it cannot be read, as everything below."""

    width: int = 0
    class_pixels: tuple[int, ...] = ()
    """Pixels of each class; empty where there is no canonical mask."""

    ignored_pixels: int = 0
    """Pixels that are not labelled, those of undeclared values among them."""

    brightness: float = 0.0
    """Mean luma (ITU-R BT.601), 0…1."""

    contrast: float = 0.0
    """Standard deviation of luma, 0…1."""

    sharpness: float = 0.0
    """Variance of the Laplacian of luma, in 0…1, on a square of `SHARPNESS_SIDE`.

    Source: J. L. Pech-Pacheco, G. Cristóbal, J. Chamorro-Martínez, J. Fernández-Valdivia, "Diatom autofocusing in
    brightfield microscopy: a comparative study", ICPR 2000, pages 314 to 317 (LAPV in the terms of later studies)."""

    perceptual_hash: int = 0
    """64 bits, of which those of images that look the same differ in few (`imagehash.phash`)."""


def examine(image: bytes, mask: bytes, meaning: MaskMeaning, limits: Limits = Limits()) -> Examination:
    """Examines one example; nothing that an image or mask may be raises.

    Args:
      image: As encoded.
      mask: As encoded.
      meaning: What its values mean.
      limits: From where on something is odd.
    """
    digest = hashlib.blake2b(image, digest_size=DIGEST_BYTES).digest()
    try:
        header, luma = _decoded(image)
    except ImageRefusedError as error:
        detail = f"the image ({len(image)} bytes) {error}"
        return Examination((Finding(Kind.UNREADABLE_IMAGE, detail),), None, digest)
    width, height = header.size
    brightness, contrast = _brightness_and_contrast(luma)
    square = luma.resize((SHARPNESS_SIDE, SHARPNESS_SIDE), Image.Resampling.BOX)
    findings = _extremes(width, height, limits)
    canonical, counts = _mask(mask, header, meaning, limits, findings)
    classes = len(meaning.mask_values)
    return Examination(
        findings=tuple(findings),
        canonical_mask=canonical,
        digest=digest,
        height=height,
        width=width,
        class_pixels=tuple(counts[:classes].tolist()),
        ignored_pixels=width * height - int(counts[:classes].sum()) if canonical else 0,
        brightness=brightness,
        contrast=contrast,
        sharpness=_sharpness(square),
        perceptual_hash=_perceptual_hash(square, header),
    )


def _decoded(image: bytes) -> tuple[ImageHeader, Image.Image]:
    """Returns what an image says of itself, and its luma as it is stored.

    Raises:
      ImageRefusedError: It may not be trained on and served, or is damaged.
    """
    try:
        header = read_header(image)
        luma = _luma(image)
        shown = viewers_orientation(image)
    except ImageRefusedError as error:
        raise ImageRefusedError(f"{error}{_IMAGE_ADVICE}") from error
    except (tf.errors.OpError, OSError, SyntaxError) as error:
        raise ImageRefusedError(f"{UNREADABLE}: it is cut off or damaged{_IMAGE_ADVICE}") from error
    if shown != header.orientation:
        raise ImageRefusedError(
            f"has the EXIF orientation {shown} where models do not look for it: not as a short integer in the first "
            "directory of EXIF, within the first 65,536 bytes. Write the image again, turned and without the tag"
        )
    return header, luma


def _luma(image: bytes) -> Image.Image:
    """Decodes an image to its luma (ITU-R BT.601), by the decoder of Transform and of models.

    JPEG holds luma itself; of CMYK, TensorFlow decodes colours only. Its gray of a coloured PNG is no luma.

    Raises:
      OpError: The image is damaged.
    """
    if image.startswith(JPEG_START):
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            return Image.fromarray(_decode(image, channels=1)[..., 0])
    return Image.fromarray(_decode(image, channels=3)).convert("L")


def _decode(image: bytes, channels: int) -> NDArray[np.uint8]:
    """Does what `tf.io.decode_image` does, without its checks of arguments: a quarter of the time of a small image.

    Raises:
      OpError: The image is damaged.
    """
    return tf.raw_ops.DecodeImage(contents=image, channels=channels, expand_animations=False).numpy()


def _mask(
    mask: bytes, header: ImageHeader, meaning: MaskMeaning, limits: Limits, findings: list[Finding]
) -> tuple[bytes | None, NDArray[np.int64]]:
    """Returns the canonical mask and its pixels of each declared value, and adds what is found; None and [] without."""
    try:
        canonical, values = canonical_mask(mask)
    except MaskRefusedError as error:
        findings.append(Finding(Kind.UNREADABLE_MASK, f"the mask ({len(mask)} bytes) {error}"))
        return None, np.empty(0, np.int64)
    if values.shape[::-1] != header.size:
        findings.append(Finding(Kind.SIZE_MISMATCH, _mismatch(header, values.shape)))
        return None, np.empty(0, np.int64)
    counts = _counts(values, meaning.declared)
    if counts.sum() != values.size:
        undeclared = np.setdiff1d(values, meaning.declared)
        findings.append(Finding(Kind.UNDECLARED_VALUES, _undeclared(undeclared, meaning) + stretch_note(mask, values)))
    findings += _class_findings(counts[: len(meaning.mask_values)], meaning, limits)
    return canonical, counts


def _counts(values: NDArray[np.uint8], declared: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the pixels of each declared value; of few values, to compare with each takes a tenth of a histogram."""
    if len(declared) <= _FEW_VALUES:
        return np.array([np.count_nonzero(values == value) for value in declared], np.int64)
    return np.array(Image.fromarray(values).histogram(), np.int64)[declared]


def _mismatch(header: ImageHeader, mask_size: tuple[int, ...]) -> str:
    width, height = header.size
    detail = (
        f"the image has {height}×{width} pixels and its mask {mask_size[0]}×{mask_size[1]} (height × width); they must "
        "be the same"
    )
    if header.is_turned and mask_size == (header.height, header.width):
        return (
            f"{detail}. The EXIF orientation of the image is {header.orientation}: petseg turns it as viewers do, and "
            "the mask fits the image as it is stored. Where the mask was drawn with a tool that ignores EXIF, remove "
            "the tag from the image; else turn the mask"
        )
    if mask_size == (width, height):
        return (
            f"{detail}. Height and width are swapped: was the mask drawn on a copy of the image that EXIF turned, and "
            "the tag lost since? Turn the image, or the mask"
        )
    return detail


def _undeclared(values: NDArray[np.int64], meaning: MaskMeaning) -> str:
    shown = f"{values[:_SHOWN_VALUES].tolist()}{' and more' if len(values) > _SHOWN_VALUES else ''}"
    known = f"data.mask_values = {list(meaning.mask_values)}"
    known += f" and data.ignore_values = {list(meaning.ignore_values)}" if meaning.ignore_values else ""
    return (
        f"the mask has the values {shown}, not among {known}. Declare a class for each, or the value as not labelled "
        "(data.ignore_values), or mend the mask"
    )


def _class_findings(class_pixels: NDArray[np.int64], meaning: MaskMeaning, limits: Limits) -> list[Finding]:
    labelled = int(class_pixels.sum())
    if not labelled:
        return [Finding(Kind.NO_LABELLED_PIXEL, "no pixel of the mask is labelled")]
    largest = int(class_pixels.argmax())
    share, name = class_pixels[largest] / labelled, meaning.class_name(largest)
    if share == 1:
        kind = Kind.BLANK_MASK if largest == meaning.background else Kind.ONE_CLASS_MASK
        return [Finding(kind, f"all labelled pixels of the mask are {name}")]
    if share >= limits.nearly_blank_share:
        others = labelled - int(class_pixels[largest])
        return [Finding(Kind.NEARLY_BLANK_MASK, f"all but {others:,} of {labelled:,} labelled pixels are {name}")]
    return []


def _extremes(width: int, height: int, limits: Limits) -> list[Finding]:
    shorter, longer = sorted((width, height))
    found = []
    if shorter < limits.min_side:
        found.append(f"a side is shorter than {limits.min_side}")
    if longer > limits.max_side:
        found.append(f"a side is longer than {limits.max_side}")
    if longer > limits.max_aspect_ratio * shorter:
        found.append(f"one side is {longer / shorter:.1f} times the other")
    size = f"the image has {height}×{width} pixels (height × width)"
    return [Finding(Kind.EXTREME_SIZE, f"{size}: {' and '.join(found)}")] if found else []


def _brightness_and_contrast(luma: Image.Image) -> tuple[float, float]:
    """Returns mean and standard deviation of luma, 0…1."""
    levels = np.asarray(luma, np.float32).ravel()
    mean = levels.mean()
    levels -= mean
    return float(mean) / _WHITE, float(np.sqrt(levels @ levels / levels.size)) / _WHITE


def _sharpness(square: Image.Image) -> float:
    """Returns the variance of the discrete Laplacian (four neighbours), of luma in 0…1."""
    luma = np.asarray(square, np.float32) / _WHITE
    middle = luma[1:-1, 1:-1]
    return float((luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle).var())


def _perceptual_hash(square: Image.Image, header: ImageHeader) -> int:
    """Returns the hash of the image as a viewer shows it."""
    small = header.upright(square.resize((_HASHED_SIDE, _HASHED_SIDE), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(imagehash.phash(small).hash).tobytes(), "big")
