"""Cityscapes: leftImg8bit and gtFine, with the ids of all labels or those of training."""

from pathlib import Path
from typing import Final, NamedTuple

from components.dataset_card import Color
from pipeline.data.formats.annotation import Annotations, Picture
from pipeline.data.formats.class_table import ClassTable
from pipeline.data.formats.files import Listing, list_files
from pipeline.data.formats.folders import mask_reading, pair
from pipeline.data.formats.layouts import Entry
from pipeline.data.formats.masks import MaskFile
from pipeline.data.formats.options import SourceOptions
from pipeline.suggestions import nearest
from trainer_module.errors import ConfigError, DataError

IMAGES_FOLDER: Final = "leftImg8bit"
MASKS_FOLDERS: Final = ("gtFine", "gtCoarse")

_IMAGE_END: Final = "_leftImg8bit.png"
_MASK_KINDS: Final = ("labelIds", "labelTrainIds")
_NOT_TRAINED: Final = 255


class Label(NamedTuple):
    """One label of Cityscapes."""

    name: str
    train_id: int
    """255 where benchmarks leave it out."""

    color: Color


LABELS: Final = (
    Label("unlabeled", 255, (0, 0, 0)),
    Label("ego vehicle", 255, (0, 0, 0)),
    Label("rectification border", 255, (0, 0, 0)),
    Label("out of roi", 255, (0, 0, 0)),
    Label("static", 255, (0, 0, 0)),
    Label("dynamic", 255, (111, 74, 0)),
    Label("ground", 255, (81, 0, 81)),
    Label("road", 0, (128, 64, 128)),
    Label("sidewalk", 1, (244, 35, 232)),
    Label("parking", 255, (250, 170, 160)),
    Label("rail track", 255, (230, 150, 140)),
    Label("building", 2, (70, 70, 70)),
    Label("wall", 3, (102, 102, 156)),
    Label("fence", 4, (190, 153, 153)),
    Label("guard rail", 255, (180, 165, 180)),
    Label("bridge", 255, (150, 100, 100)),
    Label("tunnel", 255, (150, 120, 90)),
    Label("pole", 5, (153, 153, 153)),
    Label("polegroup", 255, (153, 153, 153)),
    Label("traffic light", 6, (250, 170, 30)),
    Label("traffic sign", 7, (220, 220, 0)),
    Label("vegetation", 8, (107, 142, 35)),
    Label("terrain", 9, (152, 251, 152)),
    Label("sky", 10, (70, 130, 180)),
    Label("person", 11, (220, 20, 60)),
    Label("rider", 12, (255, 0, 0)),
    Label("car", 13, (0, 0, 142)),
    Label("truck", 14, (0, 0, 70)),
    Label("bus", 15, (0, 60, 100)),
    Label("caravan", 255, (0, 0, 90)),
    Label("trailer", 255, (0, 0, 110)),
    Label("train", 16, (0, 80, 100)),
    Label("motorcycle", 17, (0, 0, 230)),
    Label("bicycle", 18, (119, 11, 32)),
)
"""By id; the licence plate, of id −1, is 255 in the masks.

Source: Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR 2016, and the labels
published with it.
"""


def read_cityscapes(root: Path, options: SourceOptions) -> Annotations:
    """Reads Cityscapes; the classes are the 19 of its benchmark, or those of `class_names`, in their order.

    Masks of all ids are taken where there are any, else those of train ids. The city of an image is a feature.

    Raises:
      ConfigError: There is no such class.
      DataError: The folders are not there, or no image has a mask.
    """
    listing = list_files(root)
    images = _entries(listing, IMAGES_FOLDER, _IMAGE_END)
    sets = ((folder, kind) for folder in MASKS_FOLDERS for kind in _MASK_KINDS)
    found = ((folder, kind, _entries(listing, folder, f"_{folder}_{kind}.png")) for folder, kind in sets)
    folder, kind, masks = next((each for each in found if each[2]), ("", "", []))
    if not images or not masks:
        raise DataError(
            f"{root}: there are {len(images)} images *{_IMAGE_END} below {IMAGES_FOLDER}, and {len(masks)} masks "
            f"*_{MASKS_FOLDERS[0]}_{' or '.join(_MASK_KINDS)}.png below {MASKS_FOLDERS[0]}. Unpack both archives there."
        )
    pairs, dropped = pair(images, masks)
    reading = mask_reading(_table(options, has_train_ids=kind == _MASK_KINDS[1]), options)
    pictures = [
        Picture(
            image.name,
            root / image.name,
            MaskFile(root / mask.name, reading),
            split=image.key[0][0],
            labels={"city": image.key[0][-1]},
        )
        for image, mask in pairs
    ]
    return Annotations(
        format_name=f"Cityscapes ({folder}, {kind})",
        pictures=tuple(pictures),
        card=reading.card().model_copy(update={"slice_features": ("city",)}),
        dropped=(*listing.dropped, *dropped),
        notes=listing.notes,
    )


def _table(options: SourceOptions, has_train_ids: bool) -> ClassTable:
    labels = {label.name: (label, index) for index, label in enumerate(LABELS)}
    trained = sorted((label for label in LABELS if label.train_id != _NOT_TRAINED), key=lambda label: label.train_id)
    choices = {label.name for label in trained} if has_train_ids else set(labels)
    names = options.class_names or tuple(label.name for label in trained)
    for name in names:
        if name not in choices:
            raise ConfigError(
                f"--class {name}: Cityscapes has no such label here; did you mean {nearest(name, choices)!r}?"
            )
    ids = {name: label.train_id if has_train_ids else index for name, (label, index) in labels.items()}
    keys = tuple(ids[name] for name in names)
    ignored = tuple(dict.fromkeys(id_ for id_ in (*ids.values(), _NOT_TRAINED) if id_ not in keys))
    return ClassTable(names, keys, ignored, tuple(labels[name][0].color for name in names))


def _entries(listing: Listing, folder: str, end: str) -> list[Entry]:
    """Returns the files below a folder with an end; image and mask have split, city and the beginning in common."""
    names = [listing.name(file) for file in listing.files]
    return [
        Entry(name, "image" if end == _IMAGE_END else "mask", (tuple(parts[1:-1]), parts[-1].removesuffix(end)))
        for name, parts in ((name, name.split("/")) for name in names)
        if len(parts) == 4 and parts[0] == folder and name.endswith(end)
    ]
