"""Pictures of what was found: the image and its mask over it, or the two images of a pair, as small files."""

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np
import tensorflow as tf
from PIL import Image

from components.segmentation_validator.comparison import Defect, ExamplePlace
from components.segmentation_validator.findings import ShownFinding
from components.segmentation_validator.kinds import Kind
from components.segmentation_validator.masks import MaskRefusedError, canonical_mask
from trainer_module import features
from trainer_module.encoded_images import ImageRefusedError, upright_image
from trainer_module.features import NOT_LABELLED
from trainer_module.model_card import hatched, mask_image

SHOWN_OF_A_KIND: Final = 6
SIDE: Final = 160
"""The longest of a thumbnail, in pixels."""

_QUALITY: Final = 82
_OPACITY: Final = 0.55


def chosen(defects: Iterable[Defect]) -> list[Defect]:
    """Returns the first findings of each kind that has examples."""
    taken: dict[Kind, list[Defect]] = {}
    for defect in defects:
        of_kind = taken.setdefault(defect.kind, [])
        if defect.example_id and len(of_kind) < SHOWN_OF_A_KIND:
            of_kind.append(defect)
    return [defect for of_kind in taken.values() for defect in of_kind]


def examples_at(directories: Mapping[str, str], places: Iterable[ExamplePlace]) -> dict[ExamplePlace, tf.train.Example]:
    """Reads single examples, each file up to the last that is wanted.

    Args:
      directories: Split name to where its gzipped TFRecords are.
      places: The examples.
    """
    wanted: dict[str, set[str]] = {}
    for place in places:
        wanted.setdefault(place.split, set()).add(place.example_id)
    found = {}
    for split, ids in wanted.items():
        for example_id, serialized in _by_id(directories[split]):
            if example_id in ids:
                ids.remove(example_id)
                found[ExamplePlace(split, example_id)] = tf.train.Example.FromString(serialized)
            if not ids:
                break
    return found


def drawn(
    defects: Iterable[Defect], examples: Mapping[ExamplePlace, tf.train.Example], mask_values: tuple[int, ...]
) -> tuple[list[ShownFinding], dict[str, bytes]]:
    """Draws findings.

    Args:
      defects: The findings.
      examples: Those that they are of, and their partners.
      mask_values: The value of each class in the masks.

    Returns:
      The findings with the names of their pictures, and the files by name.
    """
    shown: list[ShownFinding] = []
    files: dict[str, bytes] = {}
    for number, defect in enumerate(defects):
        pictures: dict[str, str] = {}
        for label, image in _pictures(defect, examples, mask_values):
            name = f"thumbnails/{number:03d}_{len(pictures)}.jpg"
            pictures[label], files[name] = name, _jpeg(image)
        shown.append(
            ShownFinding(
                kind=defect.kind, split=defect.split, name=defect.file_name, detail=defect.detail, pictures=pictures
            )
        )
    return shown, files


def _by_id(directory: str) -> Iterator[tuple[str, bytes]]:
    spec = {features.EXAMPLE_ID: tf.io.FixedLenFeature([], tf.string)}
    files = sorted(tf.io.gfile.glob(f"{directory}/*"))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP")
    with_ids = records.map(lambda record: (tf.io.parse_single_example(record, spec)[features.EXAMPLE_ID], record))
    for example_id, record in with_ids.as_numpy_iterator():
        yield example_id.decode(errors="replace"), record


def _pictures(
    defect: Defect, examples: Mapping[ExamplePlace, tf.train.Example], mask_values: tuple[int, ...]
) -> Iterator[tuple[str, Image.Image]]:
    values = examples[defect.place].features.feature
    try:
        photo = _thumbnail(values[features.IMAGE].bytes_list.value[0])
        yield "image", photo
        if defect.partner:
            other = examples[defect.partner].features.feature
            yield "other image", _thumbnail(other[features.IMAGE].bytes_list.value[0])
        else:
            mask = values[features.SEGMENTATION_MASK].bytes_list.value[0]
            yield "mask over image", _overlay(photo, mask, mask_values)
    except (ImageRefusedError, MaskRefusedError):
        return


def _thumbnail(encoded: bytes) -> Image.Image:
    photo = upright_image(encoded)
    photo.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return photo


def _overlay(photo: Image.Image, encoded: bytes, mask_values: tuple[int, ...]) -> Image.Image:
    """Returns the photo under its mask, in the colours of the classes; hatched where a value is of no class."""
    class_ids = np.full(256, NOT_LABELLED, np.uint8)
    class_ids[list(mask_values)] = np.arange(len(mask_values))
    values = Image.fromarray(canonical_mask(encoded)[1]).resize(photo.size, Image.Resampling.NEAREST)
    mask = hatched(mask_image(class_ids[np.asarray(values)], len(mask_values)))
    return Image.blend(photo, mask.convert("RGB"), _OPACITY)


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
