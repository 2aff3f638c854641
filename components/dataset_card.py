"""What a data set says of itself: its classes, how its masks write them, and what of them is not labelled.

It travels in the `metadata.json` that TFDS keeps beside a data set's files (`tfds.core.MetadataDict`), so that a data
set of petseg's import, or of a builder that declares it, needs no word of it in the configuration. Nothing here
imports TensorFlow.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainer_module.errors import DataError

METADATA_KEY: Final = "segmentation"
"""Under which the card stands in the metadata of a TFDS data set."""

MaskValue = Annotated[int, Field(ge=0, le=255)]
Color = tuple[MaskValue, MaskValue, MaskValue]


class DatasetCard(BaseModel):
    """Classes and mask values of a data set; what is empty, it does not say."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    class_names: tuple[str, ...] = ()
    """Names of the classes; the position is the class id."""

    mask_values: tuple[MaskValue, ...] = ()
    """The value that stands for each class in the masks, in the order of `class_names`."""

    ignore_values: tuple[MaskValue, ...] = ()
    """Values that mean "not labelled"."""

    class_colors: tuple[Color, ...] = ()
    """Red, green and blue of each class, where the masks had colours; in the order of `class_names`."""

    slice_features: tuple[str, ...] = ()
    """Further scalar features of the examples, to slice the evaluation by."""

    splits: dict[str, str] = {}
    """Split name of petseg (`train`, `eval`, `test`) to the TFDS slice that is meant for it."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        count = len(self.class_names)
        if len(self.mask_values) != count or len(self.class_colors) not in (0, count):
            raise ValueError(
                f"{count} class_names, {len(self.mask_values)} mask_values and {len(self.class_colors)} class_colors; "
                "each class needs one"
            )
        return self

    def as_metadata(self) -> dict[str, Any]:
        """Returns what `tfds.core.MetadataDict` is given."""
        return {METADATA_KEY: self.model_dump(mode="json", exclude_defaults=True)}


def card_of(metadata: Mapping[str, Any] | None, where: str) -> DatasetCard:
    """Reads the card from the metadata of a data set; an empty one where there is none.

    Args:
      metadata: What `builder.info.metadata` or `metadata.json` holds.
      where: What to call the place in the message.

    Raises:
      DataError: It is there, but cannot be used.

    Example:
      >>> card = DatasetCard(class_names=("soil", "crop"), mask_values=(0, 1), ignore_values=(255,))
      >>> card_of(card.as_metadata(), "metadata.json") == card
      True
    """
    try:
        return DatasetCard.model_validate((metadata or {}).get(METADATA_KEY, {}))
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise DataError(f"{where}: what it says under {METADATA_KEY!r} cannot be used: {what}") from error
