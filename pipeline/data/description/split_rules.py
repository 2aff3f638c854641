"""Which part of a data set is trained on, which watched, and which judges."""

from typing import Final

from pipeline.data.description.config_text import Proposed
from pipeline.data.description.opening import OpenedDataset

_TRAIN: Final = ("train", "training", "trainval")
_WATCHED: Final = ("validation", "val", "valid", "dev", "eval")
_JUDGED: Final = ("test", "testing")
_KEY: Final = "data.splits"
_TENTH_FROM: Final = 20
"""Examples from which on a tenth of them is something."""


def proposed_splits(opened: OpenedDataset) -> Proposed:
    """Returns petseg's splits, of the data set's own.

    The data set's own word goes first. Then: three splits are taken as they are; of two, the second judges, and the
    last tenth of the first is watched; one is parted into eight, one and one tenths.
    """
    counts = {name: info.num_examples for name, info in opened.builder.info.splits.items() if info.num_examples}
    if opened.card.splits:
        return Proposed(_KEY, dict(opened.card.splits), f"as the data set says; it has {_words(counts)}")
    train = _first_of(counts, _TRAIN) or max(counts, key=lambda name: counts[name])
    watched, judged = _first_of(counts, _WATCHED), _first_of(counts, _JUDGED)
    if watched and judged:
        return Proposed(_KEY, {"train": train, "eval": watched, "test": judged}, f"the data set has {_words(counts)}")
    tail = _tail(counts[train])
    other = judged or watched or next((name for name in counts if name != train), None)
    if other is not None:
        splits = {"train": f"{train}[:-{tail}]", "eval": f"{train}[-{tail}:]", "test": other}
        return Proposed(_KEY, splits, f"of {_words(counts)}; the last {tail:,} of {train} are watched in the training")
    splits = {
        "train": f"{train}[:-{2 * tail}]",
        "eval": f"{train}[-{2 * tail}:-{tail}]",
        "test": f"{train}[-{tail}:]",
    }
    return Proposed(_KEY, splits, f"there are only {_words(counts)}: the last {tail:,} judge, those before are watched")


def _tail(examples: int) -> int:
    return max(examples // 10, 1) if examples >= _TENTH_FROM else max(examples // 5, 1)


def _first_of(counts: dict[str, int], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in counts), None)


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
