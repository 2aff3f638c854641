"""Images and masks in folders: whatever two files have the same name, or one that follows from the other."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pipeline.data.formats.annotation import Annotations, Dropped, Picture
from pipeline.data.formats.class_table import TABLE_FILES, ClassTable, declared_table
from pipeline.data.formats.files import list_files
from pipeline.data.formats.layouts import IMAGE_ENDINGS, MASK_ENDINGS, Entry, Key, by_name_alone, entries
from pipeline.data.formats.mask_decoding import MASK_SUFFIXES
from pipeline.data.formats.masks import MaskFile, MaskReading
from pipeline.data.formats.options import SourceOptions
from pipeline.data.formats.splits import split_by_lists, split_of_folders
from trainer_module.errors import DataError

_PHOTO_SUFFIXES: Final = (".jpg", ".jpeg")
_SHOWN: Final = 3


def read_folders(root: Path, options: SourceOptions) -> Annotations:
    """Pairs the images below a folder with their masks.

    Raises:
      ConfigError: The options contradict the source.
      DataError: A folder or list cannot be read, or no image has a mask.
    """
    listing = list_files(root)
    found_tables = [file for file in listing.files if file.name.lower() in TABLE_FILES]
    found = min(found_tables, key=lambda file: (len(file.parts), file), default=None)
    table = declared_table(options, found)
    notes = list(listing.notes)
    if table is not None and found is not None and options.class_table is None and not options.class_names:
        notes.append(f"The classes are those of {listing.name(found)}.")
    images, masks, unpaired = _images_and_masks(entries(map(listing.name, listing.files), options))
    pairs, dropped = pair(images, masks)
    if not pairs:
        pairs, dropped = pair(map(by_name_alone, images), map(by_name_alone, masks))
        notes.append("Their folders differ, so images and masks are paired by their names alone.")
    reading = mask_reading(table, options)
    pictures = [
        Picture(
            image.name,
            root / image.name,
            MaskFile(root / mask.name, reading),
            split_of_folders([*image.key[0], *Path(image.name).parts[:-1]]),
        )
        for image, mask in pairs
    ]
    if not pictures:
        raise DataError(_nothing(root, images, masks))
    dropped = [*listing.dropped, *unpaired, *dropped]
    pictures, unlisted, list_notes = split_by_lists(pictures, dropped, listing.files, options)
    dropped += unlisted
    notes += list_notes
    return Annotations(
        format_name="images and masks in folders",
        pictures=tuple(pictures),
        card=reading.card(),
        dropped=tuple(dropped),
        notes=tuple(notes),
    )


def mask_reading(table: ClassTable | None, options: SourceOptions) -> MaskReading:
    """Returns how masks are read, by what is declared."""
    has_colors = table is not None and table.has_colors
    return MaskReading(
        table=table,
        palette_colors=has_colors if options.palette is None else options.palette == "color",
        ignores_unknown=options.unknown == "ignore",
        snaps_lossy=options.jpeg_masks == "snap",
    )


def pair(images: Iterable[Entry], masks: Iterable[Entry]) -> tuple[list[tuple[Entry, Entry]], list[Dropped]]:
    """Finds the one mask of each image.

    Returns:
      Image and mask, in the order of the images; and what has none, or more than one.
    """
    images_of, masks_of = _by_key(images), defaultdict[Key, list[Entry]](list)
    for entry in masks:
        masks_of[entry.key if entry.key in images_of else _image_key(entry.key, images_of)].append(entry)
    pairs: list[tuple[Entry, Entry]] = []
    dropped: list[Dropped] = []
    for key, same in images_of.items():
        of_image = masks_of.pop(key, [])
        if len(same) == 1 and len(of_image) == 1:
            pairs.append((same[0], of_image[0]))
        elif len(same) > 1:
            dropped += [Dropped(entry.name, f"several images have this name: {_names(same)}") for entry in same]
            dropped += [Dropped(entry.name, f"the mask of several images: {_names(same)}") for entry in of_image]
        elif of_image:
            dropped.append(Dropped(same[0].name, f"it has several masks: {_names(of_image)}"))
            dropped += [Dropped(entry.name, f"one of several masks of {same[0].name}") for entry in of_image]
        else:
            dropped.append(Dropped(same[0].name, "it has no mask"))
    dropped += [Dropped(entry.name, "a mask without an image") for rest in masks_of.values() for entry in rest]
    return pairs, dropped


def _images_and_masks(found: list[Entry]) -> tuple[list[Entry], list[Entry], list[Dropped]]:
    """Parts images from masks, also where no folder and no template says which is which."""
    images = [entry for entry in found if entry.kind == "image"]
    masks = [entry for entry in found if entry.kind == "mask"]
    others = [entry for entry in found if entry.kind == "either"]
    if images and masks:
        return (
            images,
            masks,
            [Dropped(entry.name, "in neither a folder of images nor one of masks") for entry in others],
        )
    if masks:
        return others, masks, []
    # In one folder, or below folders of images only: a name says what is a mask, or the format does.
    every = images + others
    by_key = _by_key(every)
    masks = [entry for entry in every if _image_key(entry.key, by_key) != entry.key]
    if not masks:
        masks = [
            entry
            for entry in every
            if len(by_key[entry.key]) == 2
            and not _is_photo(entry)
            and _suffix(entry) in MASK_SUFFIXES
            and any(map(_is_photo, by_key[entry.key]))
        ]
    names = {entry.name for entry in masks}
    return [entry for entry in every if entry.name not in names], masks, []


def _image_key(mask_key: Key, images_of: dict[Key, list[Entry]]) -> Key:
    """Returns the key of the image that a mask is of: without what names of masks end with, or its own."""
    folders, stem = mask_key
    stems = [stem.removesuffix(ending) for ending in MASK_ENDINGS if stem.endswith(ending)]
    keys = [(folders, shortened + ending) for shortened in stems for ending in ("", *IMAGE_ENDINGS)]
    return next((key for key in keys if key in images_of), mask_key)


def _by_key(found: Iterable[Entry]) -> dict[Key, list[Entry]]:
    by_key: dict[Key, list[Entry]] = defaultdict(list)
    for entry in found:
        by_key[entry.key].append(entry)
    return dict(by_key)


def _suffix(entry: Entry) -> str:
    return Path(entry.name).suffix.lower()


def _is_photo(entry: Entry) -> bool:
    return _suffix(entry) in _PHOTO_SUFFIXES


def _names(found: list[Entry]) -> str:
    return ", ".join(entry.name for entry in found)


def _nothing(root: Path, images: list[Entry], masks: list[Entry]) -> str:
    def shown(found: list[Entry]) -> str:
        return f"{len(found)} ({_names(found[:_SHOWN])}{', …' if len(found) > _SHOWN else ''})" if found else "none"

    return (
        f"{root}: no image has a mask. Found as images: {shown(images)}; as masks: {shown(masks)}. An image and its "
        "mask have the same name, in folders such as images and masks. Say which folders they are in (--images, "
        "--masks), or how masks are called (--mask-template '{stem}_mask.png')."
    )
