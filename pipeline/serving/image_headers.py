"""What the header of an encoded image says, before anything is decoded."""

import io
from collections.abc import Sequence
from typing import Final

from PIL import Image

from pipeline.serving.refusal import RefusedError

_FORMATS: Final = ("JPEG", "PNG")


def check_images(images: Sequence[bytes], max_pixels: int) -> int:
    """Returns how many pixels the images of a request have together.

    Raises:
      RefusedError: One is neither JPEG nor PNG by its header, or they are larger together than `max_pixels`.
    """
    pixels = 0
    for index, encoded in enumerate(images):
        width, height = _size(encoded, index, max_pixels)
        pixels += width * height
        if pixels > max_pixels:
            raise RefusedError(
                413,
                f"image {index} of the request has {width}×{height} pixels, which makes {pixels:,} with those before "
                f"it; a request may have {max_pixels:,}. Send it smaller, or start the server with --max-pixels.",
            )
    return pixels


def _size(encoded: bytes, index: int, max_pixels: int) -> tuple[int, int]:
    if not encoded:
        raise RefusedError(400, f"image {index} of the request is empty; expected the bytes of a JPEG or PNG.")
    try:
        with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
            return image.size
    except Image.DecompressionBombError as error:
        raise RefusedError(
            413, f"image {index} of the request is too large ({max_pixels:,} pixels are allowed)."
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise RefusedError(
            400, f"image {index} of the request ({len(encoded):,} bytes) is no readable JPEG or PNG."
        ) from error
