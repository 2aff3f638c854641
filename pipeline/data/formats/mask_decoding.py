"""Mask files to the values or colours that they have, whatever these mean."""

import io
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from pipeline.data.formats.annotation import MaskRefusedError
from pipeline.data.formats.images import refuse_too_large
from trainer_module.encoded_images import PNG_DEPTH_AND_COLOR_AT, UPRIGHT, ImageRefusedError

MASK_SUFFIXES: Final = frozenset({".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg", ".webp"})
"""Of files that are meant to be masks, those that are refused included; in lower case."""

_LARGEST_VALUE: Final = 255
_OPAQUE: Final = 255
_ORIENTATION_TAG: Final = 0x0112
_LOSSY_FORMATS: Final = ("JPEG", "MPO", "JPEG2000", "AVIF")
_LOSSY_IN_TIFF: Final = ("jpeg", "tiff_jpeg", "webp")
_LOSSLESS_WEBP: Final = b"VP8L"
_ALPHA_MODES: Final = {"LA": "L", "RGBA": "RGB"}
_VALUE_MODES: Final = ("1", "L", "I", "I;16", "I;16B", "I;16L", "P", "RGB")


@dataclass(frozen=True)
class DecodedMask:
    """What a mask file has."""

    pixels: NDArray[np.int32]
    """Values [height, width], or red, green and blue [height, width, 3]."""

    lossy_format: str | None
    """What compressed it, if that does not keep values."""

    was_turned: bool
    """Whether it had an EXIF orientation, which is carried out."""


def decode_mask(encoded: bytes, *, palette_colors: bool) -> DecodedMask:
    """Decodes a mask; gray of 1, 2 or 4 bits to 0 to 1, 3 or 15, opaque alpha dropped.

    Args:
      encoded: The bytes of the file.
      palette_colors: Whether a palette stands for its colours, not for its indices.

    Raises:
      MaskRefusedError: It is no image, too large, has several frames, transparent pixels, or pixels that are no values.
    """
    try:
        with _opened(encoded) as image:
            refuse_too_large(image)
            if getattr(image, "n_frames", 1) > 1:
                raise MaskRefusedError(f"is a {image.format} image with several frames or pages; a mask has one")
            lossy_format = image.format if _is_lossy(image, encoded) else None
            step = _stretch(image, encoded)
            # A TIFF is turned when it is decoded.
            was_turned = image.format != "TIFF" and image.getexif().get(_ORIENTATION_TAG, UPRIGHT) != UPRIGHT
            upright = ImageOps.exif_transpose(image) if was_turned else image
            return DecodedMask(_pixels(upright, palette_colors) // step, lossy_format, was_turned)
    except ImageRefusedError as error:
        raise MaskRefusedError(str(error)) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        begins = f"begins with {encoded[:12]!r}" if encoded else "is empty"
        raise MaskRefusedError(f"is no readable image, or cut off or damaged: it {begins}") from error


def _opened(encoded: bytes) -> Image.Image:
    with warnings.catch_warnings():
        # Which are too large is said here.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(encoded))


def _is_lossy(image: Image.Image, encoded: bytes) -> bool:
    if image.format == "WEBP":
        return encoded[12:16] != _LOSSLESS_WEBP
    if image.format == "TIFF":
        return image.info.get("compression") in _LOSSY_IN_TIFF
    return image.format in _LOSSY_FORMATS


def _stretch(image: Image.Image, encoded: bytes) -> int:
    """Returns what Pillow multiplies gray of less than 8 bits a pixel with."""
    depth = 8
    if image.mode == "L" and image.format == "PNG":
        depth = encoded[PNG_DEPTH_AND_COLOR_AT]
    elif image.mode == "L" and isinstance(image, TiffImagePlugin.TiffImageFile):
        depth = min(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,)))
    return _LARGEST_VALUE // (2 ** min(depth, 8) - 1)


def _pixels(image: Image.Image, palette_colors: bool) -> NDArray[np.int32]:
    if image.mode in _ALPHA_MODES:
        if np.asarray(image.getchannel("A")).min(initial=_OPAQUE) != _OPAQUE:
            raise MaskRefusedError(
                "has transparent pixels, of which nobody can say what class they are: give them a value of their own, "
                "and save the mask without alpha"
            )
        image = image.convert(_ALPHA_MODES[image.mode])
    if image.mode not in _VALUE_MODES:
        raise MaskRefusedError(
            f"has pixels of the mode {image.mode}, which are no values: save it as PNG of 8-bit gray"
        )
    if image.mode == "P" and palette_colors:
        image = image.convert("RGB")
    return np.asarray(image).astype(np.int32)
