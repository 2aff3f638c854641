"""Pascal VOC's segmentation task, and whatever keeps its folders: JPEGImages, SegmentationClass, ImageSets."""

from pathlib import Path, PurePosixPath
from typing import Final

from components.dataset_card import Color
from pipeline.data.formats.annotation import Annotations, Picture
from pipeline.data.formats.class_table import ClassTable, declared_table
from pipeline.data.formats.files import Listing, list_files, normal, read_text
from pipeline.data.formats.folders import mask_reading, pair
from pipeline.data.formats.images import IMAGE_SUFFIXES
from pipeline.data.formats.layouts import Entry, Kind
from pipeline.data.formats.mask_decoding import MASK_SUFFIXES
from pipeline.data.formats.masks import MaskFile
from pipeline.data.formats.options import SourceOptions
from pipeline.data.formats.splits import split_by_lists
from trainer_module.errors import DataError

IMAGES_FOLDER: Final = "JPEGImages"
MASKS_FOLDER: Final = "SegmentationClass"
LISTS_FOLDER: Final = "ImageSets/Segmentation"

VOC_CLASSES: Final = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""By palette index.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge 2012 Development Kit, section 3.
"""

VOID: Final = 255


def palette_color(index: int) -> Color:
    """Returns the colour of an index in the palette of Pascal VOC, which many data sets use.

    The bits of the index, from the lowest, go in turn to red, green and blue, each filled from its highest bit.

    Source: `VOCcolormap.m` of the development kit.

    Example:
      >>> palette_color(1), palette_color(15), palette_color(255)
      ((128, 0, 0), (192, 128, 128), (224, 224, 192))
    """
    red, green, blue = (
        sum((index >> (3 * step + channel) & 1) << (7 - step) for step in range(8)) for channel in range(3)
    )
    return red, green, blue


def read_voc(root: Path, options: SourceOptions) -> Annotations:
    """Reads Pascal VOC, or other classes in its folders where the user declares them; 255 is not labelled.

    Raises:
      ConfigError: The options contradict each other.
      DataError: The folders are not there, or no image has a mask.
    """
    if options.ignore is None and options.class_table is None:
        options = options.model_copy(update={"ignore": (str(VOID),)})
    table = declared_table(options, None)
    if table is None and options.palette == "color":
        colors = tuple(map(palette_color, range(len(VOC_CLASSES))))
        table = ClassTable(VOC_CLASSES, colors, (palette_color(VOID),))
    elif table is None:
        values = tuple(range(len(VOC_CLASSES)))
        table = ClassTable(VOC_CLASSES, values, (VOID,), tuple(map(palette_color, values)))
    return read_segmentation_folders(voc_root(root), options, table, "Pascal VOC")


def voc_root(root: Path) -> Path:
    """Returns the folder with images and masks, at the root or below it, as in VOCdevkit/VOC2012.

    Raises:
      DataError: There is none, or more than one.
    """
    found = voc_roots(list_files(root))
    if len(found) != 1:
        many = f"several folders have a {MASKS_FOLDER}: {', '.join(map(str, found))}; import them one by one"
        raise DataError(f"{root}: {many if found else f'there are no masks in a folder {MASKS_FOLDER}'}.")
    return found[0]


def voc_roots(listing: Listing) -> list[Path]:
    """Returns all folders that hold a `SegmentationClass` with files."""
    below = [file.relative_to(listing.root).parts[:-1] for file in listing.files]
    return sorted(
        {listing.root.joinpath(*parts[: parts.index(MASKS_FOLDER)]) for parts in below if MASKS_FOLDER in parts}
    )


def read_segmentation_folders(root: Path, options: SourceOptions, table: ClassTable, format_name: str) -> Annotations:
    """Reads images and masks from the folders of Pascal VOC.

    Images without a mask that no list names belong to its other tasks, and are only counted.

    Args:
      root: The folder with `SegmentationClass`.
      options: Where the images are, if not in `JPEGImages`; and lists of the splits.
      table: The classes.
      format_name: What to call the format.

    Raises:
      DataError: There are no images, or none has a mask.
    """
    listing = list_files(root)
    images = _entries(listing, options.images or IMAGES_FOLDER, "image", IMAGE_SUFFIXES)
    masks = _entries(listing, options.masks or MASKS_FOLDER, "mask", MASK_SUFFIXES)
    if not images:
        raise DataError(
            f"{root}: there is no image in {options.images or IMAGES_FOLDER}. Export the data set with its images, or "
            "copy them there, in the same folders and with the same names as the masks have."
        )
    lists = [file for file in listing.files if file.is_relative_to(root / LISTS_FOLDER)]
    of_task = {normal(line) for file in lists for line in read_text(file).splitlines()}
    of_task |= {mask.key[1] for mask in masks}
    others = [image for image in images if lists and image.key[1] not in of_task]
    notes: tuple[str, ...] = ()
    if others:
        notes += (f"{len(others)} images have no mask and are in no list of {LISTS_FOLDER}: they are not read.",)
    pairs, dropped = pair([image for image in images if not lists or image.key[1] in of_task], masks)
    reading = mask_reading(table, options)
    pictures = [Picture(image.name, root / image.name, MaskFile(root / mask.name, reading)) for image, mask in pairs]
    if not pictures:
        raise DataError(f"{root}: no image of {options.images or IMAGES_FOLDER} has a mask.")
    dropped = [*listing.dropped, *dropped]
    pictures, unlisted, list_notes = split_by_lists(pictures, dropped, lists, options)
    return Annotations(
        format_name=format_name,
        pictures=tuple(pictures),
        card=reading.card(),
        dropped=(*dropped, *unlisted),
        notes=(*listing.notes, *notes, *list_notes),
    )


def _entries(listing: Listing, folder: str, kind: Kind, suffixes: frozenset[str]) -> list[Entry]:
    """Returns the files below a folder; what image and mask have in common is their path in it, without extension."""
    names = [PurePosixPath(listing.name(file)) for file in listing.files]
    return [
        Entry(str(name), kind, ((), normal(str(name.relative_to(folder).with_suffix("")))))
        for name in names
        if name.is_relative_to(folder) and name.suffix.lower() in suffixes
    ]
