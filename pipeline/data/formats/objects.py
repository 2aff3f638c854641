"""Annotations that are objects with outlines: which category is which class, and how objects become a mask."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.dataset_card import DatasetCard
from pipeline.data.formats.annotation import Dropped, MaskPixels, Picture
from pipeline.data.formats.class_table import NOT_LABELLED_NAMES
from pipeline.data.formats.options import SourceOptions
from pipeline.suggestions import nearest
from trainer_module.encoded_images import MAX_IMAGE_SIDE
from trainer_module.errors import ConfigError

BACKGROUND: Final = "background"
NOT_LABELLED: Final = "not labelled"
_BACKGROUND_NAMES: Final = frozenset({BACKGROUND, "_background_"})
_BACKGROUND_VALUE: Final = 0
_IGNORE_VALUE: Final = 255
_MOST_CATEGORIES: Final = 254
_FARTHEST: Final = 2 * MAX_IMAGE_SIDE
_SHOWN: Final = 8


@dataclass(frozen=True)
class ObjectClasses:
    """What each category of a source becomes; the same for all its images."""

    names: tuple[str, ...]
    """Of the classes that objects can have; their mask values are 1, 2, 3, …"""

    ignored: frozenset[str] = frozenset()
    """Categories whose pixels are not labelled; those of all others are background."""

    has_background: bool = True
    """Whether the background is a class, of the mask value 0, or not labelled."""

    def card(self, can_ignore: bool) -> DatasetCard:
        """Returns what the data set says of itself.

        Args:
          can_ignore: Whether the source may hold regions that are not labelled.
        """
        names, values = self.names, tuple(range(1, len(self.names) + 1))
        if self.has_background:
            names, values = (BACKGROUND, *names), (_BACKGROUND_VALUE, *values)
        ignores = can_ignore or bool(self.ignored) or not self.has_background
        return DatasetCard(class_names=names, mask_values=values, ignore_values=(_IGNORE_VALUE,) if ignores else ())

    def value(self, category: str) -> int:
        """Returns the mask value of a category, of `BACKGROUND`, or of `NOT_LABELLED`."""
        if category in self.names:
            return self.names.index(category) + 1
        if category == NOT_LABELLED or category in self.ignored or not self.has_background:
            return _IGNORE_VALUE
        return _BACKGROUND_VALUE


@dataclass(frozen=True)
class PaintedObject:
    """One object, as pixels."""

    category: str
    """Or `NOT_LABELLED`."""

    pixels: NDArray[np.bool_]
    """[height, width]"""


def object_classes(categories: Sequence[str], options: SourceOptions, where: str) -> ObjectClasses:
    """Chooses the classes among the categories of a source: all, or those of `class_names` in their order.

    Args:
      categories: All there are, in the order of the classes to be; one called `background` is the background.
      options: Which become classes, which are not labelled, and what the background is.
      where: What to call the source in messages.

    Raises:
      ConfigError: There is no category of a name that the user gives, or there are too many.
    """
    known = [*categories, BACKGROUND]
    for word in (*options.class_names, *(options.ignore or ())):
        if word not in known:
            raise ConfigError(f"{where} has no category {word!r}; did you mean {nearest(word, known)!r}?")
    if options.ignore is None:
        ignored = {name for name in categories if name.lower() in NOT_LABELLED_NAMES}
    else:
        ignored = set(options.ignore)
    names = tuple(
        name
        for name in options.class_names or categories
        if name.lower() not in _BACKGROUND_NAMES and name not in ignored
    )
    if len(names) > _MOST_CATEGORIES:
        raise ConfigError(
            f"{where} has {len(names)} categories, and a mask can tell {_MOST_CATEGORIES} from the background: choose "
            "some with --class; the others become background."
        )
    if not names:
        raise ConfigError(f"{where} has no category that could be a class.")
    has_background = options.background == "class" and BACKGROUND not in ignored
    return ObjectClasses(names, frozenset(ignored), has_background)


def check_points(coordinates: NDArray[np.float64], where: str) -> None:
    """Refuses points that no image has, with which drawing would take all memory.

    Raises:
      ValueError: One is no number, or far outside the largest image.
    """
    if not (np.abs(coordinates) <= _FARTHEST).all():
        raise ValueError(f"{where} has points that are no numbers, or more than {_FARTHEST} pixels away")


def paint(size: tuple[int, int], objects: Iterable[PaintedObject], classes: ObjectClasses) -> MaskPixels:
    """Paints objects on the background, each over those before it.

    Args:
      size: Height and width.
      objects: In the order of painting.
      classes: What each category becomes.

    Returns:
      The mask, and of each category how many pixels are seen.
    """
    categories = [BACKGROUND]
    painted = np.zeros(size, np.int32)
    for each in objects:
        if each.category not in categories:
            categories.append(each.category)
        painted[each.pixels] = categories.index(each.category)
    counts = np.bincount(painted.ravel(), minlength=len(categories))
    values = np.array([classes.value(category) for category in categories], np.uint8)
    met = {category: int(count) for category, count in zip(categories, counts, strict=True) if count}
    return MaskPixels(values[painted], met)


def annotated_once(pictures: Sequence[Picture]) -> tuple[list[Picture], list[Dropped]]:
    """Leaves out images that are annotated more than once: which annotation holds, nobody can say."""
    counts = Counter(picture.name for picture in pictures)
    twice = [Dropped(name, f"it is annotated {count} times") for name, count in counts.items() if count > 1]
    return [picture for picture in pictures if counts[picture.name] == 1], twice


def shown_names(names: Sequence[str]) -> str:
    """Returns names for a sentence, the first few of many."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
