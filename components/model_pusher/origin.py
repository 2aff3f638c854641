"""What a model comes from: the data it was trained on and judged by, and the recipe. Nothing here imports TensorFlow.

Two trainings of one origin come to the same model, or to one that chance alone tells apart; so what became of the first
is known of the second, and it need not be paid.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from components.tfds_example_gen.splits import TRAINED, WATCHED

_LEARNT: Final = (TRAINED, WATCHED)
"""The splits that decide on the weights."""


class Recipe(BaseModel):
    """How a model is trained and judged; travels through TFX as JSON.

    What a run on Kubeflow may set anew stands by itself, the rest is in digests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: str = ""
    """Digest of the settings that preprocessing and training depend on, but for the epochs."""

    code: str = ""
    """Digest of the code that prepares the data and trains."""

    epochs: int = 0
    gate: str = ""
    """Digest of the bounds that the model is judged by, but for the least accuracy."""

    min_accuracy: float = 0.0
    """0 where there is no such bound."""


class Origin(BaseModel):
    """The data of one training, and its recipe.

    >>> old = Origin(dataset="tiles", version="1.0.0", digests={"train": "a", "eval": "b", "test": "c"})
    >>> new = old.model_copy(update={"version": "1.1.0", "digests": {"train": "a", "eval": "b", "test": "d"}})
    >>> old.trains_as(new), old.is_judged_as(new)
    (True, False)
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    dataset: str = ""
    version: str = ""
    """Of the data set."""

    splits: Mapping[str, int] = {}
    """Split to its number of examples."""

    digests: Mapping[str, str] = {}
    """Split to a digest of what was read (`components.artifact_properties.SPLIT_DIGESTS`)."""

    reference: str = ""
    """Data set, version and slice of the frozen reference set, the split `reference`; empty where there is none."""

    recipe: Recipe = Recipe()

    @property
    def is_known(self) -> bool:
        """Whether it says anything; that of a version of an earlier petseg does not."""
        return bool(self.digests)

    @property
    def data(self) -> str:
        """The data in words: `tiles 1.1.0`."""
        return f"{self.dataset} {self.version}".strip()

    def has_data_of(self, other: "Origin") -> bool:
        """Returns whether both learn from the same examples."""
        return all(self.digests.get(split) == other.digests.get(split) for split in _LEARNT)

    def trains_as(self, other: "Origin") -> bool:
        """Returns whether a training of this origin is one of the other: the same data, the same recipe."""
        same_recipe = all(
            getattr(self.recipe, part) == getattr(other.recipe, part) for part in ("settings", "code", "epochs")
        )
        return same_recipe and self.has_data_of(other)

    def is_judged_as(self, other: "Origin") -> bool:
        """Returns whether its model would be judged by the same bounds on the same examples."""
        same_bounds = (self.recipe.gate, self.recipe.min_accuracy) == (other.recipe.gate, other.recipe.min_accuracy)
        judged = (
            {split: digest for split, digest in one.digests.items() if split not in _LEARNT} for one in (self, other)
        )
        return same_bounds and next(judged) == next(judged)
