"""From one TFDS record, with its images still encoded, to the `tf.train.Example` of the data contract.

Images stay as they came. Masks, as people store them, become what the contract says: PNGs of 8-bit gray whose values
are the classes'. What cannot be told without a guess is refused, with what to do.
"""

import io
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from PIL import Image

from components.tfds_example_gen.source import TfdsSource
from trainer_module import features
from trainer_module.decoding import decode_mask, decoded_size
from trainer_module.encoded_images import (
    JPEG_START,
    PNG_DEPTH_AND_COLOR_AT,
    PNG_START,
    UNREADABLE,
    ImageRefusedError,
    read_header,
    viewers_orientation,
)
from trainer_module.errors import DataError

_DEPTH_AND_COLOR: Final = slice(PNG_DEPTH_AND_COLOR_AT, PNG_DEPTH_AND_COLOR_AT + 2)
_GRAY: Final = 0
_PALETTE: Final = 3
_GRAY_WITH_ALPHA: Final = 4
_LARGEST_VALUE: Final = 255
_OPAQUE: Final = 255
_SHOWN_VALUES: Final = 10

_TFDS_ID: Final = "tfds_id"
_IMAGE_ADVICE: Final = (
    "What models can be trained on and served with is JPEG and PNG: mend, convert or remove the file, and prepare the "
    "data set again."
)

_decoded_size = tf.function(decoded_size, input_signature=[tf.TensorSpec([], tf.string)])


def encoded_reading(source: TfdsSource) -> dict[str, Any]:
    """Returns the arguments of `as_dataset` that leave images encoded, identify each record, and read in order."""
    return {
        "decoders": {
            source.image_feature: tfds.decode.SkipDecoding(),
            source.mask_feature: tfds.decode.SkipDecoding(),
        },
        "read_config": tfds.ReadConfig(add_tfds_id=True, interleave_cycle_length=1),
        "shuffle_files": False,
    }


