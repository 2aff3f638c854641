"""Which part of a data set is parted into splits by a hash, and by the hash of what."""

from typing import Final

import numpy as np
import tensorflow_datasets as tfds
from pydantic import BaseModel, ConfigDict

from trainer_module import features
from trainer_module.errors import ConfigError

BY_IMAGE: Final = features.IMAGE
"""What `HashSplit.by` has for the bytes of the image, whatever the data set calls it."""


class HashSplit(BaseModel):
    """Which slice is parted, and how; the fields mean what those of the same name in `HashSplitConfig` mean.

    >>> HashSplit(of="train", shares={"train": 8, "test": 1, "eval": 1}, by="image").buckets
    {'eval': 1, 'test': 1, 'train': 8}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str
    shares: dict[str, int]
    by: str

    @property
    def buckets(self) -> dict[str, int]:
        """Split name to its number of buckets, in the order of the buckets, which is that of the names."""
        return dict(sorted(self.shares.items()))


def check_parted_by(builder: tfds.core.DatasetBuilder, split: HashSplit) -> None:
    """Checks that a data set has the feature that is hashed.

    Raises:
      ConfigError: It has not, or one whose values are no texts, labels or whole numbers.
    """
    if split.by == BY_IMAGE:
        return
    fitting = hashable_features(builder)
    if split.by not in fitting:
        present = split.by in builder.info.features
        found = f"is a {type(builder.info.features[split.by]).__name__}" if present else "does not exist"
        raise ConfigError(
            f"data.hash_split.by: feature {split.by!r} of {builder.info.full_name} {found}; what is hashed is "
            f"{BY_IMAGE!r}, the bytes of the image, or a text, label or whole number: "
            f"{', '.join(fitting) or 'it has none'}."
        )


def hashable_features(builder: tfds.core.DatasetBuilder) -> list[str]:
    """Returns the features of a data set that hold one text, label or whole number, by name."""
    return sorted(name for name, feature in builder.info.features.items() if _is_hashable(feature))


def _is_hashable(feature: tfds.features.FeatureConnector) -> bool:
    return feature.shape == () and any(np.issubdtype(feature.np_dtype, kind) for kind in (np.object_, np.integer))
