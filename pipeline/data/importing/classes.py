"""The classes of a data set: as its source declares them, or of the values that its masks turned out to have."""

from collections.abc import Collection
from typing import Final

from components.dataset_card import DatasetCard
from trainer_module.errors import DataError

_WHITE: Final = 255
"""Is what is not labelled, among several values, and what is looked for, beside black alone."""


def card_of_values(
    values: Collection[int], former: DatasetCard | None = None, ignored: Collection[int] = ()
) -> DatasetCard:
    """Returns the classes of masks that nothing is known of but their values.

    Args:
      values: All that the masks have.
      former: Of the data set's version before: its classes keep their places, as far as they are still meant.
      ignored: Values that are said to be not labelled.

    Raises:
      DataError: There are more than the 255 classes that can be told apart.

    Example:
      >>> card_of_values({0, 255}).class_names
      ('background', 'foreground')
      >>> card = card_of_values({0, 3, 255})
      >>> card.class_names, card.ignore_values
      (('class_0', 'class_3'), (255,))
    """
    if set(values) == {0, _WHITE} and not ignored:
        return DatasetCard(class_names=("background", "foreground"), mask_values=(0, _WHITE))
    void = set(ignored) or ({_WHITE} if _WHITE in values and len(values) > 2 else set())
    meant = sorted(set(values) - void)
    if len(meant) > _WHITE:
        raise DataError(
            f"the masks have {len(meant)} values, and at most {_WHITE} classes can be told apart: are they "
            "photographs, or maps of depth? Masks have one value for each class."
        )
    known = [value for value in former.mask_values if value in meant] if former is not None else []
    ordered = [*known, *(value for value in meant if value not in known)]
    return DatasetCard(
        class_names=tuple(f"class_{value}" for value in ordered),
        mask_values=tuple(ordered),
        ignore_values=tuple(sorted(void)),
    )


def note_on(card: DatasetCard) -> str:
    """Returns the sentence that says how `card_of_values` came to its classes."""
    if card.class_names == ("background", "foreground"):
        return "The masks have the values 0 and 255 alone: they are called background and foreground."
    void = f", and {', '.join(map(str, card.ignore_values))}, taken as not labelled" if card.ignore_values else ""
    values = ", ".join(map(str, sorted(card.mask_values)))
    return f"The source does not name its classes; the masks have the values {values}{void}. Name them with --class."


def extends(card: DatasetCard, former: DatasetCard) -> bool:
    """Returns whether what the former card says still holds: classes may have been added, at the end."""
    count = len(former.class_names)
    return (
        card.class_names[:count] == former.class_names
        and card.mask_values[:count] == former.mask_values
        and card.class_colors[: len(former.class_colors)] == former.class_colors
        and set(former.ignore_values) <= set(card.ignore_values)
    )
