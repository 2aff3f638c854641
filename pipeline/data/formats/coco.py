"""COCO: objects with polygons and run lengths in one JSON file a split, rendered by COCO's own library."""

import importlib.util
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.data.formats.annotation import Annotations, Dropped, Picture
from pipeline.data.formats.coco_masks import ObjectMask, Outline, read_outline
from pipeline.data.formats.files import Listing, list_files, normal
from pipeline.data.formats.image_finder import ImageFinder
from pipeline.data.formats.json_files import read_beginning, read_json
from pipeline.data.formats.objects import (
    ObjectClasses,
    annotated_once,
    object_classes,
    shown_names,
)
from pipeline.data.formats.options import SourceOptions
from pipeline.data.formats.splits import split_by_lists, split_of_folders, split_word
from trainer_module.errors import ConfigError, DataError

_KEYS: Final = ("images", "annotations", "categories")
_OTHER_TASKS: Final = ("captions", "keypoints", "panoptic", "image_info", "stuff", "results")


def read_coco(root: Path, options: SourceOptions) -> Annotations:
    """Reads annotation files of COCO and finds their images.

    Args:
      root: A file, or a folder with files such as `annotations/instances_train2017.json`.
      options: What the user says.

    Raises:
      ConfigError: `pycocotools` is not installed, or there is no category of a name that the user gives.
      DataError: A file cannot be read, or no image of it is there.
    """
    if importlib.util.find_spec("pycocotools") is None:
        raise ConfigError("COCO annotations need pycocotools, which is not installed: pip install 'petseg[import]'.")
    listing = list_files(root if root.is_dir() else _folder_of(root))
    files = coco_files(listing) if root.is_dir() else [root]
    if not files:
        raise DataError(f"{root}: there is no JSON file with COCO's {', '.join(_KEYS)}.")
    contents = {file: _content(file) for file in files}
    categories = _categories(contents)
    names = [categories[id_] for id_ in sorted(categories)]
    classes = object_classes(names, options, str(root))
    finder = ImageFinder(listing, options.images)
    pictures: list[Picture] = []
    dropped = list(listing.dropped)
    for file, content in contents.items():
        read, left_out = _pictures(file, content, finder, categories, classes, options)
        pictures += read
        dropped += left_out
    pictures, twice = annotated_once(pictures)
    dropped += twice
    if not pictures:
        raise DataError(_nothing(root, dropped))
    notes = [*listing.notes, f"The annotations are those of {', '.join(map(listing.name, files))}."]
    others = finder.names.difference((each.name for each in pictures), (each.name for each in dropped))
    if others:
        notes.append(f"{len(others)} images are in no annotation file: they are not read.")
    pictures, unlisted, list_notes = split_by_lists(pictures, dropped, (), options)
    pictures.sort(key=lambda picture: normal(picture.name))
    has_crowds = any(outline.is_crowd for outlines in _outlines(pictures) for outline in outlines)
    return Annotations(
        format_name="COCO",
        pictures=tuple(pictures),
        card=classes.card(can_ignore=has_crowds and options.crowds == "ignore"),
        dropped=(*dropped, *unlisted),
        notes=(*notes, *list_notes, *_notes_on_categories(names, pictures, classes)),
    )


def coco_files(listing: Listing) -> list[Path]:
    """Returns the annotation files of a folder: those of instances, or else all that look like COCO's."""
    found = [
        file
        for file in listing.files
        if file.suffix.lower() == ".json"
        and not any(word in file.stem.lower() for word in _OTHER_TASKS)
        and looks_like_coco(file)
    ]
    return [file for file in found if file.stem.startswith("instances")] or found


def looks_like_coco(file: Path) -> bool:
    """Tells whether the beginning of a JSON file is that of COCO annotations."""
    beginning = read_beginning(file)
    keys = (b'"images"', b'"annotations"', b'"categories"', b'"licenses"', b'"info"')
    return b'"shapes"' not in beginning and any(key in beginning for key in keys)


def _folder_of(file: Path) -> Path:
    """Returns the folder below which the images of an annotation file are looked for."""
    return file.parent.parent if file.parent.name.lower().startswith("annotation") else file.parent


