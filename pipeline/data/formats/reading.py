"""From a source, of whatever format, to its annotations."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pipeline.data.formats.annotation import Annotations
from pipeline.data.formats.folders import read_folders
from pipeline.data.formats.options import FormatName, SourceOptions

_READERS: Final[Mapping[FormatName, Callable[[Path, SourceOptions], Annotations]]] = {
    "folders": read_folders,
}


def read_annotations(root: Path, options: SourceOptions) -> Annotations:
    """Reads what a source holds, without opening images and masks.

    Args:
      root: A folder, or a file of annotations.
      options: What the user says about it.

    Raises:
      ConfigError: An option contradicts the source, or needs a package that is not installed.
      DataError: The source cannot be read, or holds no image with a mask.
    """
    return _READERS[options.format or detect_format(root)](root, options)


def detect_format(root: Path) -> FormatName:
    """Says what format a source has, by its folders and files."""
    return "folders"
