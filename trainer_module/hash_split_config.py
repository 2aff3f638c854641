"""Settings of splits that a hash makes, so that an image stays where it is for ever while the data set grows."""

from typing import Annotated

from pydantic import Field

from trainer_module.section import Section

SplitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class HashSplitConfig(Section):
    """Which part of a data set is parted by a hash, by what, and into what (docs/test_sets.md)."""

    of: str = Field(min_length=1)
    """TFDS slice that is parted, such as `train` or `train+test`."""

    shares: dict[SplitName, Annotated[int, Field(ge=1, le=1_000_000)]] = Field({"train": 80, "eval": 10, "test": 10})
    """Split name to its part, in whole numbers of buckets: 80, 10 and 10 of 100. Another part of any split is another
    parting of all; the order in which they are written is none."""

    by: str = Field("image", min_length=1)
    """What is hashed: `image`, the bytes of the image, or the name of a feature that holds a text, a label or a whole
    number, such as `file_name`. Examples of the same value are in the same split, as all images of one patient."""

    @property
    def splits(self) -> dict[str, str]:
        """Split name to the TFDS slice that its examples are in."""
        return dict.fromkeys(self.shares, self.of)
