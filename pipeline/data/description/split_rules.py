"""Which part of a data set is trained on, which watched, and which judges."""

from typing import Final

from pipeline.data.description.config_text import Proposed
from pipeline.data.description.opening import OpenedDataset

_TRAIN: Final = ("train", "training", "trainval")
_WATCHED: Final = ("validation", "val", "valid", "dev", "eval")
_JUDGED: Final = ("test", "testing")
_KEY: Final = "data.splits"
_PERCENT_FROM: Final = 100
"""Examples from which on slices are percentages, which still fit when the data set has grown."""


def proposed_splits(opened: OpenedDataset) -> Proposed:
    """Returns petseg's splits, of the data set's own.

    The data set's own word goes first. Then: three splits are taken as they are; of two, the other one judges, and the
    last tenth of the first is watched; one is parted into eight, one and one tenths.
    """
    counts = {name: info.num_examples for name, info in opened.builder.info.splits.items() if info.num_examples}
    words = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    if opened.card.splits:
        return Proposed(_KEY, dict(opened.card.splits), f"as the data set says; it has {words}")
    train = _first_of(counts, _TRAIN) or max(counts, key=lambda name: counts[name])
    watched, judged = _first_of(counts, _WATCHED), _first_of(counts, _JUDGED)
    if watched and judged:
        return Proposed(_KEY, {"train": train, "eval": watched, "test": judged}, f"the data set has {words}")
    other = judged or watched or next((name for name in counts if name != train), None)
    if other is not None:
        cut, _ = _cuts(counts[train], 1)
        splits = {"train": f"{train}[:{cut}]", "eval": f"{train}[{cut}:]", "test": other}
        return Proposed(_KEY, splits, f"of {words}; the end of {train} is watched in the training")
    first, second = _cuts(counts[train], 2)
    splits = {"train": f"{train}[:{first}]", "eval": f"{train}[{first}:{second}]", "test": f"{train}[{second}:]"}
    return Proposed(_KEY, splits, f"there is only {words}: its end judges, what is before that is watched")


def _cuts(examples: int, parts: int) -> tuple[str, str]:
    """Returns where the last parts begin, of which each is a tenth or, of few examples, a fifth, and not empty."""
    if examples >= _PERCENT_FROM:
        return f"{100 - 10 * parts}%", "90%"
    part = max(examples // (10 if examples >= _PERCENT_FROM // 5 else 5), 1)
    return str(examples - parts * part), str(examples - part)


def _first_of(counts: dict[str, int], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in counts), None)
