"""Image files as they go into the data set: what models can be trained on and served with, and nothing else."""

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, TiffImagePlugin

from trainer_module.encoded_images import (
    JPEG_START,
    MAX_IMAGE_PIXELS,
    MAX_IMAGE_SIDE,
    PNG_DEPTH_AND_COLOR_AT,
    PNG_START,
    TOO_LARGE,
    ImageRefusedError,
    ImageTooLargeError,
    read_header,
    viewers_orientation,
)

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif"}
)
"""Of files that are meant to be images, those that are refused included; in lower case."""

_SUFFIXES_OF: Final = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
_RE_ENCODED: Final = ("BMP", "WEBP", "TIFF")
_ALL_READ: Final = "JPEG, PNG, BMP, WebP and TIFF are read"
_CUT_OFF: Final = "is cut off or damaged"
_ORIENTATION_TAG: Final = 0x0112
_PNG_MODES: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "I;16", "I;16B", "I;16L")
_SEVERAL_JPEGS: Final = "MPO"
"""What Pillow calls a JPEG with more pictures behind the first, as cameras write them for previews and depth."""

_PNG_END: Final = b"IEND\xaeB`\x82"
_DEEP: Final = 16
_FEWEST_LEVELS: Final = 16
"""Of the 256 that the upper 8 of 16 bits can have, for an image to be more than black."""


@dataclass(frozen=True)
class StoredImage:
    """An image that was decoded once, and may be trained on."""

    encoded: bytes
    """JPEG or PNG."""

    height: int
    """As stored, as is the width; a viewer swaps them where `orientation` is above 4."""

    width: int
    orientation: int
    """The EXIF orientation, from 1 (upright) to 8."""

    notes: tuple[str, ...] = ()
    """What was noticed or done, in a few words that are the same for all such images: `re-encoded …`."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as stored."""
        return self.height, self.width

    @property
    def shown_size(self) -> tuple[int, int]:
        """Height and width as a viewer shows it."""
        return self.size[::-1] if self.orientation > 4 else self.size


def stored_image(path: Path) -> StoredImage:
    """Reads, decodes and judges an image file by what it holds, whatever its name says.

    The bytes of JPEG and PNG are kept; BMP, WebP and TIFF become PNG with the same pixels.

    Raises:
      ImageRefusedError: It cannot be read, or no model could be trained on it; the message follows its name.
    """
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise ImageRefusedError(f"cannot be read: {error.strerror}") from error
    notes: tuple[str, ...] = ()
    kind = "PNG" if encoded.startswith(PNG_START) else "JPEG"
    if not encoded.startswith((PNG_START, JPEG_START)):
        kind, encoded = _as_png(encoded)
        notes += (f"{kind} re-encoded losslessly as PNG",)
    if path.suffix.lower() not in _SUFFIXES_OF[kind]:
        notes += (f"{kind} under the name of another format ({path.suffix or 'no extension'})",)
    header = read_header(encoded)
    notes += _judge(encoded)
    return StoredImage(encoded, header.height, header.width, header.orientation, notes)


def refuse_too_large(image: Image.Image) -> None:
    """Refuses an image that was opened and not decoded yet, by its number of pixels.

    Raises:
      ImageTooLargeError: It has more than any image may have.
    """
    width, height = image.size
    if width * height > MAX_IMAGE_PIXELS or max(width, height) > MAX_IMAGE_SIDE:
        raise ImageTooLargeError(f"{TOO_LARGE}: it has {width}×{height}")


def _as_png(encoded: bytes) -> tuple[str, bytes]:
    """Returns what an image is that is neither JPEG nor PNG, and the PNG that has its pixels."""
    try:
        image = _opened(encoded)
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"{TOO_LARGE}: {error}") from error
    except Exception:
        read_header(encoded)  # says what the bytes are
        raise
    with image:
        kind = str(image.format)
        try:
            _refuse_unfit(image)
            file = io.BytesIO()
            pixels = image.convert("RGB") if image.mode == "RGBX" else image
            pixels.save(file, "PNG", exif=_orientation_alone(image), compress_level=3)
        except (OSError, ValueError, SyntaxError, RuntimeError, struct.error) as error:
            raise ImageRefusedError(f"is a {kind} image that {_CUT_OFF}") from error
    return kind, file.getvalue()


def _refuse_unfit(image: Image.Image) -> None:
    """Refuses an image that is neither JPEG nor PNG and cannot become a PNG with the same pixels."""
    kind = image.format
    _refuse_animated(image)
    if kind not in _RE_ENCODED:
        raise ImageRefusedError(f"is a {kind} image: {_ALL_READ}; convert it to PNG")
    refuse_too_large(image)
    if image.mode not in _PNG_MODES:
        raise ImageRefusedError(
            f"is a {kind} image of the mode {image.mode}, which PNG cannot hold: convert it to RGB of 8 bits"
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode != "P":
        depths = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        if len(depths) > 1 and max(depths) > 8:
            raise ImageRefusedError("is a TIFF image with more than 8 bits a channel in colour: save it with 8 bits")


def _orientation_alone(image: Image.Image) -> Image.Exif:
    """Returns the EXIF orientation, and nothing else; a TIFF is turned when it is decoded, and needs none."""
    tags = Image.Exif()
    if image.format != "TIFF" and (orientation := image.getexif().get(_ORIENTATION_TAG)):
        tags[_ORIENTATION_TAG] = orientation
    return tags


def _judge(encoded: bytes) -> tuple[str, ...]:
    """Decodes a JPEG or PNG whose header is good, and returns what is to be noted of it."""
    try:
        if encoded.startswith(PNG_START):
            # Pillow decodes a PNG whose end is missing; TensorFlow does not.
            _opened(encoded).verify()
            if _PNG_END not in encoded:
                raise OSError(encoded[-len(_PNG_END) :])
        with _opened(encoded) as image:
            _refuse_animated(image)
            image.load()
            notes = tuple(_noted_of(image, encoded))
        shown = viewers_orientation(encoded)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageRefusedError(f"is no readable image: it {_CUT_OFF}") from error
    if shown != read_header(encoded).orientation:
        raise ImageRefusedError(
            f"has the EXIF orientation {shown} where models do not look for it: write it again, turned and without it"
        )
    return notes


def _noted_of(image: Image.Image, encoded: bytes) -> Iterator[str]:
    """Says what training sees otherwise than one may expect.

    Raises:
      ImageRefusedError: It sees next to nothing.
    """
    if image.format == _SEVERAL_JPEGS:
        yield "JPEG with further pictures (MPO), of which the first counts"
    if image.mode == "CMYK":
        yield "CMYK, taken as RGB without its colour profile, as in training"
    if encoded.startswith(PNG_START) and encoded[PNG_DEPTH_AND_COLOR_AT] == _DEEP:
        brightest = int(np.asarray(image).max())
        if brightest >> (8 if image.mode.startswith("I") else 0) < _FEWEST_LEVELS:
            raise ImageRefusedError(
                "has 16 bits a channel, of which models see the upper 8, and there it has at most "
                f"{_FEWEST_LEVELS} shades: stretch its values to 0…65535, or save it with 8 bits"
            )
        yield "16 bits a channel, of which training sees the upper 8"


def _refuse_animated(image: Image.Image) -> None:
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != _SEVERAL_JPEGS:
        raise ImageRefusedError(f"is a {image.format} image with {count} frames: save the one that the mask is of")


def _opened(encoded: bytes) -> Image.Image:
    with warnings.catch_warnings():
        # Which are too large is said here.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(encoded))