def _pictures(
    file: Path,
    content: Mapping[str, Any],
    finder: ImageFinder,
    categories: Mapping[int, str],
    classes: ObjectClasses,
    options: SourceOptions,
) -> tuple[list[Picture], list[Dropped]]:
    """Returns the images of one annotation file, and those that are not there."""
    split = split_word(file.stem) or split_of_folders(file.relative_to(finder.root).parts[:-1])
    annotations_of: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in content["annotations"]:
        annotations_of[annotation.get("image_id")].append(annotation)
    pictures: list[Picture] = []
    dropped: list[Dropped] = []
    for image in content["images"]:
        named = str(image.get("file_name", ""))
        try:
            found = finder.find(named, file.parent, split)
        except FileNotFoundError as error:
            dropped.append(Dropped(named, f"{file.name}: {error}"))
            continue
        try:
            outlines = tuple(read_outline(each, categories) for each in annotations_of[image.get("id")])
            size = (int(image["height"]), int(image["width"])) if image.get("height") and image.get("width") else None
        except (KeyError, TypeError, ValueError) as error:
            dropped.append(Dropped(finder.name(found), f"{file.name}: {error}"))
            continue
        mask = ObjectMask(outlines, size, classes, options.crowds == "object")
        pictures.append(Picture(finder.name(found), found, mask, split))
    return pictures, dropped


def _content(file: Path) -> Mapping[str, Any]:
    """Returns what a file holds.

    Raises:
      DataError: It cannot be read, or has not the lists of COCO.
    """
    try:
        content = read_json(file)
    except ValueError as error:
        raise DataError(f"{file}: {error}.") from error
    missing = [key for key in _KEYS if not isinstance(content, Mapping) or not isinstance(content.get(key), list)]
    if missing:
        raise DataError(f"{file}: it is no COCO annotation file: there is no list {' and no list '.join(missing)}.")
    if any(not isinstance(each, Mapping) for key in _KEYS for each in content[key]):
        raise DataError(f"{file}: it is no COCO annotation file: {', '.join(_KEYS)} have to be lists of objects.")
    return content


def _categories(contents: Mapping[Path, Mapping[str, Any]]) -> dict[int, str]:
    """Returns the categories of all files, id to name.

    Raises:
      DataError: Two files, or two ids, contradict each other.
    """
    categories: dict[int, str] = {}
    for file, content in contents.items():
        for category in content["categories"]:
            try:
                id_, name = int(category["id"]), str(category["name"])
            except (KeyError, ValueError) as error:
                raise DataError(f"{file}: the category {dict(category)!r} has no id and name.") from error
            if categories.setdefault(id_, name) != name:
                raise DataError(f"{file}: the category {id_} is {name!r} here and {categories[id_]!r} before.")
    twice = [name for name, count in Counter(categories.values()).items() if count > 1]
    if twice:
        raise DataError(f"{', '.join(map(str, contents))}: several categories have the name {shown_names(twice)}.")
    return categories


def _outlines(pictures: Iterable[Picture]) -> list[tuple[Outline, ...]]:
    return [picture.mask.outlines for picture in pictures if isinstance(picture.mask, ObjectMask)]


def _notes_on_categories(names: list[str], pictures: list[Picture], classes: ObjectClasses) -> Iterator[str]:
    outlines = _outlines(pictures)
    if empty := sum(not each for each in outlines):
        yield f"{empty} images have no annotation: they are background."
    used = {outline.category for each in outlines for outline in each}
    if unused := [name for name in classes.names if name not in used]:
        yield f"No image has an object of {shown_names(unused)}."
    if others := sorted(used.difference(classes.names, classes.ignored), key=names.index):
        yield f"Background, for no class is declared for them: {shown_names(others)}."


def _nothing(root: Path, dropped: list[Dropped]) -> str:
    first = f" The first: {dropped[0].name}: {dropped[0].reason}." if dropped else ""
    return f"{root}: none of the annotated images can be used, {len(dropped)} are missing or unclear.{first}"
