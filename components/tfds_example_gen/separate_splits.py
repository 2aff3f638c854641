"""Which splits must not share images, and why. Nothing here imports TensorFlow."""

from typing import Final, NamedTuple

TRAINED: Final = "train"
WATCHED: Final = "eval"
"""The split that selects the best weights and ends the training early."""


class SplitPair(NamedTuple):
    """Two splits that must not share images."""

    first: str
    second: str
    reason: str
    """A clause."""

    is_strict: bool
    """Whether slices that overlap are refused also where `data.duplicates` is `warn`."""

    @property
    def way_out(self) -> str:
        """What to do about slices that overlap, a sentence."""
        accepted = "" if self.is_strict else ', or accept it with data.duplicates = "warn"'
        return f"Choose slices without common examples{accepted}."


def separate_splits(evaluation_split: str) -> list[SplitPair]:
    """Returns the pairs, the worst first.

    Args:
      evaluation_split: The split that decides; empty where none does.
    """
    judged = SplitPair(TRAINED, evaluation_split, "a model must not be judged by what it was trained on", True)
    selected = SplitPair(TRAINED, WATCHED, "weights must not be selected by what they were trained on", False)
    both = SplitPair(WATCHED, evaluation_split, "a model must not be judged by what it was selected by", False)
    if not evaluation_split:
        return [selected]
    return [judged] if evaluation_split in (TRAINED, WATCHED) else [judged, selected, both]
