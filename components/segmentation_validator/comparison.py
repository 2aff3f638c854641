"""What is wrong between examples: images that are there twice, in one split or in two. Nothing here imports TensorFlow.

Of each example its name, its digest and its hash are kept. Two different images among a million times a million have
the same digest once in 18 million such pairs of splits.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.segmentation_validator.duplicates import HASH_BITS, groups_of_equal, near_pairs
from components.segmentation_validator.kinds import Kind
from components.tfds_example_gen.splits import SplitPair

_LEAST_CONTRAST: Final = 0.02
"""Of images whose hashes are compared: those of flat ones are noise."""


class ExamplePlace(NamedTuple):
    """Which example of which split."""

    split: str
    example_id: str


@dataclass(frozen=True)
class Defect:
    """A finding with the example, or the split, that it is of."""

    kind: Kind
    split: str
    example_id: str
    """Empty where the finding is of the whole split."""

    file_name: str
    detail: str
    partner: ExamplePlace | None = None
    """The other example of a pair."""

    @property
    def place(self) -> ExamplePlace:
        return ExamplePlace(self.split, self.example_id)


@dataclass(frozen=True)
class Roster:
    """The examples of one split, in their order."""

    split: str
    example_ids: list[str]
    file_names: list[str]
    digests: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    contrasts: NDArray[np.float32]
    """0 where the image cannot be read."""

    def pair_defect(
        self, kind: Kind, position: int, other: "Roster", other_position: int, bits: int | None = None
    ) -> Defect:
        """Returns the finding that one example is another, byte by byte, or like it but for some bits of the hash."""
        where = "" if other is self else f" of the split {other.split!r}"
        name = f"{other.file_names[other_position]!r}{where}"
        alike = f"looks like {name} ({bits} of {HASH_BITS} bits differ)"
        return Defect(
            kind,
            self.split,
            self.example_ids[position],
            self.file_names[position],
            f"the image {f'is the same, byte by byte, as {name}' if bits is None else alike}",
            ExamplePlace(other.split, other.example_ids[other_position]),
        )


def equal_images(rosters: Mapping[str, Roster], separate: Iterable[SplitPair]) -> Iterator[Defect]:
    """Yields the images that are there twice, byte by byte.

    In one split, each but the first is a finding; of two splits that must not share images, each that is in both is
    one of the first split, so that dropping it leaves the evaluation as it is.
    """
    for roster in rosters.values():
        for first, *others in groups_of_equal(roster.digests):
            for position in others:
                yield roster.pair_defect(Kind.DUPLICATE, position, roster, first)
    for one, other in _both_read(rosters, separate):
        positions = {digest: position for position, digest in reversed([*enumerate(other.digests.tolist())])}
        for position in np.flatnonzero(np.isin(one.digests, other.digests)).tolist():
            partner = positions[int(one.digests[position])]
            yield one.pair_defect(Kind.SHARED_IMAGE, position, other, partner)


def near_images(rosters: Mapping[str, Roster], separate: Iterable[SplitPair], distance: int) -> Iterator[Defect]:
    """Yields the images that look like another, but have other bytes: at most one an example and split of the other.

    As of equal images, a finding is of the later example in one split, and of the first of two splits.

    Args:
      rosters: Split name to its examples.
      separate: The splits that must not share images.
      distance: Bits, of 64, in which the hashes of images that look the same may differ.
    """
    lookup = _NearLookup(rosters, distance)
    for roster in rosters.values():
        for position, partner, bits in lookup.partners(roster, roster):
            if partner < position:
                yield roster.pair_defect(Kind.NEAR_DUPLICATE, position, roster, partner, bits)
    for one, other in _both_read(rosters, separate):
        for position, partner, bits in lookup.partners(one, other):
            yield one.pair_defect(Kind.NEAR_SHARED_IMAGE, position, other, partner, bits)


def _both_read(rosters: Mapping[str, Roster], separate: Iterable[SplitPair]) -> Iterator[tuple[Roster, Roster]]:
    for pair in separate:
        if pair.first in rosters and pair.second in rosters:
            yield rosters[pair.first], rosters[pair.second]


class _NearLookup:
    """Which examples of a split look like one of another."""

    def __init__(self, rosters: Mapping[str, Roster], distance: int) -> None:
        hashed = {name: roster.hashes[roster.contrasts >= _LEAST_CONTRAST] for name, roster in rosters.items()}
        self._hashes = np.unique(np.concatenate([np.empty(0, np.uint64), *hashed.values()]))
        self._neighbours: dict[int, list[int]] = {}
        for pair in near_pairs(self._hashes, distance).tolist():
            for one, other in (pair, pair[::-1]):
                self._neighbours.setdefault(one, []).append(other)
        self._examples = {name: self._by_hash(roster) for name, roster in rosters.items()}

    def _by_hash(self, roster: Roster) -> dict[int, list[int]]:
        """Returns the positions of a split's examples by their hash (its index), of equal images the first alone."""
        firsts = np.sort(np.unique(roster.digests, return_index=True)[1])
        firsts = firsts[roster.contrasts[firsts] >= _LEAST_CONTRAST]
        found: dict[int, list[int]] = {}
        indices = np.searchsorted(self._hashes, roster.hashes[firsts])
        for position, index in zip(firsts.tolist(), indices.tolist(), strict=True):
            found.setdefault(index, []).append(position)
        return found

    def partners(self, one: Roster, other: Roster) -> Iterator[tuple[int, int, int]]:
        """Yields the examples of one split that look like another's: position, that of the first alike, and bits."""
        others = self._examples[other.split]
        for index, positions in self._examples[one.split].items():
            for position in positions:
                alike = (
                    (partner, near)
                    for near in (index, *self._neighbours.get(index, ()))
                    for partner in others.get(near, ())[:2]
                    if one.digests[position] != other.digests[partner]
                )
                partner, near = min(alike, default=(None, 0))
                if partner is not None:
                    yield position, partner, int(np.bitwise_count(self._hashes[index] ^ self._hashes[near]))
