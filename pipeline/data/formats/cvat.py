"""The export "Segmentation mask" of CVAT: the folders of Pascal VOC, and colours that labelmap.txt explains."""

from pathlib import Path
from typing import Final

from pipeline.data.formats.annotation import Annotations
from pipeline.data.formats.class_table import declared_table
from pipeline.data.formats.options import SourceOptions
from pipeline.data.formats.pascal_voc import read_segmentation_folders, voc_root
from trainer_module.errors import DataError

LABEL_MAP: Final = "labelmap.txt"


def read_cvat(root: Path, options: SourceOptions) -> Annotations:
    """Reads an export of CVAT, or of Datumaro; the masks of single objects in it (SegmentationObject) are left alone.

    Raises:
      ConfigError: The options contradict each other.
      DataError: The folders or labelmap.txt are not there, or no image has a mask.
    """
    folder = voc_root(root)
    label_map = folder / LABEL_MAP
    table = declared_table(options, label_map if label_map.exists() else None)
    if table is None:
        raise DataError(f"{label_map}: there is no such file, which says what class each colour is.")
    return read_segmentation_folders(folder, options, table, "CVAT segmentation masks")
