"""Encoded images and masks to pixels: the one way of reading, training, evaluation and serving.

Every function runs eagerly, inside tf.data, and inside exported graphs. There are no branches in them: setting a
`tf.cond` up for each request takes ten times as long as decoding a photo.
"""

from typing import Final

import numpy as np
import tensorflow as tf

from trainer_module.encoded_images import (
    EXIF_SEARCHED_BYTES,
    EXIF_SEARCHED_ENTRIES,
    JPEG_EXIF_MARK,
    PNG_DEPTH_AND_COLOR_AT,
    PNG_EXIF_MARK,
    PNG_START,
    UPRIGHT,
)

UNREADABLE_MASK_VALUE: Final = 2**16 - 1
"""Stands for each pixel of a mask whose values cannot be told; no mask value is so large."""

_PNG_GRAY: Final = (0, 4)
"""Colour types without and with alpha."""

_EIGHT_BITS_AS_SIXTEEN: Final = 257

_PERMUTATIONS: Final = [[0, 1, 2]] * 5 + [[1, 0, 2]] * 4
"""Of height, width and channels by orientation, from 0, which there is not, to 8."""

_REVERSALS: Final = [
    [bool(down), bool(across), False]
    for down, across in ((0, 0), (0, 0), (0, 1), (1, 1), (1, 0), (0, 0), (0, 1), (1, 1), (1, 0))
]
"""Likewise, of what was transposed."""

_LITTLE_WEIGHTS: Final = np.array([1, 2**8, 2**16, 2**24, 1, 2**8], np.int64)
_BIG_WEIGHTS: Final = np.array([2**24, 2**16, 2**8, 1, 2**8, 1], np.int64)
"""Of the bytes of a long integer, and of a short one."""

_ANY: Final = 255
_LITTLE_ENTRY: Final = np.array([0x12, 0x01, 3, 0, 1, 0, 0, 0, _ANY, 0], np.uint8)
_BIG_ENTRY: Final = np.array([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, _ANY], np.uint8)
"""The orientation in a directory of a TIFF structure, as far as it is told."""


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one JPEG or PNG (scalar string) to uint8 [height, width, 3], as a viewer shows it.

    Gray is repeated, alpha dropped, 16 bits are cut to the upper 8, and an image with an EXIF orientation is turned.
    """
    stored = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    orientation = exif_orientation(encoded)
    is_upright = tf.equal(orientation, UPRIGHT)
    # Of an upright image one row is turned, for nothing, and the whole is passed on without a copy; a reversal along
    # no axis would make one.
    part = stored[: tf.where(is_upright, 1, tf.int32.max)]
    turned = tf.transpose(part, tf.gather(_PERMUTATIONS, orientation))
    turned = tf.raw_ops.Reverse(tensor=turned, dims=tf.gather(_REVERSALS, orientation))
    both = tf.TensorArray(tf.uint8, size=2, infer_shape=False, element_shape=(None, None, 3))
    return both.write(0, turned).write(1, stored).read(tf.cast(is_upright, tf.int32))


def decoded_size(encoded: tf.Tensor) -> tf.Tensor:
    """Returns height and width of what `decode_image` makes of one image, int32 [2], without turning its pixels."""
    stored = tf.shape(tf.io.decode_image(encoded, channels=3, expand_animations=False))
    return tf.gather(stored, tf.gather(_PERMUTATIONS, exif_orientation(encoded))[:2])


def exif_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns how a viewer turns one JPEG or PNG (scalar string): the EXIF orientation, int32 from 1 (upright) to 8.

    It is 1 where there is none and where it is malformed. EXIF is looked for in the first 65,536 bytes, where all
    programs put it; SegmentationValidator finds an image that has it elsewhere.

    Source: CIPA DC-008 (EXIF 2.32), sections 4.6.2 and 4.7.2; the PNG specification (third edition), 11.3.4.5.
    """
    is_png = tf.equal(tf.strings.substr(encoded, 0, len(PNG_START)), PNG_START)
    mark = tf.where(is_png, PNG_EXIF_MARK, JPEG_EXIF_MARK)
    beginning = tf.strings.substr([encoded], 0, EXIF_SEARCHED_BYTES)
    # The last part is the beginning itself where there is no mark, which is no TIFF structure then.
    return _tiff_orientation(tf.raw_ops.StringSplitV2(input=beginning, sep=mark, maxsplit=1).values[-1])


def _tiff_orientation(tiff: tf.Tensor) -> tf.Tensor:
    """Reads the orientation, a short integer, from the first directory of a TIFF structure; 1 where there is none."""
    # Zeros stand for what is not there.
    data = tf.io.decode_raw(tf.strings.join([tiff, b"\0"]), tf.uint8)
    end = tf.size(data, tf.int64) - 1
    head = tf.gather(data, tf.minimum(tf.range(8, dtype=tf.int64), end))
    is_little = tf.reduce_all(head[:4] == [*b"II*\0"])
    is_tiff = is_little | tf.reduce_all(head[:4] == [*b"MM\0*"])
    weights = tf.where(is_little, _LITTLE_WEIGHTS, _BIG_WEIGHTS)
    start = tf.reduce_sum(tf.cast(head[4:], tf.int64) * weights[:4])
    directory = tf.gather(data, tf.minimum(start + tf.range(2 + 12 * EXIF_SEARCHED_ENTRIES, dtype=tf.int64), end))
    count = tf.reduce_sum(tf.cast(directory[:2], tf.int64) * weights[4:])
    entries = tf.reshape(directory[2:], [EXIF_SEARCHED_ENTRIES, 12])
    values = tf.reduce_max(entries[:, 8:10], axis=-1)
    # Tag, type, number of values, and the value, of two bytes: the one that may be set is left out.
    expected = tf.where(is_little, _LITTLE_ENTRY, _BIG_ENTRY)
    is_orientation = tf.reduce_all((entries[:, :10] == expected) | (expected == _ANY), axis=-1)
    is_orientation &= (values < len(_PERMUTATIONS)) & (tf.range(EXIF_SEARCHED_ENTRIES, dtype=tf.int64) < count)
    found = tf.reduce_max(tf.where(is_orientation & is_tiff, values, 0))
    return tf.cast(tf.maximum(found, UPRIGHT), tf.int32)


def decode_mask(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one mask (scalar string) to its raw values, int32 [height, width, 1].

    A gray PNG of 8 or 16 bits a pixel has the values that it says; one of 1, 2 or 4 bits those that every decoder
    stretches them to, from 0 to 255; alpha is dropped. Every other image, whose values would be colours, is
    `UNREADABLE_MASK_VALUE` throughout: SegmentationValidator lets nothing pass but gray PNGs of 8 bits.

    Example:
      >>> decode_mask(tf.io.encode_png(np.array([[[1], [3]]], np.uint8))).numpy().tolist()
      [[[1], [3]]]
    """
    pixels = tf.cast(tf.io.decode_png(encoded, channels=1, dtype=tf.uint16), tf.int32)
    depth_and_color = tf.io.decode_raw(tf.strings.substr(encoded, PNG_DEPTH_AND_COLOR_AT, 2), tf.uint8)
    is_png = tf.equal(tf.strings.substr(encoded, 0, len(PNG_START)), PNG_START)
    is_gray = is_png & tf.reduce_any(depth_and_color[1] == _PNG_GRAY)
    values = pixels // tf.where(depth_and_color[0] == 16, 1, _EIGHT_BITS_AS_SIXTEEN)
    return tf.where(is_gray, values, UNREADABLE_MASK_VALUE)
