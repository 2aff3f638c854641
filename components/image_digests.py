"""Which images are in each split, by a short digest of their bytes: an image is known again wherever it comes from.

SegmentationValidator, which reads every image, leaves the list with its findings, so that whoever asks whether an image
was there before reads none again. Nothing here imports TensorFlow.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from trainer_module.errors import DataError

IMAGES_FILE: Final = "images.csv"
"""Of the findings of SegmentationValidator, what `images_csv` returned."""

_COLUMNS: Final = ("split", "digest", "file_name")


class KnownImage(NamedTuple):
    """An image of a split."""

    digest: str
    """Hexadecimal; `components.segmentation_validator.examination.Examination.digest`."""

    file_name: str


def images_csv(images: Mapping[str, Iterable[KnownImage]]) -> str:
    """Returns a list of images as CSV (RFC 4180): split, digest and file name.

    Args:
      images: Split name to its images.

    Example:
      >>> read_images(images_csv({"train": [KnownImage("0a1b", "a, b.jpg")]}).encode())
      {'train': [KnownImage(digest='0a1b', file_name='a, b.jpg')]}
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    writer.writerows((split, *image) for split, of_split in images.items() for image in of_split)
    return file.getvalue()


def read_images(content: bytes) -> dict[str, list[KnownImage]]:
    """Reads what `images_csv` returned, in UTF-8.

    Raises:
      DataError: It is something else.
    """
    found: dict[str, list[KnownImage]] = {}
    rows = csv.reader(io.StringIO(content.decode(errors="replace"), newline=""))
    try:
        if next(rows, None) != [*_COLUMNS]:
            raise ValueError("the first line is not that of such a list")
        for split, digest, file_name in rows:
            found.setdefault(split, []).append(KnownImage(digest, file_name))
    except (ValueError, csv.Error) as error:
        raise DataError(
            f"{IMAGES_FILE} of the findings is damaged ({error}); run SegmentationValidator again"
        ) from error
    return found
