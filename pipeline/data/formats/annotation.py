"""What every format of annotations comes down to: pictures, a way to get each one's mask, and what its values mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.dataset_card import DatasetCard


class MaskRefusedError(Exception):
    """A mask cannot be had without a guess; the message says why and what to do, as what follows its name."""


@dataclass(frozen=True)
class MaskPixels:
    """A mask as it goes into the data set."""

    values: NDArray[np.uint8]
    """[height, width]: mask values, as the data set's card declares them."""

    met: Mapping[str, int]
    """What the source had, as it writes it (`7`, `#e0a020`, the name of a category), to its number of pixels."""

    snapped: int = 0
    """Pixels with a value that no class has, which got the nearest class's."""

    was_turned: bool = False
    """Whether the mask had an EXIF orientation of its own: it is turned by it, and so as a viewer shows it."""


class MaskSource(Protocol):
    """Where a mask comes from; small, immutable, and picklable, for it travels to another process."""

    def read(self, size: tuple[int, int]) -> MaskPixels:
        """Makes the mask.

        Args:
          size: Height and width of the image as it is stored, for annotations that do not say.

        Raises:
          MaskRefusedError: It cannot be had without a guess.
          OSError: A file cannot be read.
        """
        ...


@dataclass(frozen=True)
class Picture:
    """One image of a source, with its mask still to be made."""

    name: str
    """Unique in the source: the image's path relative to the source's root, with `/`, as it is on disk."""

    image: Path
    mask: MaskSource
    split: str | None = None
    """As the source's folders or lists have it, in the source's words: `train`, `val`, `test`."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Further text features, such as the city of Cityscapes."""


@dataclass(frozen=True)
class Dropped:
    """An image or mask that does not come into the data set."""

    name: str
    """Of the file, relative to the source's root."""

    reason: str


@dataclass(frozen=True)
class Annotations:
    """All that a source holds, as far as can be told without opening images and masks."""

    format_name: str
    pictures: tuple[Picture, ...]
    """In the order of their names."""

    card: DatasetCard
    """Classes and values; without classes where the format does not say, and the masks have to be looked at."""

    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()
    """Whole sentences for the user: what was assumed, and from what."""
