"""Masks, as people store them, become what the data contract says: PNGs of 8-bit gray whose values are the classes'.

What cannot be told without a guess is refused, with what to do.
"""

import io
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from trainer_module.decoding import decode_mask
from trainer_module.encoded_images import JPEG_START, PNG_DEPTH_AND_COLOR_AT, PNG_START

_DEPTH_AND_COLOR: Final = slice(PNG_DEPTH_AND_COLOR_AT, PNG_DEPTH_AND_COLOR_AT + 2)
_GRAY: Final = 0
_PALETTE: Final = 3
_GRAY_WITH_ALPHA: Final = 4
_CANONICAL: Final = (8, _GRAY)
_LARGEST_VALUE: Final = 255
_OPAQUE: Final = 255
_SHOWN_VALUES: Final = 10


class MaskRefusedError(Exception):
    """A mask cannot be read without a guess; the message says why and what to do, as what follows its name."""


def canonical_mask(encoded: bytes) -> tuple[bytes, NDArray[np.uint8]]:
    """Returns a mask as a PNG of 8-bit gray, and its values, [height, width].

    What is one already passes byte for byte. Of other PNGs the values are kept as they are: those of 16-bit gray up to
    255, the index of a palette, never its colours, and gray of 1, 2 or 4 bits a pixel as every decoder stretches it, to
    0…255. Opaque alpha is dropped.

    Raises:
      MaskRefusedError: It is no readable PNG, has colours or transparent pixels, or values above 255.
    """
    if encoded.startswith(JPEG_START):
        raise MaskRefusedError(
            "is a JPEG: its values are not exact. Save the masks as PNG, from what they were drawn with"
        )
    if not encoded.startswith(PNG_START) or len(encoded) < _DEPTH_AND_COLOR.stop:
        raise MaskRefusedError(f"is no readable PNG: it {f'begins with {encoded[:12]!r}' if encoded else 'is empty'}")
    try:
        values = _values(encoded)
    except (tf.errors.OpError, OSError, ValueError, SyntaxError) as error:
        raise MaskRefusedError("is no readable PNG: it is cut off or damaged") from error
    if values.max(initial=0) > _LARGEST_VALUE:
        large = np.unique(values[values > _LARGEST_VALUE]).tolist()
        shown = f"{large[:_SHOWN_VALUES]}{' and more' if len(large) > _SHOWN_VALUES else ''}"
        raise MaskRefusedError(
            f"is a PNG of 16 bits with the values {shown}; they may go up to {_LARGEST_VALUE}. Map them to smaller "
            "ones where the data set's builder makes the masks"
        )
    mask = values.astype(np.uint8, copy=False)
    is_canonical = (*encoded[_DEPTH_AND_COLOR],) == _CANONICAL
    return encoded if is_canonical else tf.io.encode_png(mask[..., np.newaxis]).numpy(), mask


def stretch_note(encoded: bytes, mask: NDArray[np.uint8]) -> str:
    """Returns a sentence on how the values of gray of less than 8 bits came about; empty for other masks."""
    depth, color = encoded[_DEPTH_AND_COLOR]
    if color != _GRAY or depth >= 8:
        return ""
    step = _LARGEST_VALUE // (2**depth - 1)
    values = np.unique(mask)
    return (
        f" The mask has {depth} bit{'s' if depth > 1 else ''} a pixel, which every decoder stretches to 0…255: "
        f"its {(values // step).tolist()} are {values.tolist()}, which is what data.mask_values has to have."
    )


def _values(encoded: bytes) -> NDArray[np.integer]:
    """Decodes a PNG to its values, [height, width].

    Raises:
      MaskRefusedError: It has colours or transparent pixels.
      OpError, OSError, ValueError, SyntaxError: It is damaged.
    """
    depth, color = encoded[_DEPTH_AND_COLOR]
    if (depth, color) == _CANONICAL:
        return tf.raw_ops.DecodePng(contents=encoded, channels=1).numpy()[..., 0]
    if color == _PALETTE:
        with Image.open(io.BytesIO(encoded), formats=("PNG",)) as image:
            return np.asarray(image)
    if color not in (_GRAY, _GRAY_WITH_ALPHA):
        raise MaskRefusedError(
            "has colours (RGB): a mask has one channel, whose values are the classes. Map each colour to a value "
            "where the data set's builder makes the masks, and save them as PNG of 8-bit gray"
        )
    if color == _GRAY_WITH_ALPHA and (tf.io.decode_png(encoded).numpy()[..., 1] != _OPAQUE).any():
        raise MaskRefusedError(
            "has transparent pixels, of which nobody can say what class they are: give them a value of their "
            "own, and save the mask without alpha"
        )
    return decode_mask(encoded).numpy()[..., 0]
