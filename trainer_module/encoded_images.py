"""What an image must be to be trained on and to be served: the one list of reading, the models and the local server.

Nothing here imports TensorFlow; `trainer_module.decoding` is what models decode with, by the same rules.
"""

import io
import struct
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

MAX_IMAGE_PIXELS: Final = 2**25
"""Of one encoded image: 33.6 million, which decoded and resized take half a gigabyte."""

MAX_IMAGE_SIDE: Final = 2**16 - 1
"""Of one encoded image, in pixels; JPEG has no more."""

PNG_START: Final = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH_AND_COLOR_AT: Final = 24
"""Where a PNG says in one byte each how many bits a channel has, and of what colour type it is."""

JPEG_START: Final = b"\xff\xd8\xff"

UNREADABLE: Final = "is no readable JPEG or PNG"
"""What models say of an image that they cannot decode; the start of every such reason."""

TOO_LARGE: Final = f"has more than {MAX_IMAGE_PIXELS} pixels, or more than {MAX_IMAGE_SIDE} on a side"

UPRIGHT: Final = 1
"""The EXIF orientation of an image that is shown as it is stored."""

EXIF_SEARCHED_BYTES: Final = 2**16
"""Of the beginning of an image: where EXIF is looked for, and where all programs put it."""

EXIF_SEARCHED_ENTRIES: Final = 64
"""Of its first directory, in which the orientation is."""

JPEG_EXIF_MARK: Final = b"Exif\0\0"
PNG_EXIF_MARK: Final = b"eXIf"
"""What stands in front of the TIFF structure that EXIF is."""

_ORIENTATION_TAG: Final = 0x0112
_SHORT: Final = 3
_TRANSPOSITIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SHOWN_BYTES: Final = 12


class ImageRefusedError(Exception):
    """An image is not on the list; the message says why, as what follows its name."""


class ImageTooLargeError(ImageRefusedError):
    """It has more pixels, or longer sides, than an image may have."""