class ExampleConverter:
    """Converts the records of one data set, and refuses those that training could not use."""

    def __init__(self, source: TfdsSource, feature_connectors: Mapping[str, tfds.features.FeatureConnector]) -> None:
        self._source = source
        self._class_labels = {
            name: feature_connectors[name]
            for name in source.slice_features
            if isinstance(feature_connectors[name], tfds.features.ClassLabel)
        }

    def __call__(self, record: Mapping[str, Any]) -> tf.train.Example:
        """Converts one record.

        Args:
          record: Feature name to NumPy value; image and mask as encoded bytes, and `tfds_id`.

        Returns:
          The example, with the features of `trainer_module.features` and the slice features: the image as it came,
          the mask as `canonical_mask` makes it. Class labels become their names. The id is that of TFDS, shard file and
          position; a data set without file names gets it for one.

        Raises:
          DataError: The image is none that may be trained on and served (`trainer_module.encoded_images`), or the mask
            none whose values can be told; their sizes differ as a viewer shows them; or the mask has undeclared values.
        """
        example_id = record[_TFDS_ID]
        name = record.get(features.FILE_NAME, example_id)
        image, mask = record[self._source.image_feature], record[self._source.mask_feature]
        where = f"record {example_id.decode()!r} (file {name.decode(errors='replace')!r})"
        values = {name: record[name] for name in self._source.slice_features}
        values |= {name: label.int2str(int(record[name])).encode() for name, label in self._class_labels.items()}
        values |= {
            features.IMAGE: image,
            features.SEGMENTATION_MASK: self._checked_mask(where, image, mask),
            features.EXAMPLE_ID: example_id,
            features.FILE_NAME: name,
        }
        return tf.train.Example(
            features=tf.train.Features(feature={name: _feature(value) for name, value in sorted(values.items())})
        )

    def _checked_mask(self, record: str, image: bytes, mask: bytes) -> bytes:
        """Returns the mask as the data contract has it, of an image and a mask that training can use."""
        size = _image_size(record, self._source.image_feature, image)
        try:
            canonical, values = canonical_mask(mask)
        except MaskRefusedError as error:
            raise DataError(f"{record}: the mask {self._source.mask_feature!r} ({len(mask)} bytes) {error}.") from error
        self._check_sizes(record, image, size, values.shape)
        classes, not_labelled = self._source.mask_values, self._source.ignore_values
        undeclared = np.setdiff1d(values, (*classes, *not_labelled))
        if undeclared.size:
            raise DataError(
                f"{record}: the mask {self._source.mask_feature!r} has the values {undeclared.tolist()}, not among "
                f"data.mask_values = {list(classes)}"
                f"{f' and data.ignore_values = {list(not_labelled)}' if not_labelled else ''}. Declare a class for "
                "each, or in data.ignore_values that they are not labelled, or mend the mask."
                f"{stretch_note(mask, values)}"
            )
        return canonical

    def _check_sizes(self, record: str, image: bytes, size: tuple[int, ...], mask_size: tuple[int, ...]) -> None:
        if size == mask_size:
            return
        message = (
            f"{record}: the image has {size[0]}×{size[1]} pixels and its mask {mask_size[0]}×{mask_size[1]}; "
            "they must be the same."
        )
        header = read_header(image)
        if header.is_turned and mask_size == (header.height, header.width):
            message += (
                f" The EXIF orientation of the image is {header.orientation}: petseg turns it as viewers do, and the "
                "mask fits the image as it is stored. Where the mask was drawn with a tool that ignores EXIF, remove "
                "the tag from the image; else turn the mask."
            )
        elif size == mask_size[::-1]:
            message += (
                " Height and width are swapped: was the mask drawn on a copy of the image that EXIF turned, and the "
                "tag lost since? Turn the image, or the mask."
            )
        raise DataError(message)


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
    depth, color = encoded[_DEPTH_AND_COLOR]
    try:
        if color == _PALETTE:
            with Image.open(io.BytesIO(encoded), formats=("PNG",)) as image:
                values = np.asarray(image)
        elif color in (_GRAY, _GRAY_WITH_ALPHA):
            values = decode_mask(encoded).numpy()[..., 0]
            if color == _GRAY_WITH_ALPHA and (tf.io.decode_png(encoded).numpy()[..., 1] != _OPAQUE).any():
                raise MaskRefusedError(
                    "has transparent pixels, of which nobody can say what class they are: give them a value of their "
                    "own, and save the mask without alpha"
                )
        else:
            raise MaskRefusedError(
                "has colours (RGB): a mask has one channel, whose values are the classes. Map each colour to a value "
                "where the data set's builder makes the masks, and save them as PNG of 8-bit gray"
            )
    except (tf.errors.OpError, OSError, ValueError, SyntaxError) as error:
        raise MaskRefusedError("is no readable PNG: it is cut off or damaged") from error
    if values.max(initial=0) > _LARGEST_VALUE:
        large = np.unique(values[values > _LARGEST_VALUE]).tolist()
        shown = f"{large[:_SHOWN_VALUES]}{' and more' if len(large) > _SHOWN_VALUES else ''}"
        raise MaskRefusedError(
            f"is a PNG of 16 bits with the values {shown}; they may go up to {_LARGEST_VALUE}. Map them to smaller "
            "ones where the data set's builder makes the masks"
        )
    mask = values.astype(np.uint8)
    is_canonical = (depth, color) == (8, _GRAY)
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


def _image_size(record: str, feature: str, image: bytes) -> tuple[int, ...]:
    """Returns height and width of an image that may be trained on and served, decoded as Transform will.

    Raises:
      DataError: It may not.
    """
    found = f"{record}: the image {feature!r} ({len(image)} bytes)"
    try:
        header = read_header(image)
        size = tuple(_decoded_size(image).numpy().tolist())
        shown = viewers_orientation(image)
    except ImageRefusedError as error:
        raise DataError(f"{found} {error}. {_IMAGE_ADVICE}") from error
    except (tf.errors.OpError, OSError, SyntaxError) as error:
        raise DataError(f"{found} {UNREADABLE}: it is cut off or damaged. {_IMAGE_ADVICE}") from error
    if shown != header.orientation:
        raise DataError(
            f"{found} has the EXIF orientation {shown} where models do not look for it: not as a short integer in the "
            "first directory of EXIF, within the first 65,536 bytes. Write the image again, turned and without the tag."
        )
    return size


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if np.issubdtype(np.asarray(value).dtype, np.integer):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[float(value)]))
