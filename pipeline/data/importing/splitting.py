"""Which split a picture goes into: as its source says, or by the hash of its name, so that it stays there for ever."""

import hashlib
import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from components.tfds_example_gen.splits import TRAINED, WATCHED
from trainer_module.errors import ConfigError, DataError

_CALLED: Final = {
    "train": TRAINED, "training": TRAINED, "trn": TRAINED,
    "eval": WATCHED, "val": WATCHED, "valid": WATCHED, "validation": WATCHED, "dev": WATCHED,
    "test": "test", "testing": "test",
}  # fmt: skip
"""What people call splits, to what petseg does."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_TWO_TO_64: Final = 2.0**64
WATCHED_SHARE: Final = 0.1
"""Of the training split, where the source has none to select weights by."""


@dataclass(frozen=True)
class SplitRule:
    """How pictures are parted that no folder and no list parts."""

    shares: Mapping[str, float] = field(default_factory=lambda: {TRAINED: 0.8, WATCHED: 0.1, "test": 0.1})
    """Split name to its share; they sum to 1."""

    group: str | None = None
    """Regular expression searched for in the name: what its first group finds (or the whole of it) stays together."""

    stratify: bool = False

    def __post_init__(self) -> None:
        names = {TRAINED, WATCHED} - set(self.shares)
        total = sum(self.shares.values())
        bad = [name for name, share in self.shares.items() if not _NAME.fullmatch(name) or share <= 0]
        if names or bad or abs(total - 1) > 1e-6:
            raise ConfigError(
                f"--split {','.join(f'{name}={share:g}' for name, share in self.shares.items())}: give the splits with "
                f"shares above 0 that sum to 1 (here {total:g}), {TRAINED} and {WATCHED} among them, such as "
                "train=0.8,eval=0.1,test=0.1; names are of a…z, 0…9 and _"
            )
        try:
            re.compile(self.group or "")
        except re.error as error:
            raise ConfigError(f"--group {self.group!r} is no regular expression: {error}") from error

    def key(self, name: str) -> str:
        r"""Returns what pictures have in common that stay together.

        >>> SplitRule(group=r"patient_(\d+)").key("patient_17/slice_3.png")
        '17'
        """
        found = re.search(self.group, name) if self.group is not None else None
        if found is None:
            return name
        return (found[1] if found.re.groups else found[0]) or name

    def by_hash(self, name: str, shares: Mapping[str, float] | None = None) -> str:
        """Returns the split of a picture; it depends on nothing but its key.

        Args:
          name: The picture's.
          shares: Of other splits than those of the rule.
        """
        shares = shares or self.shares
        position, end = unit_hash(self.key(name)), 0.0
        for split, share in shares.items():
            end += share
            if position < end:
                return split
        return list(shares)[-1]


def unit_hash(text: str) -> float:
    """Returns a number in [0, 1) that looks random and is the same everywhere, for names equal in Unicode."""
    digest = hashlib.blake2b(unicodedata.normalize("NFC", text).encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _TWO_TO_64


def petsegs_name(split: str) -> str:
    """Returns what petseg calls a split.

    Raises:
      DataError: It cannot be called so.

    >>> petsegs_name("Validation")
    'eval'
    """
    name = _CALLED.get(split.lower(), split.lower())
    if not _NAME.fullmatch(name):
        raise DataError(f"a split of the source is called {split!r}; names are of a…z, 0…9 and _: rename it")
    return name


def stratified(
    classes: Mapping[str, Collection[str]], rule: SplitRule, settled: Iterable[tuple[str, Collection[str]]] = ()
) -> dict[str, str]:
    """Parts pictures so that each split has its share of the pictures of each class.

    The rarest class that is left is dealt out first; each unit goes to the split that is shortest of it (Sechidis,
    Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-Label Data", algorithm 1). Ties are broken by the
    number of pictures that a split still lacks, then by the order of the splits; units of a class come in the order of
    their hashes.

    Args:
      classes: Name of each picture to the classes (or mask values) in its mask.
      rule: Of it the shares, and what stays together.
      settled: Split and classes of the pictures that have their place.

    Returns:
      Name to split.
    """
    units: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        units[rule.key(name)].append(name)
    contents = {
        key: Counter(itertools.chain.from_iterable(classes[name] for name in names)) for key, names in units.items()
    }
    settled = list(settled)
    totals = sum(contents.values(), Counter()) + Counter(itertools.chain.from_iterable(each for _, each in settled))
    lacking = {split: {one: share * count for one, count in totals.items()} for split, share in rule.shares.items()}
    pictures = {split: share * (len(classes) + len(settled)) for split, share in rule.shares.items()}

    def place(split: str, content: Mapping[str, int], size: int) -> None:
        for one, count in content.items():
            lacking[split][one] -= count
        pictures[split] -= size

    for split, each in settled:
        if split in lacking:
            place(split, Counter(each), 1)
    found: dict[str, str] = {}
    waiting = sorted(units, key=lambda key: (unit_hash(key), key))
    while waiting:
        left = sum((contents[key] for key in waiting), Counter())
        rarest = min(left, key=lambda one: (left[one], one), default=None)
        chosen = [key for key in waiting if rarest is None or contents[key][rarest]]
        for key in sorted(chosen, key=lambda key: -len(units[key])):
            split = max(rule.shares, key=lambda one: (lacking[one].get(rarest, 0.0), pictures[one]))  # type: ignore[arg-type]
            place(split, contents[key], len(units[key]))
            found |= dict.fromkeys(units[key], split)
        waiting = [key for key in waiting if rarest is not None and not contents[key][rarest]]
    return found


def check_no_empty_split(counts: Mapping[str, int], wanted: Sequence[str], rule: SplitRule) -> None:
    """Refuses a data set with a split that would have no picture.

    Raises:
      DataError: There is one.
    """
    if empty := [split for split in wanted if not counts.get(split)]:
        has = ", ".join(f"{split} {counts.get(split, 0)}" for split in wanted)
        few = "" if rule.stratify else "; --stratify deals few pictures out evenly"
        raise DataError(
            f"the split {empty[0]!r} would be empty: {has}, of {sum(counts.values())} pictures. Choose other shares "
            f"with --split, or say which picture is in which split with folders or --split-list{few}."
        )
