"""Which splits must not share images, and whether two TFDS slices share examples, as far as their text tells.

Slices are those of https://www.tensorflow.org/datasets/splits: `train`, `train[:90%]`, `train[100:]`, `train[-10%:]`,
and sums of them. TFDS' file instructions tell exactly, and `open_dataset` goes by them; but they need the data set,
which may have to be downloaded first, and a package for Kubeflow is compiled where there is none. So what the text
gives away is refused where the configuration is read. Nothing here imports TensorFlow.
"""

import itertools
import re
from typing import Final, NamedTuple

from trainer_module.features import REFERENCE_SPLIT

TRAINED: Final = "train"
WATCHED: Final = "eval"
"""The split that selects the best weights and ends the training early."""

_SLICE: Final = re.compile(r"(?P<split>\w+)(?:\[(?P<start>-?\d+%?)?:(?P<end>-?\d+%?)?\])?")


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
    """Returns the pairs, the worst first; those of the reference set are for data that has one.

    Args:
      evaluation_split: The split that decides; empty where none does.

    Example:
      >>> [(pair.first, pair.second) for pair in separate_splits("test")]
      [('train', 'test'), ('train', 'eval'), ('eval', 'test'), ('train', 'reference'), ('eval', 'reference')]
    """
    judged = SplitPair(TRAINED, evaluation_split, "a model must not be judged by what it was trained on", True)
    selected = SplitPair(TRAINED, WATCHED, "weights must not be selected by what they were trained on", False)
    both = SplitPair(WATCHED, evaluation_split, "a model must not be judged by what it was selected by", False)
    if not evaluation_split:
        return [selected]
    own = [judged] if evaluation_split in (TRAINED, WATCHED) else [judged, selected, both]
    return [*own, judged._replace(second=REFERENCE_SPLIT), both._replace(second=REFERENCE_SPLIT)]


def surely_overlap(one: str, other: str) -> bool:
    """Returns whether two slices have an example in common, whatever the sizes of the splits.

    Percentages and numbers cannot be compared with each other, except at the ends of a split; what cannot be told, and
    forms that are not known here, count as no overlap.

    >>> surely_overlap("train[:90%]", "train[-11%:]"), surely_overlap("train[:100]", "train[90%:]")
    (True, False)
    """
    pairs = itertools.product(_intervals(one), _intervals(other))
    return any(
        split == other_split and _precedes(start, other_end) and _precedes(other_start, end)
        for (split, start, end), (other_split, other_start, other_end) in pairs
    )


class _Position(NamedTuple):
    """A place in a split, counted from `origin` in `unit`."""

    origin: str
    """`start` or `end`."""

    unit: str
    """`%`, or nothing for examples; at an end of the split, either."""

    amount: int
    """Not negative at the start, not positive at the end."""


_START: Final = _Position("start", "", 0)
_END: Final = _Position("end", "", 0)

_Interval = tuple[str, _Position, _Position]


def _intervals(text: str) -> list[_Interval]:
    matches = [_SLICE.fullmatch(part.strip()) for part in text.split("+")]
    return [
        (match["split"], _position(match["start"], _START), _position(match["end"], _END)) for match in matches if match
    ]


def _position(text: str | None, default: _Position) -> _Position:
    if not text:
        return default
    unit, amount = ("%" if text.endswith("%") else ""), int(text.rstrip("%"))
    if unit:
        amount = amount + 100 if text.startswith("-") else amount
        return _END if amount >= 100 else _Position("start", unit if amount > 0 else "", max(amount, 0))
    return _Position("end" if text.startswith("-") and amount else "start", "", amount)


def _precedes(one: _Position, other: _Position) -> bool:
    """Returns whether a place is surely before another, in splits that hold more examples than any slice names."""
    if one.origin == other.origin and (one.unit == other.unit or _START in (one, other)):
        return one.amount < other.amount
    return one.origin == "start" and other.origin == "end" and (one == _START or other == _END)