@dataclass(frozen=True)
class ImageHeader:
    """What an encoded image says of itself, before its pixels are decoded."""

    width: int
    """As stored, as is the height."""

    height: int
    orientation: int
    """The EXIF orientation, from 1 (upright) to 8."""

    @property
    def is_turned(self) -> bool:
        """Whether width and height are swapped where a viewer shows it."""
        return self.orientation > 4

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as a viewer shows it."""
        return (self.height, self.width) if self.is_turned else (self.width, self.height)

    def upright(self, stored: Image.Image) -> Image.Image:
        """Returns pixels as they are stored, of this or another size, as a viewer shows them."""
        return _turned(stored, self.orientation)


def read_header(encoded: bytes) -> ImageHeader:
    """Reads the header of an image that may be trained on and served, as far as that is told without decoding it.

    Raises:
      ImageTooLargeError: It has more pixels, or longer sides, than an image may have.
      ImageRefusedError: It is no JPEG or PNG, or its header is damaged.

    Example:
      >>> file = io.BytesIO()
      >>> Image.new("RGB", (500, 375)).save(file, "PNG")
      >>> read_header(file.getvalue())
      ImageHeader(width=500, height=375, orientation=1)
    """
    try:
        with _opened(encoded) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"{TOO_LARGE}: {error}") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageRefusedError(f"{UNREADABLE}: it is cut off or damaged") from error
    if width * height > MAX_IMAGE_PIXELS or max(width, height) > MAX_IMAGE_SIDE:
        raise ImageTooLargeError(f"{TOO_LARGE}: it has {width}×{height}")
    return ImageHeader(width, height, exif_orientation(encoded))


def upright_image(encoded: bytes) -> Image.Image:
    """Decodes an image as models do: RGB, turned as its EXIF orientation says.

    Raises:
      ImageRefusedError: It cannot be decoded.
    """
    try:
        with _opened(encoded) as image:
            # Pillow cuts 16 bits to 8 at 255; TensorFlow takes the upper ones.
            deep = image.mode.startswith("I")
            rgb = (Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if deep else image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageRefusedError(f"{UNREADABLE}: it is cut off or damaged") from error
    return _turned(rgb, exif_orientation(encoded))


def without_orientation(encoded: bytes) -> bytes:
    """Returns an image that a decoder which knows nothing of EXIF sees as a viewer shows it; most are as they came.

    Raises:
      ImageRefusedError: It has to be turned and cannot be decoded.
    """
    if exif_orientation(encoded) == UPRIGHT:
        return encoded
    file = io.BytesIO()
    upright_image(encoded).save(file, "PNG", compress_level=1)
    return file.getvalue()


def exif_orientation(encoded: bytes) -> int:
    """Returns how a viewer turns a JPEG or PNG, from 1 (upright) to 8; see `trainer_module.decoding`."""
    mark = PNG_EXIF_MARK if encoded.startswith(PNG_START) else JPEG_EXIF_MARK
    tiff = encoded[:EXIF_SEARCHED_BYTES].partition(mark)[2]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return UPRIGHT
    tiff += bytes(2 + 12 * EXIF_SEARCHED_ENTRIES)  # zeros stand for what is cut off
    (start,) = struct.unpack_from(f"{order}L", tiff, 4)
    directory = tiff[start:]
    if len(directory) < 2 + 12 * EXIF_SEARCHED_ENTRIES:
        return UPRIGHT
    (count,) = struct.unpack_from(f"{order}H", directory)
    entries = (
        struct.unpack_from(f"{order}HHLH", directory, 2 + 12 * index)
        for index in range(min(count, EXIF_SEARCHED_ENTRIES))
    )
    found = (entry[-1] for entry in entries if entry[:3] == (_ORIENTATION_TAG, _SHORT, 1))
    return max((value for value in found if value in _TRANSPOSITIONS), default=UPRIGHT)


def viewers_orientation(encoded: bytes) -> int:
    """Returns the EXIF orientation as Pillow finds it, which looks everywhere and takes tags of any type.

    Where it is another than `exif_orientation`, a viewer may show the image in another way than models see it.
    """
    if JPEG_EXIF_MARK not in encoded and PNG_EXIF_MARK not in encoded:
        return UPRIGHT
    with _opened(encoded) as image:
        if encoded.startswith(PNG_START) and PNG_EXIF_MARK in encoded:
            image.load()  # it may be behind the pixels
        content = image.info.get("exif")
    # Not `getexif`, which takes the one in XMP, too; viewers do not.
    exif = Image.Exif()
    try:
        exif.load(content or b"")
        value = exif.get(_ORIENTATION_TAG)
    except Exception:  # noqa: BLE001 (whatever Pillow raises over a damaged tag)
        return UPRIGHT
    return value if isinstance(value, int) and value in _TRANSPOSITIONS else UPRIGHT


def _turned(stored: Image.Image, orientation: int) -> Image.Image:
    return stored if orientation == UPRIGHT else stored.transpose(_TRANSPOSITIONS[orientation])


def _opened(encoded: bytes) -> Image.Image:
    if not encoded.startswith((PNG_START, JPEG_START)):
        raise ImageRefusedError(f"{UNREADABLE}: {_kind(encoded)}")
    with warnings.catch_warnings():
        # Pillow warns of large images; which are too large is said here.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG"))


def _kind(encoded: bytes) -> str:
    """Says what a file is that is neither JPEG nor PNG."""
    if not encoded:
        return "it is empty"
    if encoded.lstrip()[:1] == b"<":
        return "it is a text of HTML or XML, as a download that failed leaves it"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded)) as image:
                return f"it is a {image.format} image, whatever its name says"
    except Exception:  # noqa: BLE001 (whatever Pillow's readers of forty formats raise)
        return f"it begins with {encoded[:_SHOWN_BYTES]!r}"
