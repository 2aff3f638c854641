"""From a source, of whatever format, to its annotations."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pipeline.data.formats.annotation import Annotations
from pipeline.data.formats.cityscapes import IMAGES_FOLDER as CITYSCAPES_IMAGES
from pipeline.data.formats.cityscapes import MASKS_FOLDERS as CITYSCAPES_MASKS
from pipeline.data.formats.cityscapes import read_cityscapes
from pipeline.data.formats.coco import coco_files, read_coco
from pipeline.data.formats.cvat import LABEL_MAP, read_cvat
from pipeline.data.formats.files import list_files
from pipeline.data.formats.folders import read_folders
from pipeline.data.formats.labelme import looks_like_labelme, read_labelme
from pipeline.data.formats.options import FormatName, SourceOptions
from pipeline.data.formats.pascal_voc import LISTS_FOLDER, read_voc, voc_roots
from trainer_module.errors import DataError

_READERS: Final[Mapping[FormatName, Callable[[Path, SourceOptions], Annotations]]] = {
    "folders": read_folders,
    "coco": read_coco,
    "voc": read_voc,
    "cityscapes": read_cityscapes,
    "labelme": read_labelme,
    "cvat": read_cvat,
}


def read_annotations(root: Path, options: SourceOptions) -> Annotations:
    """Reads what a source holds, without opening images and masks.

    Args:
      root: A folder; or, of COCO, a file of annotations with its images beside or below it.
      options: What the user says about it.

    Raises:
      ConfigError: An option contradicts the source, or needs a package that is not installed.
      DataError: The source cannot be read, or holds no image with a mask.
    """
    return _READERS[options.format or detect_format(root)](root, options)


def detect_format(root: Path) -> FormatName:
    """Says what format a source has, by its folders and the beginnings of its files; `folders` if nothing else.

    Raises:
      DataError: The source is not there or cannot be read, or is a file of no known format.
    """
    if root.is_file():
        if root.suffix.lower() == ".json":
            return "coco"
        raise DataError(f"{root}: a source is a folder, or a JSON file of COCO; unpack it, if it is an archive.")
    listing = list_files(root)
    if (root / CITYSCAPES_IMAGES).is_dir() and any((root / folder).is_dir() for folder in CITYSCAPES_MASKS):
        return "cityscapes"
    if len(folders := voc_roots(listing)) == 1:
        (folder,) = folders
        if (folder / LABEL_MAP).is_file():
            return "cvat"
        if (folder / LISTS_FOLDER).is_dir():
            return "voc"
    annotation_files = [file for file in listing.files if file.suffix.lower() == ".json"]
    if any(map(looks_like_labelme, annotation_files)):
        return "labelme"
    return "coco" if coco_files(listing) else "folders"
