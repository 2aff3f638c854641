"""Images that are the same, byte by byte, and images that look the same. Nothing here imports TensorFlow.

Near duplicates are those whose perceptual hashes differ in few bits. They are found without comparing all pairs: two
hashes that differ in at most d bits agree in one of d + 1 stretches (M. Norouzi, A. Punjani, D. J. Fleet, "Fast search
in Hamming space with multi-index hashing", CVPR 2012, section 2).
"""

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

HASH_BITS: Final = 64


def groups_of_equal(keys: NDArray[np.uint64]) -> list[NDArray[np.intp]]:
    """Returns the positions of each key that is there more than once, in ascending order.

    >>> [group.tolist() for group in groups_of_equal(np.array([5, 7, 5, 8, 7, 5], np.uint64))]
    [[0, 2, 5], [1, 4]]
    """
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    return sorted((group for group in np.split(order, ends) if len(group) > 1), key=lambda group: group[0])


def near_pairs(hashes: NDArray[np.uint64], distance: int) -> NDArray[np.intp]:
    """Returns the pairs of different hashes that differ in at most so many bits.

    Memory stays flat where few pairs do. 100,000 hashes take a second at a distance of 4.

    Args:
      hashes: [hashes], each once.
      distance: In bits, from 0 to 63.

    Returns:
      [pairs, 2]: positions, the smaller first, each pair once, in ascending order.

    Example:
      >>> near_pairs(np.array([0b1111, 0b0000, 0b1101], np.uint64), 1).tolist()
      [[0, 2]]
    """
    edges = np.linspace(0, HASH_BITS, distance + 2).astype(np.uint64)
    found = [np.empty((0, 2), np.intp)]
    for start, end in itertools.pairwise(edges):
        stretch = (hashes >> start) & np.uint64((1 << int(end - start)) - 1)
        found += _near_pairs_of_equal(hashes, stretch, distance)
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _near_pairs_of_equal(
    hashes: NDArray[np.uint64], stretch: NDArray[np.uint64], distance: int
) -> Iterator[NDArray[np.intp]]:
    """Yields the near pairs, [pairs, 2] at a time, among the hashes that agree in a stretch."""
    order = np.argsort(stretch, kind="stable")
    sorted_hashes, sorted_stretch = hashes[order], stretch[order]
    first = np.arange(len(hashes))
    # The first with the next, then with the one after it, as long as they agree: those that do become fewer.
    for step in range(1, len(hashes)):
        first = first[first < len(hashes) - step]
        first = first[sorted_stretch[first] == sorted_stretch[first + step]]
        if not first.size:
            return
        is_near = np.bitwise_count(sorted_hashes[first] ^ sorted_hashes[first + step]) <= distance
        yield np.stack([order[first[is_near]], order[first[is_near] + step]], axis=1)
