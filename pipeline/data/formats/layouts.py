"""Which file of a folder is an image, which its mask, and what the two have in common."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final, Literal

from pipeline.data.formats.files import normal
from pipeline.data.formats.images import IMAGE_SUFFIXES
from pipeline.data.formats.mask_decoding import MASK_SUFFIXES
from pipeline.data.formats.options import SourceOptions
from pipeline.data.formats.splits import split_of_folders

_IMAGE_WORDS: Final = "images?|imgs?|jpegimages|photos?|pictures?|pics|rgb|inputs?"
_MASK_WORDS: Final = (
    "(?:masks?|labels?|annotations?|annots?|annos?|segmentationclass|segmentations?|segmentation_?masks?|segs?|gts?|"
    "ground_?truths?|trimaps?|targets?)(?:[_ -]?(?:images?|imgs?))?"
)
_FOLDER: Final = re.compile(
    rf"(?P<rest>.*?)(?:^|[_\-. ]|(?<=[a-z]))(?:(?P<mask>{_MASK_WORDS})|(?P<image>{_IMAGE_WORDS}))", re.IGNORECASE
)
"""A folder called by what it holds, such as `masks`, `train_masks` or `trainannot`."""

_WORD_FIRST: Final = re.compile(
    rf"(?:(?P<mask>{_MASK_WORDS})|(?P<image>{_IMAGE_WORDS}))[_\-. ]?(?P<rest>.*)", re.IGNORECASE
)

MASK_ENDINGS: Final = (
    "_mask",
    "-mask",
    ".mask",
    " mask",
    "_masks",
    "_label",
    "_labels",
    "_gt",
    "_seg",
    "_segmentation",
    "_trimap",
    "_annotation",
    "_L",
)
"""What follows the image's name in the name of a mask, where nothing else is said."""

IMAGE_ENDINGS: Final = ("_image", "_img", "_rgb", "_sat")
"""What the name of an image may have in that place."""

Kind = Literal["image", "mask", "either"]
Key = tuple[tuple[str, ...], str]
"""The folders that image and mask have in common, and the stem; normalized."""


@dataclass(frozen=True)
class Entry:
    """One file with the name of an image or mask."""

    name: str
    """Relative to the source's root, as it is on disk."""

    kind: Kind
    """By its folder, or by the template."""

    key: Key


def entries(names: Iterable[str], options: SourceOptions) -> list[Entry]:
    """Returns what each file is by its name.

    Left out are files that cannot be images or masks, and those outside the folders of both, where the user names them.
    """
    template = None if options.mask_template is None else _template(options.mask_template)
    found = [_entry(name, options, template) for name in names]
    return [entry for entry in found if entry is not None]


def by_name_alone(entry: Entry) -> Entry:
    """Returns a file whose folders only say its split."""
    folders, stem = entry.key
    split = split_of_folders((*folders, *PurePosixPath(entry.name).parent.parts))
    return replace(entry, key=((split,) if split else (), stem))


def _entry(name: str, options: SourceOptions, template: re.Pattern[str] | None) -> Entry | None:
    path = PurePosixPath(normal(name))
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES | MASK_SUFFIXES:
        return None
    kind, folders = _folder_kind(path.parent, options)
    if kind == "either" and options.images is not None and options.masks is not None:
        return None
    stem = path.stem
    if template is not None:
        match = template.fullmatch(path.name)
        # In a folder of images, a template such as `{stem}.png` says nothing.
        if match and (kind != "image" or match["stem"] != stem):
            return Entry(name, "mask", (folders, match["stem"]))
        kind = "image" if kind == "either" else kind
    return Entry(name, kind, (folders, stem))


def _folder_kind(folder: PurePosixPath, options: SourceOptions) -> tuple[Kind, tuple[str, ...]]:
    """Returns what is in a folder, and which folders an image and its mask have in common."""
    declared: tuple[tuple[Kind, str | None], ...] = (("mask", options.masks), ("image", options.images))
    for kind, declared_folder in declared:
        if declared_folder is not None and folder.is_relative_to(normal(declared_folder)):
            return kind, folder.relative_to(normal(declared_folder)).parts
    if options.images is not None and options.masks is not None:
        return "either", folder.parts
    kind = "either"
    rest: list[str] = []
    for part in folder.parts:
        match = _FOLDER.fullmatch(part) or _WORD_FIRST.fullmatch(part)
        if match is None:
            rest.append(part)
            continue
        # Of `images/masks` the inner one counts.
        kind = "mask" if match["mask"] else "image"
        rest += filter(None, [match["rest"]])
    return kind, tuple(rest)


def _template(template: str) -> re.Pattern[str]:
    """Returns the pattern of the file names that a template stands for."""
    before, after = map(re.escape, normal(template).split("{stem}"))
    suffix = "" if PurePosixPath(template).suffix else r"\.[^.]+"
    return re.compile(f"{before}(?P<stem>.+){after}{suffix}")
