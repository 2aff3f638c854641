"""The world of the simulated year: drawn pets that are uploaded week by week, and what goes wrong with them.

Pictures are those of `synthetic_pets`. What they look like drifts: it gets darker and noisier in the course of the
year, so that a model of the first weeks is no longer good for the last.
"""

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.datasets.pet_drawing import BACKGROUND, draw_pet

NAME: Final = "year"
FIRST_DAY: Final = date(2025, 1, 1)
"""In the past, since gRPC waits for a deadline by the process's clock on that of the machine."""

_SIDE: Final = 72
_DARKEST: Final = 0.55
_NOISIEST: Final = 18.0
_DAYS: Final = 365


class World:
    """The folder that images and masks are uploaded to, and the data set that is made of it."""

    def __init__(self, directory: Path, seed: int) -> None:
        """Constructs the world, still without an image.

        Args:
          directory: For uploads and data sets.
          seed: Of all pictures.
        """
        self.uploads = directory / "uploads"
        self.data_dir = directory / "data"
        self._seed = seed
        self._last: list[str] = []
        for folder in ("images", "masks"):
            (self.uploads / folder).mkdir(parents=True)

    def upload(self, day: int, count: int) -> None:
        """Adds images of a day, with their masks."""
        self._last = []
        for index in range(count):
            image, mask, _ = draw_pet(self._seed, day * 1000 + index, min_side=_SIDE - 16, max_side=_SIDE)
            stem = f"{(FIRST_DAY + timedelta(days=day)).isoformat()}_{index:03d}"
            Image.fromarray(_seen_on(day, image)).save(self.uploads / "images" / f"{stem}.png")
            Image.fromarray(mask).save(self.uploads / "masks" / f"{stem}.png")
            self._last.append(stem)

    def take_back(self) -> None:
        """Removes what was uploaded last, and the newest version of the data set."""
        for stem in self._last:
            for folder in ("images", "masks"):
                (self.uploads / folder / f"{stem}.png").unlink()
        shutil.rmtree(self.newest_version())

    def blank_all_masks(self) -> None:
        """Loses what all masks say: each becomes background alone; they are kept aside."""
        (self.uploads / "masks").rename(self.uploads.parent / "good masks")
        (self.uploads / "masks").mkdir()
        for file in (self.uploads.parent / "good masks").iterdir():
            with Image.open(file) as mask:
                blank = np.full((mask.height, mask.width), BACKGROUND, np.uint8)
            Image.fromarray(blank).save(self.uploads / "masks" / file.name)

    def restore_masks(self) -> None:
        """Brings back what `blank_all_masks` has put aside."""
        shutil.rmtree(self.uploads / "masks")
        (self.uploads.parent / "good masks").rename(self.uploads / "masks")

    def hide_images(self) -> None:
        """Loses every third image with its mask; they are kept aside."""
        for folder in ("images", "masks"):
            aside = self.uploads.parent / f"lost {folder}"
            aside.mkdir()
            for file in sorted((self.uploads / folder).iterdir())[::3]:
                file.rename(aside / file.name)

    def show_images(self) -> None:
        """Brings back what `hide_images` has put aside."""
        for folder in ("images", "masks"):
            aside = self.uploads.parent / f"lost {folder}"
            for file in aside.iterdir():
                file.rename(self.uploads / folder / file.name)
            aside.rmdir()

    def newest_version(self) -> Path:
        """Returns the directory of the data set's newest version."""
        versions = [path for path in (self.data_dir / NAME).iterdir() if path.name[0].isdecimal()]
        return max(versions, key=lambda path: [int(part) for part in path.name.split(".")])

    def damage_newest_version(self) -> Path:
        """Cuts a shard of the newest version off, as a broken copy would; returns a copy of what it was."""
        shard = next(self.newest_version().glob("*-train.tfrecord-*"))
        kept = shard.with_name(f"kept-{shard.name}")
        shutil.copyfile(shard, kept)
        shard.unlink()  # other versions may share the file
        shard.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
        return kept

    def mend_newest_version(self, kept: Path) -> None:
        """Undoes the damage."""
        kept.replace(kept.with_name(kept.name.removeprefix("kept-")))


def _seen_on(day: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns a picture as cameras see it on a day of the year."""
    share = min(1.0, day / _DAYS)
    rng = np.random.default_rng(day)
    darker = image * (1 - (1 - _DARKEST) * share) + rng.normal(0, _NOISIEST * share, image.shape)
    seen: NDArray[np.uint8] = np.clip(darker, 0, 255).astype(np.uint8)
    return seen
