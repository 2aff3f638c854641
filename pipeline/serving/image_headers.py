"""What the header of an encoded image says, before anything is decoded."""

from collections.abc import Sequence

from pipeline.serving.refusal import RefusedError
from trainer_module.encoded_images import ImageRefusedError, ImageTooLargeError, read_header


def check_images(images: Sequence[bytes], max_pixels: int) -> int:
    """Returns how many pixels the images of a request have together.

    Raises:
      RefusedError: One is neither JPEG nor PNG by its header, or larger than models take; or they are larger together
        than `max_pixels`.
    """
    pixels = 0
    for index, encoded in enumerate(images):
        width, height = _size(encoded, index)
        pixels += width * height
        if pixels > max_pixels:
            raise RefusedError(
                413,
                f"image {index} of the request has {width}×{height} pixels, which makes {pixels:,} with those before "
                f"it; a request may have {max_pixels:,}. Send it smaller, or start the server with --max-pixels.",
            )
    return pixels


def _size(encoded: bytes, index: int) -> tuple[int, int]:
    if not encoded:
        raise RefusedError(400, f"image {index} of the request is empty; expected the bytes of a JPEG or PNG.")
    try:
        header = read_header(encoded)
    except ImageRefusedError as error:
        status = 413 if isinstance(error, ImageTooLargeError) else 400
        raise RefusedError(status, f"image {index} of the request ({len(encoded):,} bytes) {error}.") from error
    return header.width, header.height
