"""A folder of images and masks as people keep them, and its import in this process."""

import zlib
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from pipeline.data.importing.importer import Outcome, import_pictures
from pipeline.data.importing.request import ImportRequest
from pipeline.data.importing.splitting import SplitRule

ORIENTATION_TAG = 0x0112
HALVES = SplitRule({"train": 0.5, "eval": 0.5})


def draw(root: Path, *names: str, size=(12, 16), values=(0, 1, 255), orientation=1) -> Path:
    """Writes `images/NAME.jpg` and `masks/NAME.png`, different for each name; masks with a row of each value."""
    for name in names:
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        image, mask = root / "images" / f"{name}.jpg", root / "masks" / f"{name}.png"
        for file in (image, mask):
            file.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(image, exif=exif)
        rows = np.full(size, values[0], np.uint8)
        for row, value in enumerate(values):
            rows[row] = value
        Image.fromarray(rows).save(mask)
    return root


def numbered(first: int, last: int) -> list[str]:
    """Returns names of pictures."""
    return [f"tile {number:03}" for number in range(first, last + 1)]


def ask(source: Path, data_dir: Path, **fields) -> ImportRequest:
    """Returns a request as most tests have it."""
    return ImportRequest(**{"source": source, "name": "tiles", "data_dir": str(data_dir), "rule": HALVES, **fields})


def bring_in(source: Path, data_dir: Path, **fields) -> Outcome:
    """Imports in this process."""
    return import_pictures(ask(source, data_dir, **fields))


def examples(data_dir: Path, version: str, split: str = "all") -> dict[str, dict]:
    """Returns file name to example, with image and mask as they are stored."""
    builder = tfds.builder_from_directory(str(data_dir / "tiles" / version))
    decoders = {name: tfds.decode.SkipDecoding() for name in ("image", "segmentation_mask")}
    found = tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders))
    return {record["file_name"].decode(): record for record in found}


def splits_of(data_dir: Path, version: str) -> dict[str, str]:
    """Returns file name to split."""
    builder = tfds.builder_from_directory(str(data_dir / "tiles" / version))
    return {name: split for split in builder.info.splits for name in examples(data_dir, version, split)}


def files_of(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Returns what there is below a directory: path to time of modification and bytes."""
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
